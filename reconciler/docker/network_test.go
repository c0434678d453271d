package docker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func (w world) only(resources ...spec.Resource) spec.Desired {
	return spec.Desired{Project: w.project, Revision: spec.Revision{ID: "test"}, Tiers: []spec.Tier{{Name: "base", Resources: resources}}}
}

func TestAppliedNetworkIsNoDrift(t *testing.T) {
	eachWorld(t, func(w world) {
		a := enginetest.Subnet()
		networks := map[string]spec.Network{
			"plain":      {},
			"internal":   {Internal: true, Labels: map[string]string{"a": "b"}},
			"options":    {Driver: "bridge", DriverOpts: map[string]string{"com.docker.network.bridge.enable_icc": "false", "com.docker.network.driver.mtu": "1400"}},
			"attachable": {Attachable: true},
			"subnet":     {Subnets: []spec.Subnet{{Subnet: a + ".0/24"}}, IPAMDriver: "default"},
			"gateway":    {Subnets: []spec.Subnet{{Subnet: a + ".0/24", Gateway: a + ".7", IPRange: a + ".128/25"}}},
			"ipv6":       {EnableIPv6: true, Subnets: []spec.Subnet{{Subnet: "fd00:aa:1::/64"}, {Subnet: a + ".0/24"}}},
		}
		for name, n := range networks {
			w.Run(name, func(t *testing.T) { // one after the other: they share the range
				w := newWorld(t, w.engine)
				n.Key, n.Name = "net", w.project+"_net"
				w.mustConverge(w.only(&n))
			})
		}
	})
}

func TestChangedNetworkIsReportedByField(t *testing.T) {
	eachWorld(t, func(w world) {
		a, b := enginetest.Subnet(), enginetest.Subnet()
		before := &spec.Network{Key: "net", Name: w.project + "_net", Internal: true, Labels: map[string]string{"a": "1"}, Subnets: []spec.Subnet{{Subnet: a + ".0/24", Gateway: a + ".1"}}}
		after := &spec.Network{Key: "net", Name: w.project + "_net", Attachable: true, Labels: map[string]string{"a": "2"}, Subnets: []spec.Subnet{{Subnet: b + ".0/24", Gateway: b + ".1"}}}
		w.mustConverge(w.only(before))
		d, _ := w.drift(w.only(after)).Of(after.Ref())
		if diff := cmp.Diff([]string{"attachable", "internal", "label.a", "subnet.0", "subnet.0.gateway"}, fieldNames(d.Fields)); diff != "" {
			w.Error(diff)
		}
	})
}

func TestReplacedNetworkTakesItsServicesAlong(t *testing.T) {
	eachWorld(t, func(w world) {
		one, two := w.service("one"), w.service("two")
		w.mustConverge(w.desired(one, two))
		want := w.desired(one, two)
		want.Tiers[0].Resources[0] = &spec.Network{Key: "default", Name: w.project + "_default", Labels: map[string]string{"a": "b"}}
		w.mustConverge(want)
	})
}

func TestReplacedNetworkHasAllItsServicesRunningOnIt(t *testing.T) {
	eachWorld(t, func(w world) {
		one, two, job := w.service("one"), w.service("two"), w.service("job", job("0"))
		w.mustConverge(w.desired(one, two, job))
		if err := w.engine.ContainerStop(w.Context(), two.Container, container.StopOptions{}); err != nil {
			w.Fatal(err)
		}
		want := w.desired(one, two, job)
		want.Tiers[0].Resources[0] = &spec.Network{Key: "default", Name: w.project + "_default", Labels: map[string]string{"a": "b"}}
		w.mustConverge(want)
		renewed, err := w.engine.NetworkInspect(w.Context(), w.project+"_default", network.InspectOptions{})
		if err != nil {
			w.Fatal(err)
		}
		for _, s := range []*spec.Service{one, two} {
			c := w.inspect(s.Container)
			if _, on := renewed.Containers[c.ID]; !on || !c.State.Running {
				w.Errorf("%s: on the network %v, %s", s.Name, on, c.State.Status)
			}
		}
	})
}

