package report_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func differs(name string, v drift.Verdict) drift.Difference {
	return drift.Difference{Ref: spec.InstanceRef(name, 1), Tier: "base", Verdict: v, Reason: "as a test says"}
}

func unknown(spec.Ref) string { return "" }

func TestCauseThatIsLearntLaterIsTakenUpAndStays(t *testing.T) {
	c := report.Check{At: noon, Differences: drift.Drift{differs("a", drift.Down)}}
	say := func(text string) func(spec.Ref) string { return func(spec.Ref) string { return text } }
	seen := c.Age(c.Age(c.Age(nil, unknown), say("die")), say("another"))
	if got := seen[spec.InstanceRef("a", 1)].Cause; got != "die" {
		t.Errorf("cause %q", got)
	}
}

func TestCheckTellsSinceWhenThingsDifferAndWhatCameAndWent(t *testing.T) {
	first := report.Check{At: noon, Differences: drift.Drift{differs("a", drift.Down), differs("b", drift.Down), differs("c", drift.Changed)}}
	second := report.Check{At: noon.Add(time.Hour), Differences: drift.Drift{differs("b", drift.Down), differs("c", drift.Missing), differs("d", drift.Down)}}
	second.Age(first.Age(nil, unknown), unknown)
	got := map[string]time.Time{}
	for ref, seen := range second.Seen {
		got[ref.Name] = seen.Since
	}
	if diff := cmp.Diff(map[string]time.Time{"b": noon, "c": second.At, "d": second.At}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]spec.Ref{{spec.InstanceRef("d", 1)}, {spec.InstanceRef("a", 1)}}, [][]spec.Ref{second.New, second.Gone}); diff != "" {
		t.Error(diff)
	}
}

func TestCheckReadsLikeThisInMarkdown(t *testing.T) {
	trino := drift.Difference{Ref: spec.InstanceRef("trino", 1), Tier: "sql", Verdict: drift.Changed, Fields: []drift.Field{
		{Name: "env.TZ", Want: spec.Plain("UTC"), Have: spec.Plain("a|b`c")},
		{Name: "env.TOKEN", Want: spec.Sensitive("x"), Have: spec.Value{}},
	}}
	c := report.Check{
		Project: "p", Revision: spec.Revision{ID: "4d1c5e0f9a2b77aa"}, At: noon, Differences: drift.Drift{differs("db", drift.Down), trino},
		Blind: map[spec.Ref]string{{Kind: spec.KindVolume}: "the engine does not answer"}, Ahead: "revision 1234 failed",
		Would: &plan.Plan{
			Stages: []plan.Stage{{Tier: "base", Steps: []plan.Step{{ID: 1, Change: plan.Start{Want: &spec.Service{Name: "db", Number: 1}}, Because: []plan.Cause{{Reason: "does not run"}}}}}},
			Held:   []plan.Held{{Ref: trino.Ref, Rule: "backoff", Reason: "failed once"}},
		},
	}
	c.Age(map[spec.Ref]report.Seen{trino.Ref: {Verdict: drift.Changed, Since: noon.Add(-time.Hour)}, spec.InstanceRef("old", 1): {}}, func(ref spec.Ref) string {
		return map[string]string{"db": "out of band: exited with code 137 at noon"}[ref.Name]
	})
	var b strings.Builder
	c.Markdown(&b)
	want := strings.ReplaceAll(`# Drift of p

**2 differences** at revision 'SHORT', looked at 2026-03-01T12:00:00Z.

This is not the wanted revision: revision 1234 failed.

## In tier base

| what | is | field | wanted | had | since | cause |
|---|---|---|---|---|---|---|
| 'service/db' | down | as a test says | | | 2026-03-01T12:00:00Z | out of band: exited with code 137 at noon |

## In tier sql

| what | is | field | wanted | had | since | cause |
|---|---|---|---|---|---|---|
| 'service/trino' | changed | 'env.TZ' | 'UTC' | 'a\|bQc' | 2026-03-01T11:00:00Z |  |
| 'service/trino' | changed | 'env.TOKEN' | '***' |  | 2026-03-01T11:00:00Z |  |

## New since the check before

- 'service/db'

## Gone since the check before

- 'service/old'

## Could not be looked at

- 'volume': the engine does not answer

## What converging would do

- start 'service/db': does not run

## Held: nothing is done about these

- 'service/trino', rule backoff: failed once
`, "'", "`")
	want = strings.NewReplacer("SHORT", c.Revision.Short(), "bQc", "b'c").Replace(want)
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReportsNameWhatNeedsAThingThatIsDown(t *testing.T) {
	db := differs("db", drift.Down)
	db.NeededBy = []spec.Ref{spec.InstanceRef("catalog", 1), spec.InstanceRef("web", 1)}
	c := report.Check{At: noon, Project: "p", Differences: drift.Drift{db}}
	var text, markdown, junit, page strings.Builder
	c.Text(&text, plan.Paint(false))
	c.Markdown(&markdown)
	if err := errors.Join(c.JUnit(&junit), c.HTML(&page)); err != nil {
		t.Fatal(err)
	}
	for form, out := range map[string]string{"text": text.String(), "Markdown": markdown.String(), "JUnit": junit.String(), "HTML": page.String()} {
		if !strings.Contains(out, "as a test says; needed by service/catalog, service/web") {
			t.Errorf("%s does not say it:\n%s", form, out)
		}
	}
}
