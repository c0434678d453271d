package s3

import (
	"errors"
	"sync"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// testTwoAgents has two agents that know nothing of each other, as on two machines, make, change
// and remove the same bucket and user at the same time.
func testTwoAgents(w *world) {
	b, a, next := w.bucket(), w.user(reads), w.user(writes)
	b.Versioning, b.Tags = spec.VersioningEnabled, map[string]string{"team": "data"}
	next.User, next.Secret = a.User, spec.Sensitive("the-second-secret")
	by, ctx, project := w.admin(), w.Context(), w.project()
	made := mark{true, project, a.User}.String()
	for _, c := range []struct {
		harm func() error
		want spec.Desired
		here bool
	}{
		{func() error { return nil }, w.both(b, a), true},
		{func() error { return errors.Join(w.tag(b, nil), by.removeUser(ctx, a.User)) }, w.both(b, a), true},
		{func() error { return nil }, w.both(b, next), true},
		{func() error { return by.attach(ctx, a.User, "readwrite") }, w.both(b, next), true},
		{func() error { return nil }, w.both(b, nil), false},
	} {
		w.ok(c.harm())
		var agents sync.WaitGroup
		for range 2 {
			agents.Go(func() {
				r := reconciler.Reconciler{Targets: []reconciler.Target{New(w.target.locate)}}
				for _, step := range r.Converge(ctx, c.want, reconciler.Options{}).Steps {
					// What the other one has done first is looked at again, and is no failure.
					if step.Outcome == report.Failed {
						w.Errorf("%s %s: %s", step.Verb, step.Ref, step.Error)
					}
				}
			})
		}
		agents.Wait()
		w.mustConverge(c.want)
		info, err := by.user(ctx, a.User)
		if _, marked := mustPolicies(w)[made]; err != nil || (info != nil) != c.here || marked != c.here {
			w.Errorf("the user is %+v, marked %t, %v", info, marked, err)
		}
		w.mustHaveTags(b, map[string]string{"team": "data", spec.OwnerTag: project})
	}
}

// both is the test's project with a bucket and, unless it is nil, a user.
func (w *world) both(b *spec.Bucket, a *spec.Access) spec.Desired {
	want := w.wanting()
	if a != nil {
		want = w.wanting(a)
	}
	want.Tiers[0].Resources = append(want.Tiers[0].Resources, b)
	return want
}