func TestReplacedNetworkAndAFailedServiceGoBackToTheOldContainer(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one")))
		renewed := &spec.Network{Key: "default", Name: w.project + "_default", Labels: map[string]string{"a": "b"}}
		want := w.desired(w.service("one", broken))
		want.Tiers[0].Resources[0] = renewed
		if err := w.converge(want); err == nil {
			w.Fatal("what exits is ready")
		}
		before := w.desired(w.service("one"))
		before.Tiers[0].Resources[0] = renewed
		w.mustOnlySettle(before)
	})
}

func TestStoppedContainerOnANetworkThatWasMadeAnewStarts(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("one"))
		w.mustConverge(want)
		if err := w.engine.ContainerStop(w.Context(), w.project+"-one-1", container.StopOptions{}); err != nil {
			w.Fatal(err)
		}
		if err := w.engine.NetworkRemove(w.Context(), w.project+"_default"); err != nil {
			w.Fatal(err)
		}
		w.mustConverge(want)
	})
}

func TestNetworkIsPutBackWhenTheNewOneCannotBeMade(t *testing.T) {
	eachWorld(t, func(w world) {
		blocker := enginetest.Project(w, w.engine)
		subnet := enginetest.Subnet() + ".0/24"
		taken := &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}}
		if _, err := w.engine.NetworkCreate(w.Context(), blocker, network.CreateOptions{IPAM: taken, Labels: map[string]string{composeProject: blocker}}); err != nil {
			w.Fatal(err)
		}
		one := w.service("one")
		w.mustConverge(w.desired(one))
		overlapping := &spec.Network{Key: "default", Name: w.project + "_default", Subnets: []spec.Subnet{{Subnet: subnet}}}
		have := w.observe(w.desired(one)).Found[overlapping.Ref()]
		if err := w.target.Apply(w.Context(), plan.Replace{Want: overlapping, Have: have}, silent{}); err == nil {
			w.Fatal("two networks have one subnet")
		}
		w.mustBeInSync(w.desired(one))
	})
}

func TestNetworkIsPutBackWhenItsAddressesWereTakenMeanwhile(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("one"))
		w.mustConverge(want)
		old, err := w.engine.NetworkInspect(w.Context(), w.project+"_default", network.InspectOptions{})
		if err != nil {
			w.Fatal(err)
		}
		guests, err := w.target.guests(w.Context(), old)
		if err != nil || len(guests) != 1 {
			w.Fatal(guests, err)
		}
		if err := w.engine.NetworkDisconnect(w.Context(), old.ID, guests[0].id, true); err != nil {
			w.Fatal(err)
		}
		if err := w.engine.NetworkRemove(w.Context(), old.ID); err != nil {
			w.Fatal(err)
		}
		other := enginetest.Project(w, w.engine)
		// Another test may have been quicker, which is as good.
		if _, err := w.engine.NetworkCreate(w.Context(), other, network.CreateOptions{IPAM: &old.IPAM, Labels: map[string]string{composeProject: other}}); err != nil && !strings.Contains(err.Error(), "overlaps") {
			w.Fatal(err)
		}
		cause := errors.New("the new one cannot be made")
		if err := w.target.restoreNetwork(w.Context(), old, guests, cause); !errors.Is(err, cause) {
			w.Errorf("got %v", err)
		}
		w.mustBeInSync(want)
	})
}

