package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/client"
	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/engineproxy"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

var errHarm = errors.New("harm done by the test")

// between puts a proxy between the target and its engine; harm is asked ahead of each
// call.
func (w world) between(harm func(c engineproxy.Call, mutation int) error) (world, *engineproxy.Proxy) {
	w.Helper()
	dir, err := os.MkdirTemp("", "proxy") // a socket's path must be short
	if err != nil {
		w.Fatal(err)
	}
	proxy, err := engineproxy.Start(dir, w.engine.DaemonHost())
	if err != nil {
		w.Fatal(err)
	}
	proxy.Before = harm
	w.Cleanup(func() {
		proxy.Close()
		os.RemoveAll(dir)
	})
	w.target = New(enginetest.Connect(w, proxy.Host))
	return w, proxy
}

func TestContainerThatCannotBeInspectedIsUnseen(t *testing.T) {
	eachWorld(t, func(w world) {
		one, two := w.service("one"), w.service("two")
		w.mustConverge(w.desired(one, two))
		id := w.inspect(one.Container).ID
		w, _ = w.between(func(c engineproxy.Call, _ int) error {
			if strings.HasSuffix(c.Path, "/containers/"+id+"/json") {
				return errHarm
			}
			return nil
		})
		d := w.drift(w.desired(one, two))
		if len(d) != 1 || d[0].Ref != one.Ref() || d[0].Verdict != drift.Unseen {
			w.Errorf("drift: %v", d)
		}
	})
}

func TestKindThatCannotBeListedIsUnseen(t *testing.T) {
	for list, kind := range map[string]spec.Kind{"/containers/json": spec.KindService, "/networks": spec.KindNetwork, "/volumes": spec.KindVolume} {
		t.Run(string(kind), func(t *testing.T) {
			eachWorld(t, func(w world) {
				want := w.desired(w.service("one"), &spec.Volume{Key: "data", Name: w.project + "_data"})
				w.mustConverge(want)
				w, _ = w.between(func(c engineproxy.Call, _ int) error {
					if strings.HasSuffix(c.Path, list) {
						return errHarm
					}
					return nil
				})
				for _, d := range w.drift(want) {
					if d.Ref.Kind != kind || d.Verdict != drift.Unseen {
						w.Errorf("%s is %s", d.Ref, d.Verdict)
					}
				}
			})
		})
	}
}

func TestLookingChangesNothing(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("one"), w.service("two"))
		w.mustConverge(want)
		w, proxy := w.between(nil)
		w.mustConverge(want)
		if calls := proxy.Mutations(); len(calls) > 0 {
			w.Errorf("calls: %v", calls)
		}
	})
}

func TestReplacementGoesOnAfterAFailureAtAnyCall(t *testing.T) {
	eachWorld(t, func(w world) {
		calls := []int{1, 2, 3, 4, 5, 6, 7, 8} // create, policy, stop, two renames, start, stop, remove
		for _, call := range enginetest.Share(w, w.engine, calls) {
			w.Run(fmt.Sprint(call), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, w.engine)
				var armed atomic.Bool
				w, _ = w.between(func(_ engineproxy.Call, mutation int) error {
					if armed.Load() && mutation == call {
						return errHarm
					}
					return nil
				})
				always := func(s *spec.Service) { s.Restart = "always" }
				before := newWorld(t, w.engine)
				before.project = w.project
				before.mustConverge(w.desired(w.service("one", always, revision("1"))))
				id := w.inspect(w.project + "-one-1").ID

				armed.Store(true)
				err := w.converge(w.desired(w.service("one", always, revision("2"))))
				armed.Store(false)
				if err == nil {
					w.Error("the failure was not told")
				}
				if c, lookErr := w.engine.ContainerInspect(w.Context(), w.project+"-one-1"); lookErr != nil || !c.State.Running || c.ID != id && c.Config.Labels[labelReplaces] != id {
					w.Errorf("after %v: neither the old nor the new one runs (%v)", err, lookErr)
				}
				w.mustConverge(w.desired(w.service("one", always, revision("2"))))
				if diff := cmp.Diff([]string{w.project + "-one-1"}, w.names()); diff != "" {
					w.Error(diff)
				}
			})
		}
	})
}

// attached tells whether a container is on the project's network.
func (w world) attached(name string) bool {
	w.Helper()
	e := w.inspect(name).NetworkSettings.Networks[w.project+"_default"]
	return e != nil && e.EndpointID != ""
}

func aliased(alias string) func(*spec.Service) {
	return func(s *spec.Service) { s.Networks[0].Aliases = []string{alias} }
}

func TestUpdateThatCannotConnectLeavesTheContainerOnItsNetwork(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one", aliased("a"))))
		failed := false
		w, _ = w.between(func(c engineproxy.Call, _ int) error {
			if strings.HasSuffix(c.Path, "/connect") && !failed {
				failed = true
				return errHarm
			}
			return nil
		})
		if err := w.converge(w.desired(w.service("one", aliased("b")))); err == nil {
			w.Error("the failure was not told")
		}
		if !w.attached(w.project + "-one-1") {
			w.Error("it is on no network")
		}
		w.mustBeInSync(w.desired(w.service("one", aliased("a"))))
	})
}

func TestCancelledUpdateLeavesTheContainerOnItsNetwork(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one", aliased("a"))))
		ctx, cancel := context.WithCancel(w.Context())
		w, _ = w.between(func(c engineproxy.Call, _ int) error {
			if strings.HasSuffix(c.Path, "/disconnect") {
				cancel()
			}
			return nil
		})
		want := w.service("one", aliased("b"))
		d, _ := w.drift(w.desired(want)).Of(want.Ref())
		err := w.target.Apply(ctx, plan.Update{Want: want, Have: *d.Have, Fields: d.Fields}, silent{})
		if !errors.Is(err, context.Canceled) || !w.attached(want.Container) {
			w.Errorf("got %v, attached: %v", err, w.attached(want.Container))
		}
	})
}

func TestNetworkThatCannotBeRemovedKeepsItsContainers(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("one"), w.service("two"))
		w.mustConverge(want)
		w, _ = w.between(func(c engineproxy.Call, _ int) error {
			if c.Method == "DELETE" && strings.Contains(c.Path, "/networks/") {
				return errHarm
			}
			return nil
		})
		renewed := w.desired(w.service("one"), w.service("two"))
		renewed.Tiers[0].Resources[0] = &spec.Network{Key: "default", Name: w.project + "_default", Labels: map[string]string{"a": "b"}}
		have := w.observe(renewed)
		network := renewed.Tiers[0].Resources[0]
		if err := w.target.Apply(w.Context(), plan.Replace{Want: network, Have: have.Found[network.Ref()]}, silent{}); err == nil {
			w.Error("the failure was not told")
		}
		w.mustBeInSync(want)
		for _, name := range []string{"one", "two"} {
			if !w.attached(w.project + "-" + name + "-1") {
				w.Errorf("%s is on no network", name)
			}
		}
	})
}

func TestUnreachableEngineIsTold(t *testing.T) {
	engine, err := client.NewClientWithOpts(client.WithHost("unix://" + t.TempDir() + "/none.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(engine).Observe(t.Context(), spec.Desired{Project: "p"}); !client.IsErrConnectionFailed(err) {
		t.Errorf("got %v", err)
	}
}
