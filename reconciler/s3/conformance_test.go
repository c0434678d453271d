package s3

import (
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/targettest"
	"github.com/flumendata/flumen-agent/spec"
)

func TestTargetConformsOnMinIO(t *testing.T) {
	w := newWorld(t, enginetest.MinIO(t))
	t.Run("bucket", func(t *testing.T) { targettest.RunInside(t, w.buckets("bucket")) })
	t.Run("access", func(t *testing.T) { targettest.RunInside(t, w.users()) })
}

func TestTargetConformsOnVersityGW(t *testing.T) {
	targettest.RunInside(t, newWorld(t, enginetest.VersityGW(t)).buckets("versity"))
}

// holding is a project with one thing, in a store.
func holding(project string, r spec.Resource, s *spec.Store) spec.Desired {
	return spec.Desired{Project: project, Stores: []*spec.Store{s}, Tiers: []spec.Tier{{Name: "only", Resources: []spec.Resource{r}}}}
}

// nowhere is a store that does not answer.
func nowhere(s *spec.Store) *spec.Store {
	gone := *s
	gone.Endpoint = "127.0.0.1:1"
	return &gone
}

func newTarget(*testing.T, string) targettest.Target { return New(nil) }

func (w *world) buckets(prefix string) targettest.Inside {
	named := func(project string, v spec.Versioning) *spec.Bucket {
		return &spec.Bucket{Key: project, Name: project, Store: w.store, Versioning: v}
	}
	return targettest.Inside{
		Project: prefix, New: newTarget,
		Want: func(project string) (first, changed spec.Desired) {
			return holding(project, named(project, spec.VersioningEnabled), w.store), holding(project, named(project, spec.VersioningSuspended), w.store)
		},
		Lose: func(t *testing.T, r spec.Resource) {
			if err := w.hand.RemoveBucket(t.Context(), r.(*spec.Bucket).Name); err != nil {
				t.Fatal(err)
			}
		},
		Spoil: func(t *testing.T, r spec.Resource) {
			if err := w.hand.EnableVersioning(t.Context(), r.(*spec.Bucket).Name); err != nil {
				t.Fatal(err)
			}
		},
		Unreachable: func(project string) spec.Desired {
			b := named(project, "")
			b.Store = nowhere(w.store)
			return holding(project, b, b.Store)
		},
	}
}

func (w *world) users() targettest.Inside {
	named := func(project, policy string) *spec.Access {
		a := w.user(policy)
		a.User, a.Owner = strings.TrimSuffix(project, "-b"), project
		return a
	}
	return targettest.Inside{
		Project: "access", New: newTarget,
		Want: func(project string) (first, changed spec.Desired) {
			return holding(project, named(project, reads), w.store), holding(project, named(project, writes), w.store)
		},
		Lose: func(t *testing.T, r spec.Resource) {
			if err := w.admin().removeUser(t.Context(), r.(*spec.Access).User); err != nil {
				t.Fatal(err)
			}
		},
		Spoil: func(t *testing.T, r spec.Resource) {
			if err := w.admin().attach(t.Context(), r.(*spec.Access).User, "readonly"); err != nil {
				t.Fatal(err)
			}
		},
		Unreachable: func(project string) spec.Desired {
			a := named(project, reads)
			a.Store = nowhere(w.store)
			return holding(project, a, a.Store)
		},
	}
}