func TestNetworkIsNotTakenFromForeignContainers(t *testing.T) {
	eachWorld(t, func(w world) {
		n := &spec.Network{Key: "net", Name: w.project + "_net"}
		w.mustConverge(w.only(n))
		theirs := enginetest.Project(w, w.engine)
		guest, err := w.engine.ContainerCreate(w.Context(), &container.Config{Image: enginetest.Sleeper, Labels: map[string]string{composeProject: theirs}},
			&container.HostConfig{NetworkMode: container.NetworkMode(n.Name)}, nil, nil, theirs)
		if err != nil {
			w.Fatal(err)
		}
		if err := w.engine.ContainerStart(w.Context(), guest.ID, container.StartOptions{}); err != nil {
			w.Fatal(err)
		}
		changed := &spec.Network{Key: "net", Name: n.Name, Internal: true}
		have := w.observe(w.only(changed)).Found[n.Ref()]
		if err := w.target.Apply(w.Context(), plan.Replace{Want: changed, Have: have}, silent{}); err == nil {
			w.Error("it was replaced")
		}
		w.mustBeInSync(w.only(n))
		if err := w.engine.ContainerRemove(w.Context(), guest.ID, container.RemoveOptions{Force: true}); err != nil {
			w.Fatal(err)
		}
	})
}

func TestNetworkOfAnotherNameIsRemovedAtLast(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.only(&spec.Network{Key: "net", Name: w.project + "_old"}))
		w.mustConverge(w.only(&spec.Network{Key: "net", Name: w.project + "_new"}))
		if _, err := w.engine.NetworkInspect(w.Context(), w.project+"_old", network.InspectOptions{}); err == nil {
			w.Error("the old one is still there")
		}
	})
}

func TestNetworkIsRemovedOnceTheEngineHasLetGoOfItsContainers(t *testing.T) {
	eachWorld(t, func(w world) {
		n := &spec.Network{Key: "net", Name: w.project + "_net"}
		w.mustConverge(w.only(n))
		guest, err := w.engine.ContainerCreate(w.Context(), &container.Config{Image: enginetest.Sleeper, Labels: map[string]string{composeProject: w.project}},
			&container.HostConfig{NetworkMode: container.NetworkMode(n.Name)}, nil, nil, w.project+"-guest")
		if err != nil {
			w.Fatal(err)
		}
		if err := w.engine.ContainerStart(w.Context(), guest.ID, container.StartOptions{}); err != nil {
			w.Fatal(err)
		}
		gone := make(chan error, 1)
		go func() {
			time.Sleep(time.Second)
			gone <- w.engine.ContainerRemove(w.Context(), guest.ID, container.RemoveOptions{Force: true})
		}()
		have := w.observe(w.only(n)).Found[n.Ref()]
		if err := w.target.Apply(w.Context(), plan.Remove{Have: have}, silent{}); err != nil {
			w.Error(err)
		}
		if err := <-gone; err != nil {
			w.Error(err)
		}
		w.mustBeInSync(w.only())
	})
}

func TestAppliedVolumeIsNoDrift(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.only(
			&spec.Volume{Key: "a", Name: w.project + "_a"},
			&spec.Volume{Key: "b", Name: w.project + "_b", Driver: "local", Labels: map[string]string{"x": "y"}},
			&spec.Volume{Key: "c", Name: w.project + "_c", DriverOpts: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}},
		))
	})
}

func TestVolumesAreNeverChangedOrRemoved(t *testing.T) {
	eachWorld(t, func(w world) {
		v := &spec.Volume{Key: "data", Name: w.project + "_data"}
		w.mustConverge(w.only(v))
		changed := &spec.Volume{Key: "data", Name: v.Name, Labels: map[string]string{"a": "b"}}
		have := w.observe(w.only(v)).Found[v.Ref()]
		for _, c := range []plan.Change{plan.Replace{Want: changed, Have: have}, plan.Remove{Have: have}, plan.Update{Want: changed, Have: have}} {
			if err := w.target.Apply(w.Context(), c, silent{}); err == nil {
				w.Errorf("%s was done", c.Verb())
			}
		}
		if err := w.target.Apply(w.Context(), plan.Create{Want: changed}, silent{}); !errors.Is(err, plan.ErrStale) {
			w.Errorf("got %v, want %v", err, plan.ErrStale)
		}
		w.mustBeInSync(w.only(v))
		d, _ := w.drift(w.only()).Of(spec.Ref{Kind: spec.KindVolume, Name: v.Name})
		if d.Verdict != drift.Extra {
			w.Errorf("a volume that left the spec is %q", d.Verdict)
		}
	})
}
