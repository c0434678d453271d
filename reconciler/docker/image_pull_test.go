package docker

import (
	"testing"

	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// told remembers what a Progress was told.
type told struct {
	progress
	doing []doing
}

type doing struct {
	what        string
	done, total int64
}

func (t *told) Doing(what string, done, total int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doing = append(t.doing, doing{what, done, total})
}

// wanting is a Desired of these images alone.
func wanting(project string, all ...*spec.Image) spec.Desired {
	tier := spec.Tier{Name: "base"}
	for _, one := range all {
		tier.Resources = append(tier.Resources, one)
	}
	return spec.Desired{Project: project, Tiers: []spec.Tier{tier}}
}

// have looks at one image.
func (i *images) have(t *testing.T, project string, want *spec.Image) (drift.Found, bool) {
	t.Helper()
	found, blind := i.observe(t.Context(), wanting(project, want))
	if len(blind) > 0 {
		t.Fatal(blind)
	}
	f, ok := found[want.Ref()]
	return f, ok
}

// anonymous looks after images without any credentials.
func anonymous(t *testing.T, engine client.APIClient) *images {
	i := newImages(engine)
	i.credentials.dir = configOf(t, map[string]any{})
	return i
}

func TestPullFetchesWhatIsMissing(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		r := newRegistry(t, engine, false)
		want := &spec.Image{Name: r.push(enginetest.Image(t, engine), "app:1")}
		i := anonymous(t, engine)
		if f, ok := i.have(t, "p", want); ok {
			t.Fatalf("found before it was pulled: %v", f)
		}
		var p told
		if err := i.apply(t.Context(), plan.Create{Want: want}, &p); err != nil {
			t.Fatal(err)
		}
		f, ok := i.have(t, "p", want)
		if !ok || !f.Owned || f.State != drift.Present || f.ID == "" {
			t.Errorf("after the pull: %+v %v", f, ok)
		}
		if len(p.phases) != 1 || p.phases[0] != spec.Created {
			t.Errorf("phases: %v", p.phases)
		}
	})
}

func TestPullShowsTheRegistryItsCredentials(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		r := newRegistry(t, engine, true)
		want := &spec.Image{Name: r.push(enginetest.Image(t, engine), "app:1")}
		i := newImages(engine)
		i.credentials.dir = r.dockerConfig(registryPassword)
		if err := i.apply(t.Context(), plan.Create{Want: want}, silent{}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPullAsksTheCredentialHelper(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		r := newRegistry(t, engine, true)
		want := &spec.Image{Name: r.push(enginetest.Image(t, engine), "app:1")}
		i := newImages(engine)
		i.credentials.dir = r.helperConfig()
		if err := i.apply(t.Context(), plan.Create{Want: want}, silent{}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPullSaysWhatToDoWhenItIsRefused(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		r := newRegistry(t, engine, true)
		want := &spec.Image{Name: r.push(enginetest.Image(t, engine), "app:1")}
		i := anonymous(t, engine)
		mustSay(t, i.apply(t.Context(), plan.Create{Want: want}, silent{}), "gives it to nobody without a login", "docker login "+r.host)
		i.credentials.dir = r.dockerConfig("wrong")
		mustSay(t, i.apply(t.Context(), plan.Create{Want: want}, silent{}), "does not give it to the user", "docker login "+r.host)
		i.credentials.dir = configOf(t, map[string]any{"credsStore": "missing"})
		mustSay(t, i.apply(t.Context(), plan.Create{Want: want}, silent{}), "get the credentials for "+r.host, "docker-credential-missing")
	})
}

func TestPullSaysWhatToDoWhenThereIsNoSuchImage(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		r := newRegistry(t, engine, false)
		r.push(enginetest.Image(t, engine), "app:1")
		i := anonymous(t, engine)
		for name, says := range map[string][]string{
			r.host + "/app:2":   {r.host + " has no such image", "check the name and the tag"},
			r.host + "/other:1": {r.host + " has no such image"},
			"127.0.0.1:1/app:1": {"127.0.0.1:1 cannot be reached", "check"},
			"Not a name":        {"is not the name of an image"},
		} {
			mustSay(t, i.apply(t.Context(), plan.Create{Want: &spec.Image{Name: name}}, silent{}), says...)
		}
	})
}

func TestPullRefusesAnImageOfAnotherPlatform(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		r := newRegistry(t, engine, false)
		want := &spec.Image{Name: r.push(enginetest.Image(t, engine), "app:1"), Platform: "linux/s390x"}
		i := anonymous(t, engine)
		mustSay(t, i.apply(t.Context(), plan.Create{Want: want}, silent{}), "not for linux/s390x")
		if id, err := i.idOf(t.Context(), want.Name); id != "" || err != nil {
			t.Errorf("it has the name all the same: %s %v", id, err)
		}
	})
}

func TestAFailedPullLeavesTheImageThatWasThere(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		local := enginetest.Image(t, engine)
		want := &spec.Image{Name: "127.0.0.1:1/" + local, Pull: spec.PullAlways}
		if err := engine.ImageTag(t.Context(), local, want.Name); err != nil {
			t.Fatal(err)
		}
		forget(t, engine, want.Name)
		i := anonymous(t, engine)
		before, _ := i.have(t, "p", want)
		mustSay(t, i.apply(t.Context(), plan.Update{Want: want, Have: before}, silent{}), "cannot be reached")
		if after, ok := i.have(t, "p", want); !ok || after.ID != before.ID {
			t.Errorf("was %s, is %s", before.ID, after.ID)
		}
	})
}

func TestAnImageThatMayNotBePulledIsSaidToBeMissing(t *testing.T) {
	t.Parallel()
	want := &spec.Image{Name: "app:1", Pull: spec.PullNever}
	mustSay(t, newImages(nil).apply(t.Context(), plan.Create{Want: want}, silent{}), "pull_policy is never")
}

func TestAnImageOfAnotherPlatformIsNotTheOneWanted(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		name := enginetest.Image(t, engine)
		i := anonymous(t, engine)
		info, err := engine.ImageInspect(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for platform, there := range map[string]bool{"linux/s390x": false, "linux/" + info.Architecture: true, "": true} {
			if _, ok := i.have(t, "p", &spec.Image{Name: name, Platform: platform}); ok != there {
				t.Errorf("%q: found is %v", platform, ok)
			}
		}
	})
}
