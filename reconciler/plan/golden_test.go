package plan_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/drift/sketch"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata")

// TestPlansReadLikeThis plans for the desired and the observed part of each archive of
// testdata, and expects the plan part: the text, and then what each step waits for. An
// archive with a part plan.json expects that too. The part options has a line for each
// of these:
//
//	hold REF RULE REASON   an obstacle in the way of a thing
//	keep-moved-tags        the rule that does so
//	guard DAY              the rule against tearing down, on a day
//	last SERVICE TIER      a service was last in force in a tier
//	consent REF DAY        a person lets a thing be removed until a day
//	consent-all REF DAY    and a bucket with its contents
//	refresh IMAGE          an image that is to be asked for again
//	upto TIER              the plan up to a tier
//	down, down TIER        the plan that takes the project down, from a tier upwards
func TestPlansReadLikeThis(t *testing.T) {
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
	given := map[string]string{}
	for _, f := range archive.Files {
		given[f.Name] = string(f.Data)
	}
	got := map[string]string{}
	p := planFor(t, given)
	got["plan"] = text(p) + waits(p)
	got["plan.json"] = indented(t, p)
	for i, f := range archive.Files {
		now, expected := got[f.Name]
		if !expected {
			continue
		}
		if diff := cmp.Diff(string(f.Data), now); diff != "" && !*update {
			t.Errorf("%s (-want +got)\n%s", f.Name, diff)
		}
		archive.Files[i].Data = []byte(now)
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// planFor plans as the parts of an archive say.
func planFor(t *testing.T, parts map[string]string) plan.Plan {
	t.Helper()
	want, err := sketch.Desired(parts["desired"])
	if err != nil {
		t.Fatal(err)
	}
	have, err := sketch.Observed(want, parts["observed"])
	if err != nil {
		t.Fatal(err)
	}
	d := drift.Compare(want, have)
	var rules []plan.Rule
	last := map[string]string{}
	finish := func(p plan.Plan) plan.Plan { return p }
	for _, line := range strings.Split(strings.TrimSpace(parts["options"]), "\n") {
		option, rest, _ := strings.Cut(line, " ")
		switch option {
		case "":
		case "hold":
			w := strings.SplitN(rest, " ", 3)
			ref, err := spec.ParseRef(w[0])
			if err != nil {
				t.Fatal(err)
			}
			rules = append(rules, plan.Around([]plan.Obstacle{{Ref: ref, Rule: w[1], Reason: w[2]}})...)
		case "keep-moved-tags":
			rules = append(rules, plan.KeepMovedTags())
		case "consent", "consent-all":
			name, day, _ := strings.Cut(rest, " ")
			ref, err := spec.ParseRef(name)
			if err != nil {
				t.Fatal(err)
			}
			want.Consents = append(want.Consents, spec.Consent{Remove: ref, Until: dayOf(t, day), WithContents: option == "consent-all"})
		case "last":
			service, tier, _ := strings.Cut(rest, " ")
			last[service] = tier
		case "guard":
			rules = append(rules, plan.KeepFromTeardown(want, have, last, dayOf(t, rest)))
		case "closed-until":
			rules = append(rules, plan.KeepForWindow(plan.Window{Closed: true, Until: dayOf(t, rest), Reason: "end of the quarter"}))
		case "refresh":
			image := want.Find(spec.Ref{Kind: spec.KindImage, Name: rest})
			d = append(d, drift.Difference{Ref: image.Ref(), Tier: want.TierOf(image.Ref()), Verdict: drift.Stale, Want: image, Reason: "pull_policy is always"})
		case "upto":
			rules = append(rules, plan.Beyond(want, rest))
			finish = func(p plan.Plan) plan.Plan { return p.Upto(want, rest) }
		case "down":
			return plan.Down(want, have, rest)
		default:
			t.Fatalf("no option %s", option)
		}
	}
	return finish(plan.Build(want, have, d, rules...))
}

func dayOf(t *testing.T, text string) time.Time {
	t.Helper()
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return day
}

// waits lists what each step waits for.
func waits(p plan.Plan) string {
	steps := map[int]plan.Step{}
	var b strings.Builder
	for _, s := range p.Steps() {
		steps[s.ID] = s
		if len(s.After) == 0 {
			continue
		}
		b.WriteString("  " + string(s.Change.Verb()) + " " + s.Change.Ref().String() + " waits for")
		for i, dep := range s.After {
			if i > 0 {
				b.WriteString(",")
			}
			on := steps[dep.Step].Change
			b.WriteString(" " + string(on.Verb()) + " " + on.Ref().String() + " to be " + dep.Until.String())
		}
		b.WriteString("\n")
	}
	if b.Len() == 0 {
		return ""
	}
	return "\nOrder:\n" + b.String()
}

func indented(t *testing.T, p plan.Plan) string {
	t.Helper()
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}
