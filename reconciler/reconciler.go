package reconciler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// Reconciler brings a system to a desired state, one run at a time.
type Reconciler struct {
	Targets []Target
	// Lock keeps others from changing the project until it is released; it waits for
	// its turn. Nil: nobody else is there.
	Lock func(ctx context.Context, project string) (release func(), err error)
	// Window tells whether a spec allows changes that interrupt at a time. Nil: it is always
	// open.
	Window func(want spec.Desired, now time.Time) plan.Window
	// Tables tells how Delta tables differ from their rules, by a look at them that was made
	// earlier, or why nobody knows. Only reports of drift have it. Nil: there are none.
	Tables func(want spec.Desired, now time.Time) (d drift.Drift, unknown string)
	Listen Listener         // may be nil
	Now    func() time.Time // nil: time.Now

	listening sync.Mutex // Listen is told one thing at a time
}

// Options say how one run goes about it.
type Options struct {
	Trigger string // what made us look, for the report
	// Refresh asks the registries again for images whose pull_policy is always: a
	// new revision does so, and a person who says apply.
	Refresh bool
	// KeepMoved leaves containers alone whose image tag names another image by now.
	// Checks and heals do so: a tag that moved is reported, and followed at the next
	// revision.
	KeepMoved bool
	// Glance: all was in sync at the last run, nothing is known to have happened since, and
	// a glance may show that it still is; it is not long since everything was looked at.
	Glance bool
	// GoingBack: want was in force before, so what was added since may all go.
	GoingBack bool
	// LastTiers are those that services were last in force in, by service, as far as that
	// is remembered.
	LastTiers map[string]string
	// LastStores are those that were last in force, by place, as far as that is remembered.
	LastStores map[string]Served
	// Upto is the last tier to converge; "" is all of them.
	Upto string
	// Fingerprint is that of the plan a person has agreed to; another one is refused.
	Fingerprint string
	// Rules are guards beside the plan's own.
	Rules []plan.Rule
	// Enter is called before the first act, and when there is nothing to do: from here
	// on want is what counts. An error keeps the run from acting. May be nil.
	Enter func(context.Context) error

	made   []spec.Ref // images that were had in this run: containers follow them
	beside bool       // the caller holds the lock already
	follow Listener   // told of this run's events beside Listen; may be nil
}

// Plan looks and decides. It changes nothing.
func (r *Reconciler) Plan(ctx context.Context, want spec.Desired, o Options) (plan.Plan, drift.Drift, error) {
	have, d, err := r.Look(ctx, want, o)
	if err != nil {
		return plan.Plan{}, nil, err
	}
	return r.planFor(ctx, want, have, d, o), d, nil
}

// planFor plans for what was seen.
func (r *Reconciler) planFor(ctx context.Context, want spec.Desired, have drift.Observed, d drift.Drift, o Options) plan.Plan {
	if o.Refresh {
		d = append(stale(want, d), d...)
	}
	return r.planAround(ctx, want, have, d, o)
}

// planAround plans, and plans again around what the targets say would go wrong.
func (r *Reconciler) planAround(ctx context.Context, want spec.Desired, have drift.Observed, d drift.Drift, o Options) plan.Plan {
	p := r.build(want, have, d, o)
	if p.Empty() {
		return p
	}
	var obstacles []plan.Obstacle
	for _, t := range r.Targets {
		if checker, ok := t.(Checker); ok {
			obstacles = append(obstacles, checker.Check(ctx, p)...)
		}
	}
	if len(obstacles) == 0 {
		return p
	}
	o.Rules = append(plan.Around(obstacles), o.Rules...)
	return r.build(want, have, d, o)
}

// build plans within the options.
func (r *Reconciler) build(want spec.Desired, have drift.Observed, d drift.Drift, o Options) plan.Plan {
	rules := slices.Clone(o.Rules)
	if !o.GoingBack {
		rules = append(rules, plan.KeepFromTeardown(want, have, o.LastTiers, r.now()))
		if w := r.window(want); w != nil {
			rules = append(rules, plan.KeepForWindow(*w))
		}
	}
	if o.KeepMoved {
		rules = append(rules, plan.KeepMovedTags(o.made...))
	}
	if o.Upto != "" {
		rules = append(rules, plan.Beyond(want, o.Upto))
	}
	p := plan.Build(want, have, d, rules...)
	if o.Upto != "" {
		p = p.Upto(want, o.Upto)
	}
	return p
}

