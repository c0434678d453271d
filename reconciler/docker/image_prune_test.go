package docker

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/flumendata/flumen-agent/spec"
)

// prune removes what is not to be kept.
func (b builds) prune(keep ...spec.Desired) []string {
	b.Helper()
	target := New(b.engine)
	var keys []spec.ImageKey
	for _, want := range keep {
		keys = append(keys, want.ImageKeys()...)
	}
	removed, err := target.PruneImages(b.Context(), keep[0].Project, keys)
	if err != nil {
		b.Fatal(err)
	}
	return removed
}

func (b builds) exists(id string) bool {
	b.Helper()
	got, err := b.idOf(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	return got != ""
}

// buildOf builds the image with this content. It differs from all others by it.
func (b builds) buildOf(content string) (*spec.Image, image.InspectResponse) {
	b.Helper()
	b.write("Dockerfile", "FROM scratch\nCOPY file /\n")
	b.write("file", b.project+content)
	want := b.image("sha256:" + content)
	return want, b.mustBuild(want)
}

// create makes a container of an image, which uses it though it never runs.
func (b builds) create(id string) {
	b.Helper()
	if _, err := b.engine.ContainerCreate(b.Context(), &container.Config{Image: id, Cmd: []string{"/file"}, Labels: map[string]string{composeProject: b.project}}, nil, nil, nil, ""); err != nil {
		b.Fatal(err)
	}
}

func TestPruneRemovesTheBuildBeforeTheLastGoodOne(t *testing.T) {
	eachBuilds(t, func(b builds) {
		_, first := b.buildOf("one")
		lastGood, second := b.buildOf("two")
		current, third := b.buildOf("three")
		removed := b.prune(wanting(b.project, current), wanting(b.project, lastGood))
		if len(removed) != 1 || !strings.Contains(removed[0], short(first.ID)) || !strings.Contains(removed[0], current.Name) {
			b.Errorf("removed: %v", removed)
		}
		if b.exists(first.ID) || !b.exists(second.ID) || !b.exists(third.ID) {
			b.Errorf("there are: %v %v %v", b.exists(first.ID), b.exists(second.ID), b.exists(third.ID))
		}
	})
}

func TestPruneKeepsWhatAContainerUses(t *testing.T) {
	eachBuilds(t, func(b builds) {
		_, first := b.buildOf("one")
		b.create(first.ID)
		current, _ := b.buildOf("two")
		if removed := b.prune(wanting(b.project, current)); len(removed) > 0 || !b.exists(first.ID) {
			b.Errorf("removed: %v", removed)
		}
	})
}

func TestPruneRemovesTheImageOfAServiceThatIsGone(t *testing.T) {
	eachBuilds(t, func(b builds) {
		_, first := b.buildOf("one")
		if removed := b.prune(wanting(b.project)); len(removed) != 1 || b.exists(first.ID) {
			b.Errorf("removed: %v", removed)
		}
	})
}

func TestPruneLeavesOtherProjectsAlone(t *testing.T) {
	eachBuilds(t, func(b builds) {
		_, first := b.buildOf("one")
		if removed := b.prune(wanting(b.project + "-other")); len(removed) > 0 || !b.exists(first.ID) {
			b.Errorf("removed: %v", removed)
		}
	})
}

func TestPruneLeavesWhatAPersonNamed(t *testing.T) {
	eachBuilds(t, func(b builds) {
		_, first := b.buildOf("one")
		mine := b.project + "/mine:1"
		if err := b.engine.ImageTag(b.Context(), first.ID, mine); err != nil {
			b.Fatal(err)
		}
		forget(b.T, b.engine, mine)
		if removed := b.prune(wanting(b.project)); len(removed) > 0 || !b.exists(first.ID) {
			b.Errorf("removed: %v", removed)
		}
	})
}

// buildFrom builds an image from another as a person would, without a name, and gives
// its ID.
func (b builds) buildFrom(name string) (id string) {
	b.Helper()
	source, err := readContext(&spec.Build{Context: b.TempDir(), DockerfileInline: "FROM " + name + "\nLABEL mine=true\n"})
	if err != nil {
		b.Fatal(err)
	}
	stream, err := source.open()
	if err != nil {
		b.Fatal(err)
	}
	defer stream.Close()
	answer, err := b.engine.ImageBuild(b.Context(), stream, build.ImageBuildOptions{Version: build.BuilderV1, Dockerfile: source.dockerfile, Remove: true})
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	err = eachMessage(answer.Body, func(m jsonmessage.JSONMessage) {
		var result build.Result
		if m.Aux != nil && json.Unmarshal(*m.Aux, &result) == nil {
			id = result.ID
		}
	})
	if err != nil || id == "" {
		b.Fatalf("built %q: %v", id, err)
	}
	forget(b.T, b.engine, id)
	return id
}

func TestPruneLeavesWhatAPersonBuiltFromOurs(t *testing.T) {
	eachBuilds(t, func(b builds) {
		ours, _ := b.buildOf("one")
		theirs := b.buildFrom(ours.Name)
		current, _ := b.buildOf("two")
		b.prune(wanting(b.project, current))
		if !b.exists(theirs) {
			b.Error("it is gone")
		}
	})
}
