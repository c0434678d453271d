package docker

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/spec"
)

func TestPortIsReachedWhereItIsPublished(t *testing.T) {
	t.Parallel()
	host := container.Summary{}
	host.HostConfig.NetworkMode = "host"
	port := func(ip string, public uint16) container.Port {
		return container.Port{IP: ip, PrivatePort: 9000, PublicPort: public, Type: "tcp"}
	}
	for name, c := range map[string]struct {
		container container.Summary
		host      string
		want      []string
	}{
		"everywhere, by both protocols": {container.Summary{Ports: []container.Port{port("0.0.0.0", 9000), port("::", 9000)}}, localhost, []string{"127.0.0.1:9000"}},
		"at one address":                {container.Summary{Ports: []container.Port{port("192.0.2.7", 9000)}}, localhost, []string{"192.0.2.7:9000"}},
		"on this machine only":          {container.Summary{Ports: []container.Port{port("127.0.0.1", 32768)}}, localhost, []string{"127.0.0.1:32768"}},
		"on that machine only":          {container.Summary{Ports: []container.Port{port("127.0.0.1", 32768)}}, "engine.example.com", nil},
		"on another machine":            {container.Summary{Ports: []container.Port{port("0.0.0.0", 9000)}}, "engine.example.com", []string{"engine.example.com:9000"}},
		"not at all":                    {container.Summary{Ports: []container.Port{port("", 0)}}, localhost, nil},
		"another port": {container.Summary{Ports: []container.Port{{IP: "0.0.0.0", PrivatePort: 9001, PublicPort: 9000, Type: "tcp"},
			{IP: "0.0.0.0", PrivatePort: 9000, PublicPort: 9000, Type: "udp"}}}, localhost, nil},
		"in the host's network": {host, localhost, []string{"127.0.0.1:9000"}},
	} {
		if diff := cmp.Diff(c.want, publishedAt(c.container, 9000, c.host)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestServiceIsReachedAtAnEngineOnAnotherMachineOnlyWhereItIsPublishedForOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host      string
		published []string
		barred    bool
	}{
		{"unix:///var/run/docker.sock", nil, false},
		{"tcp://engine.example.com:2375", nil, true},
		{"tcp://engine.example.com:2375", []string{"127.0.0.1"}, true},
		{"tcp://engine.example.com:2375", []string{"127.0.0.1", ""}, false},
		{"tcp://engine.example.com:2375", []string{"192.0.2.7"}, false},
		{"tcp://127.0.0.1:2375", []string{"127.0.0.1"}, false},
		{"tcp://127.0.0.1:2375", nil, true},
		{"ssh://engine.example.com", []string{""}, true},
	} {
		reach, err := ReachOf(func(name string) string { return map[string]string{"DOCKER_HOST": c.host}[name] })
		if why := reach.Barred(c.published); err != nil || (why != "") != c.barred {
			t.Errorf("%s published at %q: %q %v", c.host, c.published, why, err)
		}
	}
}

func TestContainerIsReachedOnEachOfItsNetworks(t *testing.T) {
	t.Parallel()
	c := container.Summary{NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{
		"b": {IPAddress: "172.18.0.2"}, "a": {IPAddress: "172.17.0.2"}, "none": {}, "gone": nil,
	}}}
	if diff := cmp.Diff([]string{"172.17.0.2:9000", "172.18.0.2:9000"}, insideOf(c, 9000)); diff != "" {
		t.Error(diff)
	}
	if all := insideOf(container.Summary{}, 9000); all != nil {
		t.Errorf("%v", all)
	}
}

func TestMachineOfAnEngineIsKnownFromItsAddress(t *testing.T) {
	t.Parallel()
	for engine, want := range map[string]string{
		"unix:///var/run/docker.sock": localhost, "tcp://engine.example.com:2376": "engine.example.com", "tcp://[2001:db8::1]:2376": "2001:db8::1",
	} {
		if host, err := hostOf(engine); err != nil || host != want {
			t.Errorf("%s: %s %v", engine, host, err)
		}
	}
	if host, err := hostOf("http://docker.example.com"); err == nil { // what the client calls an engine behind ssh
		t.Errorf("a tunnel leads to %s", host)
	}
}

func TestServiceIsFoundWhileItRuns(t *testing.T) {
	eachWorld(t, func(w world) {
		s := w.service("store", func(s *spec.Service) {
			s.Ports = []spec.Port{{Target: 9000, Protocol: "tcp", HostIP: "127.0.0.1"}}
		})
		addresses := func() []string {
			w.Helper()
			all, err := w.target.Addresses(w.Context(), w.project, "store", 9000)
			if err != nil {
				w.Fatal(err)
			}
			return all
		}
		if all := addresses(); len(all) > 0 {
			w.Errorf("nothing runs, and it is found at %v", all)
		}
		w.mustConverge(w.desired(s))
		if all := addresses(); len(all) != 2 || !strings.HasPrefix(all[0], localhost+":") || !strings.HasSuffix(all[1], ":9000") {
			w.Errorf("found at %v", all)
		}
		if err := w.engine.ContainerStop(w.Context(), s.Container, container.StopOptions{}); err != nil {
			w.Fatal(err)
		}
		if all := addresses(); len(all) > 0 {
			w.Errorf("it is stopped, and found at %v", all)
		}
	})
}