// window is that of a spec now, or nil if it has none.
func (r *Reconciler) window(want spec.Desired) *plan.Window {
	if r.Window == nil || len(want.Windows) == 0 {
		return nil
	}
	w := r.Window(want, r.now())
	return &w
}

// saw has a report take in what a look has shown.
func (r *Reconciler) saw(rep *report.Report, want spec.Desired, have drift.Observed, d drift.Drift) {
	rep.Saw(want, have, d)
	rep.Status.Window = r.window(want)
}

// stale are the images that are to be asked for again though they are there.
func stale(want spec.Desired, d drift.Drift) drift.Drift {
	var all drift.Drift
	for _, image := range spec.Resources[*spec.Image](want) {
		if _, differs := d.Of(image.Ref()); image.Pull == spec.PullAlways && !differs {
			all = append(all, drift.Difference{
				Ref: image.Ref(), Tier: want.TierOf(image.Ref()), Verdict: drift.Stale, Want: image,
				Reason: "pull_policy is always",
			})
		}
	}
	return all
}

// Execute carries out a plan as it is, such as plan.Down, and reports its steps.
func (r *Reconciler) Execute(ctx context.Context, want spec.Desired, p plan.Plan) report.Report {
	began := r.now()
	rep := report.Report{Project: p.Project, Revision: p.Revision, At: began, Held: p.Held}
	release, err := r.lock(ctx, want.Project, false)
	if err != nil {
		rep.Fault = err.Error()
		return rep
	}
	defer release()
	e := r.execution(want, nil)
	e.emit(Event{Kind: Planned, Plan: &p})
	rep.Steps = e.run(ctx, p)
	if ctx.Err() != nil {
		rep.Fault, rep.CutShort = "cut short: "+context.Cause(ctx).Error(), true
	}
	rep.Took = r.now().Sub(began)
	rep.Ready = rep.Err() == nil
	return rep
}

// Converge brings the system to want and reports. Images come first: when they are
// there, or are known not to be had, it looks and plans again, and that plan is
// carried out. A run that had something to do ends with another look.
func (r *Reconciler) Converge(ctx context.Context, want spec.Desired, o Options) report.Report {
	began := r.now()
	rep := report.Report{Project: want.Project, Revision: want.Revision, Trigger: o.Trigger, At: began, Beside: o.beside}
	if err := r.converge(ctx, want, o, &rep); err != nil {
		rep.Fault, rep.Ready, rep.CutShort = err.Error(), false, ctx.Err() != nil
	}
	rep.Took = r.now().Sub(began)
	return rep
}

func (r *Reconciler) converge(ctx context.Context, want spec.Desired, o Options, rep *report.Report) error {
	release, err := r.lock(ctx, want.Project, o.beside)
	if err != nil {
		return err
	}
	defer release()
	have, before, err := r.lookBeforeRun(ctx, want, o, rep)
	if err != nil {
		return err
	}
	r.saw(rep, want, have, before)
	p := r.planFor(ctx, want, have, before, o)
	if o.Fingerprint != "" && o.Fingerprint != p.Fingerprint {
		return errors.New("what runs has changed since the plan was made, so another one would be carried out; nothing was changed: look again with flumen-agent plan")
	}
	rep.Before, rep.After, rep.Held = before, before, p.Held
	if p.Empty() && !p.Settled() {
		return nil
	}
	if o.Enter != nil && enters(p) {
		if err := o.Enter(ctx); err != nil {
			return err
		}
	}
	if p.Empty() {
		rep.Ready = true
		return nil
	}
	return r.carryOut(ctx, want, p, o, rep)
}

// Check looks and reports what differs. It changes nothing.
func (r *Reconciler) Check(ctx context.Context, want spec.Desired, o Options) report.Report {
	began := r.now()
	rep := report.Report{Project: want.Project, Revision: want.Revision, Trigger: o.Trigger, At: began}
	have, d, err := r.Look(ctx, want, o)
	if err != nil {
		rep.Fault, rep.CutShort = err.Error(), ctx.Err() != nil
	} else {
		r.saw(&rep, want, have, d)
	}
	rep.Before, rep.After, rep.Ready = d, d, err == nil && d.InSync()
	rep.Took = r.now().Sub(began)
	return rep
}

