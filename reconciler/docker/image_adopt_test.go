package docker

import (
	"testing"
	"time"

	"github.com/docker/docker/api/types/image"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/flumendata/flumen-agent/spec"
)

func TestAnImageThatComposeBuiltCountsAsBuiltUnlessItsFilesChangedSince(t *testing.T) {
	t.Parallel()
	built := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	have := image.InspectResponse{ID: "sha256:1", Metadata: image.Metadata{LastTagTime: built}, Config: &dockerspec.DockerOCIImageConfig{
		ImageConfig: ocispec.ImageConfig{Labels: map[string]string{composeProject: "p"}},
	}}
	for name, c := range map[string]struct {
		project  string
		modified time.Time
		adopted  bool
	}{
		"older files":     {"p", built.Add(-time.Hour), true},
		"newer files":     {"p", built.Add(time.Hour), false},
		"another project": {"q", built.Add(-time.Hour), false},
	} {
		want := &spec.Image{Name: "p-web", Build: &spec.Build{Digest: "sha256:want", Modified: c.modified}}
		_, adopted := foundImage(c.project, want, have).Fields["build"]
		if adopted != c.adopted {
			t.Errorf("%s: adopted %v", name, adopted)
		}
	}
}

func TestWhetherAnImageThatComposeBuiltIsCurrentIsUnseenWhereTheEngineDoesNotTellWhen(t *testing.T) {
	t.Parallel()
	have := image.InspectResponse{ID: "sha256:1", Config: &dockerspec.DockerOCIImageConfig{
		ImageConfig: ocispec.ImageConfig{Labels: map[string]string{composeBuilder: "classic"}},
	}}
	f := foundImage("p", &spec.Image{Name: "p-web", Build: &spec.Build{Digest: "sha256:want"}}, have)
	if _, ok := f.Fields["build"]; ok || f.Blind["build"] == "" {
		t.Errorf("fields %v, blind %v", f.Fields, f.Blind)
	}
}
