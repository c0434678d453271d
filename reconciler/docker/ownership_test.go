package docker

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/docker/docker/api/types/container"
	imageapi "github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// byCompose makes a container as Compose does: with its labels and none of ours.
func (w world) byCompose(s *spec.Service, more map[string]string) string {
	w.Helper()
	labels := map[string]string{composeProject: w.project, composeService: s.Name, composeNumber: "1", composeOneOff: "False", composeHash: "abc"}
	maps.Copy(labels, more)
	b := draw(s, site{labels: labels})
	networking := &network.NetworkingConfig{}
	for _, e := range b.networks {
		e.settings.Aliases = append(e.settings.Aliases, s.Container)
		networking.EndpointsConfig = map[string]*network.EndpointSettings{e.network: e.settings}
	}
	answer, err := w.engine.ContainerCreate(w.Context(), b.config, b.host, networking, nil, s.Container)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.engine.ContainerStart(w.Context(), answer.ID, container.StartOptions{}); err != nil {
		w.Fatal(err)
	}
	return answer.ID
}

func (w world) composeNetwork() {
	w.Helper()
	_, err := w.engine.NetworkCreate(w.Context(), w.project+"_default", network.CreateOptions{Labels: map[string]string{composeProject: w.project, composeNetwork: "default"}})
	if err != nil {
		w.Fatal(err)
	}
}

func TestWhatComposeStartedIsAdoptedAsItIs(t *testing.T) {
	eachWorld(t, func(w world) {
		w.composeNetwork()
		image := enginetest.Image(w, w.engine, "VOLUME /image", "ENV A=1", "LABEL x=y", `CMD ["run"]`, "USER 1000", "WORKDIR /", "EXPOSE 80")
		data := &spec.Volume{Key: "data", Name: w.project + "_data"}
		_, err := w.engine.VolumeCreate(w.Context(), volume.CreateOptions{Name: data.Name, Labels: map[string]string{composeProject: w.project, composeVolume: "data"}})
		if err != nil {
			w.Fatal(err)
		}
		one := w.service("one", environment("B=2"), func(s *spec.Service) {
			s.Image, s.Hostname, s.Memory = image, "here", 64<<20
			s.Mounts = []spec.Mount{{Type: spec.MountVolume, Volume: "data", Source: data.Name, Target: "/data"}}
		})
		id := w.byCompose(one, nil)
		w.mustOnlySettle(w.desired(data, one))
		if w.inspect(one.Container).ID != id {
			w.Error("it was replaced")
		}
	})
}

func TestAdoptedContainerIsReplacedWhenItDiffers(t *testing.T) {
	eachWorld(t, func(w world) {
		w.composeNetwork()
		w.byCompose(w.service("one"), nil)
		w.mustConverge(w.desired(w.service("one", revision("2"))))
		w.mustConverge(w.desired(w.service("one", revision("3"))))
	})
}

func TestOtherContainersOfAComposeProjectAreLeftAlone(t *testing.T) {
	eachWorld(t, func(w world) {
		w.composeNetwork()
		other := w.byCompose(w.service("other"), nil)
		run := w.service("one", func(s *spec.Service) { s.Container = w.project + "-one-run-1" })
		oneOff := w.byCompose(run, map[string]string{composeOneOff: "True"})
		w.mustConverge(w.desired(w.service("one")))
		w.mustConverge(w.desired())
		for _, id := range []string{other, oneOff} {
			if !w.inspect(id).State.Running {
				w.Errorf("%s was stopped", id)
			}
		}
	})
}

func TestForeignThingsInTheWayAreFoundAndNotTouched(t *testing.T) {
	eachWorld(t, func(w world) {
		theirs := enginetest.Project(w, w.engine)
		labels := map[string]string{composeProject: theirs}
		data := &spec.Volume{Key: "data", Name: w.project + "_data"}
		one := w.service("one")
		if _, err := w.engine.NetworkCreate(w.Context(), w.project+"_default", network.CreateOptions{Labels: labels}); err != nil {
			w.Fatal(err)
		}
		if _, err := w.engine.VolumeCreate(w.Context(), volume.CreateOptions{Name: data.Name, Labels: labels}); err != nil {
			w.Fatal(err)
		}
		if _, err := w.engine.ContainerCreate(w.Context(), &container.Config{Image: enginetest.Sleeper, Labels: labels}, nil, nil, nil, one.Container); err != nil {
			w.Fatal(err)
		}
		want := w.desired(data, one)
		have := w.observe(want)
		for _, d := range drift.Compare(want, have) {
			if d.Verdict != drift.Foreign {
				w.Errorf("%s is %s", d.Ref, d.Verdict)
			}
			for _, c := range []plan.Change{plan.Create{Want: d.Want}, plan.Replace{Want: d.Want, Have: *d.Have}, plan.Remove{Have: *d.Have}} {
				if err := w.target.Apply(w.Context(), c, silent{}); err == nil || errors.Is(err, plan.ErrStale) {
					w.Errorf("%s %s: got %v, want that it is in the way", c.Verb(), d.Ref, err)
				}
			}
		}
		if diff := cmp.Diff(have.Found, w.observe(want).Found, cmp.AllowUnexported(spec.Value{})); diff != "" {
			w.Error(diff)
		}
	})
}

