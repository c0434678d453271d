package s3

import (
	"slices"
	"testing"

	"github.com/minio/minio-go/v7/pkg/lifecycle"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// attributeCases declare something of a bucket and change it by hand; fields are those that
// are found to differ then.
var attributeCases = map[string]struct {
	declare func(*spec.Bucket)
	harm    func(*world, *spec.Bucket) error
	fields  []string
}{
	"versioning": {
		func(b *spec.Bucket) { b.Versioning = spec.VersioningEnabled },
		func(w *world, b *spec.Bucket) error { return w.hand.SuspendVersioning(w.Context(), b.Name) },
		[]string{"versioning"},
	},
	"tag changed": {
		func(b *spec.Bucket) { b.Tags = map[string]string{"owner": "data", "cost": "42"} },
		func(w *world, b *spec.Bucket) error {
			return w.tag(b, map[string]string{"owner": "me", "cost": "42", "team": "x", spec.OwnerTag: w.project()})
		},
		[]string{"tag.owner"},
	},
	"lifecycle rule changed": {
		func(b *spec.Bucket) { b.Lifecycle = someRules },
		func(w *world, b *spec.Bucket) error {
			return w.rules(b, append([]lifecycle.Rule{expire("noncurrent", "x", 1)}, rulesFor(someRules[1:])...)...)
		},
		[]string{"lifecycle.noncurrent"},
	},
	"lifecycle removed": {
		func(b *spec.Bucket) { b.Lifecycle = someRules },
		func(w *world, b *spec.Bucket) error { return w.rules(b) },
		[]string{"lifecycle.by size", "lifecycle.by tags", "lifecycle.day", "lifecycle.markers", "lifecycle.noncurrent", "lifecycle.off"},
	},
	"tags removed": {
		func(b *spec.Bucket) { b.Tags = map[string]string{"owner": "data", "empty": ""} },
		func(w *world, b *spec.Bucket) error { return w.hand.RemoveBucketTagging(w.Context(), b.Name) },
		[]string{"tag.empty", "tag.owner"},
	},
}

// TestAttributesAreSetAndSetBack holds for each attribute that it is there when the bucket
// was made, also if that was by somebody else, that a change by hand is found by the field
// and put right, and that there is nothing to do then.
func TestAttributesAreSetAndSetBack(t *testing.T) {
	address := enginetest.MinIO(t)
	for name, c := range attributeCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, address)
			made, adopted := w.bucket(), w.bucket()
			w.byHand(adopted, nil)
			want := w.desired(made, adopted)
			w.observe(want)
			for _, b := range []*spec.Bucket{made, adopted} {
				c.declare(b)
				w.mustApply(plan.Create{Want: b})
				w.must(want, b, "")
				if err := c.harm(w, b); err != nil {
					t.Fatal(err)
				}
				d := w.must(want, b, drift.Changed)
				if names := fieldNames(d.Fields); !slices.Equal(names, c.fields) {
					t.Errorf("%v differ, want %v", names, c.fields)
				}
				w.mustApply(plan.Update{Want: b, Have: *d.Have, Fields: d.Fields})
				w.must(want, b, "")
			}
		})
	}
}

func fieldNames(fields []drift.Field) (names []string) {
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}

// tag gives a bucket these tags by hand, and no others.
func (w *world) tag(b *spec.Bucket, all map[string]string) error {
	set, err := tags.MapToBucketTags(all)
	if err != nil {
		return err
	}
	return w.hand.SetBucketTagging(w.Context(), b.Name, set)
}

func testTagsOfOthers(w *world) {
	b := w.bucket()
	w.byHand(b, map[string]string{"team": "data", "owner": "nobody"})
	b.Tags = map[string]string{"owner": "data"}
	want := w.desired(b)
	d := w.must(want, b, drift.Changed)
	w.mustHaveTags(b, map[string]string{"team": "data", "owner": "nobody"})
	w.mustApply(plan.Update{Want: b, Have: *d.Have, Fields: d.Fields})
	w.mustHaveTags(b, map[string]string{"team": "data", "owner": "data", spec.OwnerTag: want.Project})
	w.must(want, b, "")
	w.must(w.desired(), b, drift.Extra) // it was written to, so it is found when it leaves
}
