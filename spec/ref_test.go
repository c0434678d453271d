package spec_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/spec"
)

func genRef(t *rapid.T) spec.Ref {
	return spec.Ref{
		Kind: rapid.SampledFrom([]spec.Kind{spec.KindImage, spec.KindNetwork, spec.KindVolume, spec.KindService, spec.KindBucket}).Draw(t, "kind"),
		Name: rapid.StringMatching(`[a-z0-9][a-zA-Z0-9_.:/@#-]{0,20}`).Draw(t, "name"),
	}
}

func TestRefReadsBackAsItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := genRef(t)
		if got, err := spec.ParseRef(ref.String()); err != nil || got != ref {
			t.Fatalf("%s came back as %s, %v", ref, got, err)
		}
		whole := map[spec.Ref]string{ref: "x", {Kind: ref.Kind}: "y"}
		b, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		var got map[spec.Ref]string
		if err := json.Unmarshal(b, &got); err != nil || len(got) != 2 || got[ref] != "x" || got[spec.Ref{Kind: ref.Kind}] != "y" {
			t.Fatalf("%s came back as %v, %v", b, got, err)
		}
	})
}

func TestRefWithoutKindOrNameIsRefused(t *testing.T) {
	for _, text := range []string{"", "service", "service/", "/trino", "/"} {
		if got, err := spec.ParseRef(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestRefsAreOrderedByKindThenName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genRef(t), genRef(t)
		if a.Compare(b) != -b.Compare(a) || (a.Compare(b) == 0) != (a == b) {
			t.Fatalf("%s and %s compare to %d and %d", a, b, a.Compare(b), b.Compare(a))
		}
	})
}

func TestInstancesBelongToTheirService(t *testing.T) {
	for n, want := range map[int]string{0: "service/worker", 1: "service/worker", 2: "service/worker#2", 12: "service/worker#12"} {
		ref := spec.InstanceRef("worker", n)
		if ref.String() != want || ref.Service() != "worker" {
			t.Errorf("instance %d is %s of service %s", n, ref, ref.Service())
		}
	}
}
