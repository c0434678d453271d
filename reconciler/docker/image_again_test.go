package docker

import (
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func TestImageOfAnEarlierRevisionIsFoundAgain(t *testing.T) {
	eachBuilds(t, func(b builds) {
		earlier, first := b.buildOf("one")
		_, second := b.buildOf("two")
		past := wanting(b.project, earlier).WithoutSources()
		again := b.mustBuild(spec.Resources[*spec.Image](past)[0])
		if again.ID != first.ID || !b.exists(second.ID) {
			b.Errorf("%s, expected %s; the later one is there: %v", again.ID, first.ID, b.exists(second.ID))
		}
	})
}

func TestImageThatCannotBeFoundAgainIsNotBuiltFromOtherFiles(t *testing.T) {
	eachBuilds(t, func(b builds) {
		want, _ := b.buildOf("content")
		other := *want.Build
		other.Digest, other.Context = "sha256:earlier", ""
		err := b.apply(b.Context(), plan.Create{Want: &spec.Image{Name: want.Name, Build: &other}}, silent{})
		if err == nil || !b.drift(wanting(b.project, want)).InSync() {
			b.Errorf("error %v, drift %v", err, b.drift(wanting(b.project, want)))
		}
	})
}
