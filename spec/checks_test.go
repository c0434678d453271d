package spec_test

import (
	"testing"

	"github.com/flumendata/flumen-agent/spec"
)

func TestIgnoredFieldsAreThoseOfTheThingAndAllItsInstances(t *testing.T) {
	c := spec.Checks{Ignore: []spec.Ignore{{Ref: spec.InstanceRef("worker", 1), Fields: []string{"env.JUPYTER_*", "image"}}}}
	for _, one := range []struct {
		ref     spec.Ref
		field   string
		ignored bool
	}{
		{spec.InstanceRef("worker", 1), "image", true},
		{spec.InstanceRef("worker", 3), "env.JUPYTER_TOKEN", true},
		{spec.InstanceRef("worker", 1), "env.TZ", false},
		{spec.InstanceRef("worker", 1), "images", false},
		{spec.InstanceRef("worker2", 1), "image", false},
		{spec.Ref{Kind: spec.KindVolume, Name: "worker"}, "image", false},
	} {
		if got := c.Ignores(one.ref, one.field); got != one.ignored {
			t.Errorf("%s %s: %v", one.ref, one.field, got)
		}
	}
}
