package plan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/plan"
)

const oneChange = "project p\ntier t\nservice app env.X=2 secret.TOKEN=canary-want"

func planned(t *testing.T, desired string) plan.Plan {
	t.Helper()
	return planFor(t, map[string]string{"desired": desired, "observed": "everything\nservice app env.X=1 env.TOKEN=canary-have"})
}

func TestPlanShowsNoSecret(t *testing.T) {
	p := planned(t, oneChange)
	for form, shown := range map[string]string{"text": text(p), "JSON": indented(t, p)} {
		if !strings.Contains(shown, "env.TOKEN") || strings.Contains(shown, "canary") {
			t.Errorf("%s:\n%s", form, shown)
		}
	}
}

func TestFingerprintIsOfWhatIsToBeDone(t *testing.T) {
	one := planned(t, oneChange)
	for what, c := range map[string]struct {
		desired string
		same    bool
	}{
		"the same":         {oneChange, true},
		"another revision": {"revision other\n" + oneChange, false},
		"another change":   {oneChange + " env.X=3", false},
	} {
		if got := planned(t, c.desired).Fingerprint == one.Fingerprint; got != c.same {
			t.Errorf("%s: equal fingerprints: %v", what, got)
		}
	}
}

func TestFingerprintIsNotOfWhatBucketsHold(t *testing.T) {
	var all []plan.Plan
	for _, observed := range []string{"bucket kept\nbucket old", "bucket kept holds=1/3\nbucket old holds=4/6"} {
		all = append(all, planFor(t, map[string]string{"desired": "tier t", "observed": observed, "options": "consent-all bucket/old 2026-02-03"}))
	}
	if all[0].Fingerprint != all[1].Fingerprint {
		t.Error("they differ")
	}
	if without, with := indented(t, all[0]), indented(t, all[1]); strings.Contains(without, "usage") || strings.Count(with, "usage") != 2 {
		t.Errorf("%s\n%s", without, with)
	}
}

func TestFingerprintIsReadBackFromJSON(t *testing.T) {
	p := planned(t, oneChange)
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, revision, err := plan.ParseFingerprint(b)
	if err != nil || fingerprint != p.Fingerprint || revision != p.Revision {
		t.Errorf("read %s %v %v, want %s %v", fingerprint, revision, err, p.Fingerprint, p.Revision)
	}
	if _, _, err := plan.ParseFingerprint([]byte("not a plan")); err == nil {
		t.Error("read a fingerprint out of what is no plan")
	}
}

func TestPaintChangesNothingButColours(t *testing.T) {
	p := planned(t, oneChange)
	var b strings.Builder
	p.Text(&b, true)
	painted := b.String()
	if !strings.Contains(painted, "\x1b[33mreplace") {
		t.Error("a replace is not yellow")
	}
	for _, code := range []string{"0", plan.Bold, plan.Dim, plan.Red, plan.Green, plan.Yellow, plan.Blue} {
		painted = strings.ReplaceAll(painted, "\x1b["+code+"m", "")
	}
	if diff := cmp.Diff(text(p), painted); diff != "" {
		t.Error(diff)
	}
}

func TestFailureSaysWhatRunsNow(t *testing.T) {
	for want, f := range map[string]plan.Failure{
		"exited with code 3": {Reason: "exited with code 3"},
		"exited with code 3; the container before it runs again":           {Reason: "exited with code 3", RolledBack: true},
		"exited with code 3; old stays stopped: x-flumen.rollback is none": {Reason: "exited with code 3", Kept: "old stays stopped: x-flumen.rollback is none"},
	} {
		if got := f.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