// carryOut executes a plan that has steps, and looks at what came of it.
func (r *Reconciler) carryOut(ctx context.Context, want spec.Desired, p plan.Plan, o Options, rep *report.Report) (err error) {
	rep.After = nil // not known until we have looked again
	e := r.execution(want, o.follow)
	e.emit(Event{Kind: Planned, Plan: &p})
	if images, ok := p.Images(); ok {
		had := e.run(ctx, images)
		rep.Steps = append(rep.Steps, had...)
		o.Refresh, o.Rules = false, append(slices.Clone(o.Rules), withoutImages(had)...)
		o.made = doneRefs(had)
		if p, _, err = r.Plan(ctx, want, o); err != nil {
			return err
		}
		rep.Held = withoutSteps(p.Held, had)
		e.emit(Event{Kind: Planned, Plan: &p})
	}
	rep.Steps = append(rep.Steps, e.run(ctx, p)...)
	if ctx.Err() != nil {
		return fmt.Errorf("cut short: %w", context.Cause(ctx))
	}
	have, after, err := r.Look(ctx, want, o)
	if err != nil {
		return fmt.Errorf("look again after the last step: %w", err)
	}
	rep.After = after
	rep.Ready = rep.Err() == nil && r.planAround(ctx, want, have, after, o).Settled()
	r.saw(rep, want, have, after)
	return nil
}

// Prune removes the images that were built for revisions which nobody will go back to: all
// but those of the two latest that became ready. Where fewer are known, it removes nothing.
func (r *Reconciler) Prune(ctx context.Context, project string, s Standing) (removed []string, err error) {
	if len(s.Kept) < keepImages {
		return nil, nil
	}
	var keep []spec.ImageKey
	for _, k := range s.Kept {
		keep = append(keep, k.Images...)
	}
	for _, t := range r.Targets {
		if pruner, ok := t.(Pruner); ok {
			some, e := pruner.PruneImages(ctx, project, keep)
			removed, err = append(removed, some...), errors.Join(err, e)
		}
	}
	return removed, err
}

// withoutImages are the rules that follow from images that could not be had:
// nothing is made, replaced or removed, since what runs now may be all there is.
// Starting what is stopped needs no image, and goes on.
func withoutImages(steps []report.Step) []plan.Rule {
	var rules []plan.Rule
	for _, s := range steps {
		if s.Outcome == report.Done {
			continue
		}
		reason := fmt.Sprintf("%s could not be had", s.Ref)
		rules = append(rules, plan.Rule{Name: "image", Holds: func(step plan.Step) string {
			switch step.Change.(type) {
			case plan.Create, plan.Replace, plan.Remove:
				return reason
			}
			return ""
		}})
	}
	return rules
}

func doneRefs(steps []report.Step) []spec.Ref {
	var refs []spec.Ref
	for _, s := range steps {
		if s.Outcome == report.Done {
			refs = append(refs, s.Ref)
		}
	}
	return refs
}

// lock waits for the project, unless the caller has it already.
func (r *Reconciler) lock(ctx context.Context, project string, held bool) (release func(), err error) {
	if r.Lock == nil || held {
		return func() {}, nil
	}
	return r.Lock(ctx, project)
}

// withoutSteps leaves out what was tried and has failed: that is said of the step.
func withoutSteps(held []plan.Held, steps []report.Step) []plan.Held {
	return slices.DeleteFunc(slices.Clone(held), func(h plan.Held) bool {
		return slices.ContainsFunc(steps, func(s report.Step) bool { return s.Ref == h.Ref })
	})
}

func (r *Reconciler) execution(want spec.Desired, follow Listener) *execution {
	timeouts := map[string]time.Duration{}
	for _, t := range want.Tiers {
		timeouts[t.Name] = t.Timeout
	}
	return &execution{
		target: r.target, now: r.now, timeouts: timeouts,
		listen: func(e Event) {
			r.listening.Lock()
			defer r.listening.Unlock()
			for _, listen := range []Listener{r.Listen, follow} {
				if listen != nil {
					listen(e)
				}
			}
		},
	}
}

func (r *Reconciler) target(kind spec.Kind) Target {
	for _, t := range r.Targets {
		if slices.Contains(t.Kinds(), kind) {
			return t
		}
	}
	panic("reconciler: no target serves " + string(kind))
}

func (r *Reconciler) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}
