package targettest

import (
	"errors"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func testUpdateKeepsTheContainer(p *project) {
	web := p.service("web")
	p.joins(web, "old")
	web.NanoCPUs, web.Memory, web.MemorySwap = 500_000_000, 64<<20, 128<<20
	p.mustConverge(p.desired(web))
	before := p.found(p.desired(web), web.Ref())

	for _, c := range []struct {
		field  string
		change func(*spec.Service)
	}{
		{"cpus", func(s *spec.Service) { s.NanoCPUs = 250_000_000 }},
		{"mem_limit", func(s *spec.Service) { s.Memory, s.MemorySwap = 96<<20, 192<<20 }},
		{"pids_limit", func(s *spec.Service) { s.PidsLimit = 40 }},
		{"restart", func(s *spec.Service) { s.Restart = "always" }},
		{"no restart", func(s *spec.Service) { s.Restart = "" }},
		{"name", func(s *spec.Service) { s.Container = p.name + "-renamed" }},
		{"network attached", func(s *spec.Service) { p.joins(s, "new") }},
		{"network detached", func(s *spec.Service) { s.Networks = append(s.Networks[:1:1], s.Networks[2:]...) }},
		{"network aliases", func(s *spec.Service) { s.Networks[1].Aliases = []string{"also"} }},
	} {
		next := *web
		next.Networks = append([]spec.Attachment(nil), web.Networks...)
		c.change(&next)
		web = &next
		want := p.desired(web)
		p.mustPlan(want, web.Ref(), plan.VerbUpdate)
		p.mustConverge(want)
		if after := p.found(want, web.Ref()); after.ID != before.ID {
			p.t.Errorf("%s: the container was made anew", c.field)
		}
	}
}

func testRestartKeepsTheContainer(p *project) {
	web := p.service("web")
	want := p.desired(web)
	p.mustConverge(want)
	before := p.found(want, web.Ref())
	p.mustApply(plan.Restart{Want: web, Have: before})
	p.mustBeInSync(want)
	if after := p.found(want, web.Ref()); after.ID != before.ID {
		p.t.Error("the container was made anew")
	}
}

func testReplaceMakesAnew(p *project) {
	web := p.service("web")
	p.opens(web, "data")
	p.publishes(web, 0)
	web.Restart = "always"
	p.mustConverge(p.desired(web))
	before := p.found(p.desired(web), web.Ref())

	next := *web
	next.Environment = map[string]spec.Value{"TZ": spec.Plain("CET")}
	want := p.desired(&next)
	p.mustPlan(want, web.Ref(), plan.VerbReplace)
	p.mustConverge(want)
	if after := p.found(want, web.Ref()); after.ID == before.ID {
		p.t.Error("the container is still the same")
	}
	p.mustHaveOnly(want, web.Ref())
}

func testReplaceRollsBackWhatCrashes(p *project) {
	p.mustRollBack(p.exits("web", 3))
}

func testReplaceRollsBackWhatIsUnhealthy(p *project) {
	p.mustRollBack(p.unhealthy("web"))
}

// mustRollBack checks that the service before a bad one runs again, the very same
// and just as it was.
func (p *project) mustRollBack(bad *spec.Service) {
	p.t.Helper()
	good := p.service("web")
	for _, s := range []*spec.Service{good, bad} {
		p.opens(s, "data")
		p.publishes(s, 0)
	}
	good.Restart = "always"
	want := p.desired(good)
	p.mustConverge(want)
	before := p.found(want, good.Ref())

	failure := p.mustFail(p.desired(bad))
	if !failure.RolledBack {
		p.t.Errorf("not rolled back: %v", failure)
	}
	p.mustSettle(want)
	if after := p.found(want, good.Ref()); after.ID != before.ID {
		p.t.Error("another container runs than the one before")
	}
	p.mustHaveOnly(want, good.Ref())
}

// mustFail converges to what cannot become ready, and gives the failure.
func (p *project) mustFail(want spec.Desired) *plan.Failure {
	p.t.Helper()
	err := p.converge(want)
	var failure *plan.Failure
	if !errors.As(err, &failure) {
		p.t.Fatalf("want a plan.Failure, got: %v", err)
	}
	return failure
}

// mustSettle waits for what was started again to become ready, and checks that
// nothing else had to be done.
func (p *project) mustSettle(want spec.Desired) {
	p.t.Helper()
	for _, step := range p.plan(want).Steps() {
		if step.Change.Verb() != plan.VerbWait {
			p.t.Fatalf("left to do: %s %s: %s", step.Change.Verb(), step.Change.Ref(), step.Reason())
		}
		p.mustApply(step.Change)
	}
	p.mustBeInSync(want)
}

func testReplaceWithoutRollback(p *project) {
	p.mustConverge(p.desired(p.service("web")))
	bad := p.exits("web", 3)
	bad.NoRollback = true
	failure := p.mustFail(p.desired(bad))
	if failure.RolledBack || failure.Kept == "" {
		p.t.Errorf("rolled back, or did not say why not: %+v", failure)
	}
	good := p.service("web")
	good.NoRollback = true
	good.Environment = map[string]spec.Value{"FIXED": spec.Plain("yes")}
	if err := p.converge(p.desired(good)); err != nil {
		p.t.Fatal(err)
	}
	p.mustConverge(p.desired(good))
	p.mustHaveOnly(p.desired(good), good.Ref())
}

func testRenamedService(p *project) {
	old, renamed := p.service("old"), p.service("new")
	for _, s := range []*spec.Service{old, renamed} {
		p.opens(s, "data")
		p.publishes(s, 0)
	}
	p.mustConverge(p.desired(old))
	want := p.desired(renamed)
	p.mustPlan(want, renamed.Ref(), plan.VerbReplace)
	p.mustConverge(want)
	p.mustHaveOnly(want, renamed.Ref())
}

func testRenamedServiceFails(p *project) {
	old, renamed := p.service("old"), p.exits("new", 4)
	for _, s := range []*spec.Service{old, renamed} {
		p.opens(s, "data")
		p.publishes(s, 0)
	}
	want := p.desired(old)
	p.mustConverge(want)
	before := p.found(want, old.Ref())
	if failure := p.mustFail(p.desired(renamed)); !failure.RolledBack {
		p.t.Errorf("not rolled back: %v", failure)
	}
	p.mustSettle(want)
	if after := p.found(want, old.Ref()); after.ID != before.ID {
		p.t.Error("another container runs than the one before")
	}
}

func testReplacedNetwork(p *project) {
	web, other := p.service("web"), p.service("other")
	other.Networks = nil
	p.joins(other, "side")
	p.mustConverge(p.desired(web, other))
	untouched := p.found(p.desired(web, other), other.Ref())

	want := p.desired(&spec.Network{Key: "default", Name: p.name + "_default", Labels: map[string]string{"made": "anew"}}, web, other)
	p.mustConverge(want)
	if p.found(want, other.Ref()).ID != untouched.ID {
		p.t.Error("a service that is not on the network was made anew")
	}
}

func testJobIsDone(p *project) {
	job := p.exits("job", 0)
	job.Job = true
	web := p.service("web")
	web.Depends = []spec.Dep{{Ref: job.Ref(), Until: spec.Done}}
	want := p.desired(job, web)
	p.mustConverge(want)
	before := p.found(want, job.Ref())
	p.mustApply(plan.Wait{Want: job, Have: before})
	if after := p.found(want, job.Ref()); after.ID != before.ID || !after.Since.Equal(before.Since) {
		p.t.Error("a job that was done ran again")
	}
}

func testFailedJob(p *project) {
	job := p.exits("job", 7)
	job.Job = true
	want := p.desired(job)
	failure := p.mustFail(want)
	if failure.Ref != job.Ref() || failure.Reason == "" {
		p.t.Errorf("not what happened: %+v", failure)
	}
	if found := p.found(want, job.Ref()); found.ExitCode != 7 {
		p.t.Errorf("exit code %d, want 7", found.ExitCode)
	}
	p.mustPlan(want, job.Ref(), plan.VerbStart)
	if failure := p.mustFail(want); failure.Reason == "" {
		p.t.Error("the job was not run again, or its failure not told")
	}
}

// mustPlan checks that there is something to do about ref, by that verb.
func (p *project) mustPlan(want spec.Desired, ref spec.Ref, verb plan.Verb) {
	p.t.Helper()
	for _, step := range p.plan(want).Steps() {
		if step.Change.Ref() == ref {
			if got := step.Change.Verb(); got != verb {
				p.t.Fatalf("plans to %s %s (%s), want %s", got, ref, step.Reason(), verb)
			}
			return
		}
	}
	p.t.Fatalf("nothing planned for %s, want %s", ref, verb)
}

// mustHaveOnly checks that no other container of the project is there.
func (p *project) mustHaveOnly(want spec.Desired, ref spec.Ref) {
	p.t.Helper()
	for other := range p.observe(want).Found {
		if other.Kind == spec.KindService && other != ref {
			p.t.Errorf("%s is left behind", other)
		}
	}
}
