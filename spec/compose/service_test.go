package compose

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/spec"
)

// one loads a single service from what stands below its name.
func one(t *testing.T, attributes string, files ...string) *spec.Service {
	t.Helper()
	dir := write(t, append(files, "flumen.yaml", "name: x\nservices:\n  one:\n    image: busybox\n"+attributes+"\nvolumes: {data: {}}\n")...)
	l := mustLoad(t, options(dir))
	return spec.Resources[*spec.Service](l.Desired)[0]
}

func TestMissingBindSourcesAreMadeUnlessSaidOtherwise(t *testing.T) {
	t.Parallel()
	for mount, want := range map[string]bool{
		`"./f:/f"`:                              true,
		`"./f:/f:ro,rslave"`:                    true,
		`{type: bind, source: ./f, target: /f}`: true,
		`{type: bind, source: ./f, target: /f, bind: {propagation: rslave}}`:     true,
		`{type: bind, source: ./f, target: /f, bind: {create_host_path: false}}`: false,
	} {
		s := one(t, "    volumes: ["+mount+"]", "f", "")
		if got := s.Mounts[0].CreateHostPath; got != want {
			t.Errorf("%s: got %v, want %v", mount, got, want)
		}
	}
}

func TestNoLimitIsMinusOne(t *testing.T) {
	t.Parallel()
	s := one(t, "    memswap_limit: -1\n    pids_limit: -1")
	if s.MemorySwap != -1 || s.PidsLimit != -1 {
		t.Errorf("memswap_limit %d, pids_limit %d", s.MemorySwap, s.PidsLimit)
	}
}

func TestCPUsAreExact(t *testing.T) {
	t.Parallel()
	for cpus, want := range map[string]int64{"0.1": 100_000_000, "1.5": 1_500_000_000, "2": 2_000_000_000, "0.333": 333_000_000} {
		if got := one(t, "    cpus: "+cpus).NanoCPUs; got != want {
			t.Errorf("%s: got %d, want %d", cpus, got, want)
		}
		if got := one(t, "    deploy: {resources: {limits: {cpus: \""+cpus+"\"}}}").NanoCPUs; got != want {
			t.Errorf("deploy, %s: got %d, want %d", cpus, got, want)
		}
	}
}

func TestNoCommandIsNotAnEmptyOne(t *testing.T) {
	t.Parallel()
	if s := one(t, ""); s.Command != nil || s.Entrypoint != nil {
		t.Errorf("command %#v, entrypoint %#v", s.Command, s.Entrypoint)
	}
	for _, empty := range []string{"[]", `""`} {
		if s := one(t, "    command: "+empty+"\n    entrypoint: "+empty); s.Command == nil || s.Entrypoint == nil {
			t.Errorf("%s: command %#v, entrypoint %#v", empty, s.Command, s.Entrypoint)
		}
	}
}

func TestNetworksAreAttachedByPriority(t *testing.T) {
	t.Parallel()
	dir := write(t, "flumen.yaml", `name: x
services:
  one: {image: busybox, networks: {a: {}, b: {priority: 5}, c: {}, d: {priority: 9}}}
networks: {a: {}, b: {}, c: {}, d: {}}
`)
	var got []string
	for _, a := range spec.Resources[*spec.Service](mustLoad(t, options(dir)).Desired)[0].Networks {
		got = append(got, a.Network)
	}
	if diff := cmp.Diff([]string{"d", "b", "a", "c"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMountedContentIsReadWithItsTime(t *testing.T) {
	t.Parallel()
	s := one(t, `    volumes: ["./f:/f", "./d:/d:ro", "./d:/w", "data:/data"]`, "f", "x", "d/x", "x")
	for _, m := range s.Mounts {
		if digested := m.Target == "/f" || m.Target == "/d"; digested == (m.Digest == "") || digested == m.Modified.IsZero() {
			t.Errorf("%s: digest %q, modified %v", m.Target, m.Digest, m.Modified)
		}
	}
}

func TestLoadDoesNotChangeItsOptions(t *testing.T) {
	t.Parallel()
	o := options(write(t, "flumen.yaml", "services: {a: {image: b}}", ".env", "A=b"), "X", "y")
	mustLoad(t, o)
	if diff := cmp.Diff(map[string]string{"X": "y"}, o.Environ); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
