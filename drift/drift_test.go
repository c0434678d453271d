package drift_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/drift/sketch"
	"github.com/flumendata/flumen-agent/spec"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata")

// TestCompareTellsDifferences compares the desired and the observed part of each
// archive of testdata, and expects the drift part.
func TestCompareTellsDifferences(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]*txtar.File{}
	for i := range archive.Files {
		parts[archive.Files[i].Name] = &archive.Files[i]
	}
	want, have := read(t, string(parts["desired"].Data), string(parts["observed"].Data))
	got := describe(drift.Compare(want, have))
	if *update {
		parts["drift"].Data = []byte(got)
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(parts["drift"].Data), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func read(t *testing.T, desired, observed string) (spec.Desired, drift.Observed) {
	t.Helper()
	want, err := sketch.Desired(desired)
	if err != nil {
		t.Fatal(err)
	}
	have, err := sketch.Observed(want, observed)
	if err != nil {
		t.Fatal(err)
	}
	return want, have
}

func describe(d drift.Drift) string {
	if d.InSync() {
		return "in sync\n"
	}
	var b strings.Builder
	for _, one := range d {
		tier := one.Tier
		if tier == "" {
			tier = "-"
		}
		fmt.Fprintln(&b, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", tier, one.Ref, one.Verdict, one.Reason)))
		if len(one.NeededBy) > 0 {
			fmt.Fprintf(&b, "  needed by %v\n", one.NeededBy)
		}
		for _, f := range one.Fields {
			fmt.Fprintf(&b, "  %s: %s -> %s\n", f.Name, shown(f.Have), shown(f.Want))
		}
	}
	return b.String()
}

func shown(v spec.Value) string {
	if v.IsZero() {
		return "none"
	}
	return fmt.Sprintf("%q", v)
}

func TestComparisonLeavesWhatItIsGivenAlone(t *testing.T) {
	want, have := read(t, "tier t\nservice a env.X=1 secret.S=s", "service a env.X=2 env.S=other")
	fields := have.Found[spec.InstanceRef("a", 1)].Fields
	before := fmt.Sprint(fields.Names(), fields["env.S"].IsSensitive())
	drift.Compare(want, have)
	if after := fmt.Sprint(fields.Names(), fields["env.S"].IsSensitive()); after != before {
		t.Errorf("%s became %s", before, after)
	}
}

func TestDifferenceInASecretShowsNeitherSide(t *testing.T) {
	want, have := read(t, "tier t\nservice a secret.S=canary-want", "service a env.S=canary-have")
	b, err := json.Marshal(drift.Compare(want, have))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "canary") || !strings.Contains(string(b), `{"name":"env.S","want":"***","have":"***"}`) {
		t.Errorf("got %s", b)
	}
}

func TestMergeJoinsWhatTargetsSaw(t *testing.T) {
	image, service := spec.Ref{Kind: spec.KindImage, Name: "i"}, spec.InstanceRef("s", 1)
	one := drift.Observed{At: sketch.At.Add(time.Second), Found: map[spec.Ref]drift.Found{image: {Ref: image}}}
	two := drift.Observed{At: sketch.At, Found: map[spec.Ref]drift.Found{service: {Ref: service}}, Blind: map[spec.Ref]string{{Kind: spec.KindVolume}: "why"}}
	got := drift.Merge(one, two)
	if len(got.Found) != 2 || len(got.Blind) != 1 || !got.At.Equal(sketch.At) {
		t.Errorf("got %+v", got)
	}
}

func TestWhatBelongsToAnInactiveProfileIsNoDrift(t *testing.T) {
	t.Parallel()
	want := spec.Desired{Project: "p", Inactive: []spec.Ref{{Kind: spec.KindService, Name: "debug"}, {Kind: spec.KindNetwork, Name: "p_debug"}}}
	have := drift.Observed{Found: map[spec.Ref]drift.Found{}}
	for _, ref := range []spec.Ref{spec.InstanceRef("debug", 1), spec.InstanceRef("debug", 2), {Kind: spec.KindNetwork, Name: "p_debug"}} {
		have.Found[ref] = drift.Found{Ref: ref, Owned: true, State: drift.Running}
	}
	if d := drift.Compare(want, have); !d.InSync() {
		t.Errorf("%+v", d)
	}
}

func TestWhatABusyStoreHoldsIsPending(t *testing.T) {
	t.Parallel()
	want, have := read(t, "tier t\nbucket lake\nbucket pond", "busy bucket/lake the store has no time\nblind bucket/pond the store refuses the key")
	all := drift.Compare(want, drift.Merge(drift.Observed{}, have))
	if len(all) != 2 || all[0].Verdict != drift.Pending || all[0].Reason != "the store has no time" || all[1].Verdict != drift.Unseen {
		t.Errorf("%+v", all)
	}
}

func TestWhatABucketHoldsIsNoDifference(t *testing.T) {
	t.Parallel()
	want, have := read(t, "tier t\nbucket lake", "bucket lake holds=1204/94489280512")
	if d := drift.Compare(want, have); !d.InSync() {
		t.Errorf("%+v", d)
	}
}

func TestUsageReadsAsPeopleWriteIt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 30, 3, 41, 0, 0, time.FixedZone("CET", 3600))
	for want, u := range map[string]drift.Usage{
		"1,204 objects, 88.0 GiB as of 2026-11-30 02:41 UTC": {Bytes: 88 << 30, Objects: 1204, At: at},
		"1 object, 3 B as of 2026-11-30 02:41 UTC":           {Bytes: 3, Objects: 1, At: at},
		"0 objects, 1.5 KiB as of 2026-11-30 02:41 UTC":      {Bytes: 1536, At: at},
	} {
		if got := u.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