func TestTwoProjectsDoNotSeeEachOther(t *testing.T) {
	eachWorld(t, func(w world) {
		other := newWorld(w.T, w.engine)
		w.mustConverge(w.desired(w.service("one")))
		other.mustConverge(other.desired(other.service("one")))
		other.mustConverge(other.desired())
		w.mustBeInSync(w.desired(w.service("one")))
	})
}

func TestInstancesOfAScaledServiceAreFoundOneByOne(t *testing.T) {
	eachWorld(t, func(w world) {
		second := w.service("one", func(s *spec.Service) { s.Number, s.Container = 2, w.project+"-one-2" })
		w.mustConverge(w.desired(w.service("one"), second))
		d, _ := w.drift(w.desired(w.service("one"))).Of(second.Ref())
		if d.Verdict != drift.Extra {
			w.Errorf("the second is %q", d.Verdict)
		}
	})
}

func TestMovedTagIsReportedAsSuch(t *testing.T) {
	eachWorld(t, func(w world) {
		a, b := enginetest.Image(w, w.engine, "ENV A=1"), enginetest.Image(w, w.engine, "ENV A=2")
		one := w.service("one", func(s *spec.Service) { s.Image = a })
		w.mustConverge(w.desired(one))
		old := w.inspect(one.Container).Image
		if err := w.engine.ImageTag(w.Context(), b, a); err != nil {
			w.Fatal(err)
		}
		d, _ := w.drift(w.desired(one)).Of(one.Ref())
		want := a + " (" + short(old) + ", moved)"
		if len(d.Fields) != 1 || d.Fields[0].Have.String() != want {
			w.Errorf("fields %v, want an image that is %s", d.Fields, want)
		}
	})
}

func TestFieldsOfAnAdoptedContainerWithoutItsImageAreUnseen(t *testing.T) {
	eachWorld(t, func(w world) {
		w.composeNetwork()
		a, b := enginetest.Image(w, w.engine, "ENV A=1"), enginetest.Image(w, w.engine, "ENV A=2")
		one := w.service("one", func(s *spec.Service) { s.Image = a })
		id := w.byCompose(one, nil)
		c := w.inspect(id)
		k := knowledge{images: map[string]imageInfo{}, references: map[string]string{a: "sha256:another"}}
		f, blind := describe(c, one, k, newDigests())
		if _, ok := blind["env.A"]; !ok {
			w.Errorf("blind: %v; fields %v, %s", blind, f, b)
		}
	})
}

func TestExternalThingsOnlyHaveToBeThere(t *testing.T) {
	eachWorld(t, func(w world) {
		theirs := enginetest.Project(w, w.engine)
		labels := map[string]string{composeProject: theirs}
		if _, err := w.engine.NetworkCreate(w.Context(), theirs+"_net", network.CreateOptions{Labels: labels, Internal: true}); err != nil {
			w.Fatal(err)
		}
		if _, err := w.engine.VolumeCreate(w.Context(), volume.CreateOptions{Name: theirs + "_data", Labels: labels}); err != nil {
			w.Fatal(err)
		}
		w.mustBeInSync(spec.Desired{Project: w.project, Tiers: []spec.Tier{{Name: "base", Resources: []spec.Resource{
			&spec.Network{Key: "net", Name: theirs + "_net", External: true},
			&spec.Volume{Key: "data", Name: theirs + "_data", External: true},
		}}}})
	})
}

func TestCancelledObservationIsAnError(t *testing.T) {
	eachWorld(t, func(w world) {
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		if _, err := w.target.Observe(ctx, w.desired()); err == nil {
			w.Error("what was not looked at passes for observed")
		}
	})
}

func TestCopyMadeByCommitIsLeftAlone(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("one"))
		w.mustConverge(want)
		image := "flumen-test/" + w.project + ":copy"
		if _, err := w.engine.ContainerCommit(w.Context(), w.project+"-one-1", container.CommitOptions{Reference: image}); err != nil {
			w.Fatal(err)
		}
		name := w.project + "-copy"
		w.Cleanup(func() {
			_ = w.engine.ContainerRemove(context.Background(), name, container.RemoveOptions{Force: true})
			_, _ = w.engine.ImageRemove(context.Background(), image, imageapi.RemoveOptions{})
		})
		if _, err := w.engine.ContainerCreate(w.Context(), &container.Config{Image: image}, nil, nil, nil, name); err != nil {
			w.Fatal(err)
		}
		w.mustBeInSync(want)
		w.mustConverge(w.desired())
		w.inspect(name)
	})
}
