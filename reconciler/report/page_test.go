package report_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// pageOf is the page of a check, as text and as a browser would read it.
func pageOf(t *testing.T, c report.Check) (text string, root *html.Node) {
	t.Helper()
	var b strings.Builder
	if err := c.HTML(&b); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), root
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// find gives the elements that match, in the order of the page.
func find(root *html.Node, matches func(*html.Node) bool) []*html.Node {
	var all []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && matches(n) {
			all = append(all, n)
		}
	}
	return all
}

func byID(t *testing.T, root *html.Node, id string) *html.Node {
	t.Helper()
	all := find(root, func(n *html.Node) bool { return attribute(n, "id") == id })
	if len(all) != 1 {
		t.Fatalf("%d elements are called %s", len(all), id)
	}
	return all[0]
}

// words are the text of an element, with single spaces.
func words(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestPageTellsOfEachDifferenceWhatWasWantedAndHadSinceWhenAndWhy(t *testing.T) {
	_, root := pageOf(t, lakehouse(t))
	var rows []string
	for _, body := range find(byID(t, root, "differences"), func(n *html.Node) bool { return n.Data == "tbody" }) {
		rows = append(rows, words(body))
	}
	want := []string{
		"service/spark-master changed env.SPARK_LOCAL_IP 0.0.0.0 (none) 2026-03-01 12:00 UTC new env.SPARK_MODE master worker",
		"service/spark-worker#2 down does not run (exit code 137, out of memory) 2026-03-01 12:00 UTC new out of band: oom at 2026-03-01T11:58:10Z",
		"service/jupyterlab-for-all-data-scientists unseen the engine did not answer within 30s 2026-03-01 12:00 UTC new",
		"service/trino changed env.TZ UTC CET 2026-02-28 10:00 UTC for 26h00m out of band: exec_create at 2026-02-28T10:00:00Z",
		"service/superset missing 2026-03-01 12:00 UTC new",
		"service/old-notebook extra no tier declares it 2026-03-01 12:00 UTC new",
		"volume/old_data extra no tier declares it 2026-03-01 12:00 UTC new",
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPageTellsWhatIsHeldUnseenNewAndGone(t *testing.T) {
	_, root := pageOf(t, lakehouse(t))
	for id, texts := range map[string][]string{
		"held":   {"service/spark-master port host port 7077 is held by process 4711"},
		"unseen": {"service/jupyterlab-for-all-data-scientists the engine did not answer within 30s"},
		"news":   {"Differs now service/spark-master", "Differs no more service/postgres"},
		"would":  {"start service/spark-worker#2"},
		"words":  {"unseen it could not be looked at"},
	} {
		for _, text := range texts {
			if got := words(byID(t, root, id)); !strings.Contains(got, text) {
				t.Errorf("%s has no %q:\n%s", id, text, got)
			}
		}
	}
}

func TestPageOfASystemInSyncSaysSoAndNoMore(t *testing.T) {
	c := lakehouse(t)
	c.Differences, c.Blind, c.New, c.Gone, c.Would = nil, nil, nil, nil, &plan.Plan{}
	for _, tier := range c.Tiers {
		for i := range tier.Resources {
			tier.Resources[i].State, tier.Resources[i].Verdict = drift.Healthy, ""
		}
	}
	for i := range c.Tiers {
		c.Tiers[i].Ready = true
	}
	text, root := pageOf(t, c)
	if !strings.Contains(words(root), "In sync") || !strings.Contains(words(root), "4 of 4 tiers ready") {
		t.Error(words(root))
	}
	for _, id := range []string{"differences", "unseen", "held", "would", "news", "words"} {
		if strings.Contains(text, fmt.Sprintf("id=%q", id)) {
			t.Errorf("it has a section called %s", id)
		}
	}
}

func TestWhatCouldNotBeSeenIsNeverShownAsInSync(t *testing.T) {
	c := report.Check{Project: "p", At: noon, Blind: map[spec.Ref]string{{Kind: spec.KindBucket}: "no answer"}}
	if _, root := pageOf(t, c); !strings.Contains(words(root), "In sync as far as it could be seen") {
		t.Error(words(root))
	}
}

// hostile is a check all of whose texts try to be more than text.
func hostile(name string) report.Check {
	ref := spec.Ref{Kind: spec.KindService, Name: name}
	extra := drift.Difference{Ref: spec.Ref{Kind: spec.KindVolume, Name: name}, Verdict: drift.Extra, Reason: name}
	changed := drift.Difference{Ref: ref, Tier: name, Verdict: drift.Changed, Reason: name,
		Fields: []drift.Field{{Name: "label." + name, Want: spec.Plain(name), Have: spec.Plain(name)}}}
	c := report.Check{
		Project: name, At: noon, Ahead: name, Differences: drift.Drift{changed, extra},
		Revision: spec.Revision{ID: name, Source: name, Subject: name},
		Blind:    map[spec.Ref]string{{Kind: spec.KindNetwork, Name: name}: name},
		Tiers: []report.TierStatus{
			{Name: name, Resources: []report.ResourceStatus{{Ref: ref, State: drift.Healthy, Verdict: drift.Changed, Reason: name}}},
			{Name: name, Resources: []report.ResourceStatus{{Ref: ref, State: drift.State(name), Verdict: drift.Changed, Reason: name}}},
		},
		Would: &plan.Plan{
			Stages: []plan.Stage{{Tier: name, Steps: []plan.Step{{ID: 1, Change: plan.Start{Want: &spec.Service{Name: name, Number: 1}}, Because: []plan.Cause{{Reason: name}}}}}},
			Held:   []plan.Held{{Ref: ref, Rule: name, Reason: name}},
		},
	}
	c.Age(map[spec.Ref]report.Seen{{Kind: spec.KindService, Name: name + "2"}: {}}, func(spec.Ref) string { return name })
	return c
}

// shape is every element of a page with the names of its attributes, in order.
func shape(root *html.Node) []string {
	var all []string
	for _, n := range find(root, func(*html.Node) bool { return true }) {
		one := n.Data
		for _, a := range n.Attr {
			one += " " + a.Key
		}
		all = append(all, one)
	}
	return all
}

func TestPageTakesNoNameForMarkup(t *testing.T) {
	_, harmless := pageOf(t, hostile("abcdefghijklmnopqrstuvwxyz"))
	for _, name := range []string{
		`<script>alert(document.domain)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)' x='`, `</title></style></svg><iframe src=//x>`,
		`{{.Project}}`, `<!--`, `]]>`, `javascript:alert(1)//----`, "a\u202eb\x00\x1b[31mc\nabcdefghijkl", `\u003cscript\u003ealert(1)`, `&lt;b&gt;&amp;#x3c;-------`,
	} {
		_, root := pageOf(t, hostile(name))
		if diff := cmp.Diff(shape(harmless), shape(root)); diff != "" {
			t.Errorf("%q changes the page:\n%s", name, diff)
		}
		shown := strings.ReplaceAll(name, "\x00", "\ufffd")
		if text := words(byID(t, root, "held")); !strings.Contains(text, strings.Join(strings.Fields(shown), " ")) {
			t.Errorf("%q is not shown as it is:\n%s", name, text)
		}
	}
}

func TestPageNeedsNothingElse(t *testing.T) {
	text, root := pageOf(t, lakehouse(t))
	elsewhere := find(root, func(n *html.Node) bool {
		return attribute(n, "src") != "" || attribute(n, "href") != "" || slices.Contains([]string{"script", "link", "base", "object", "embed"}, n.Data)
	})
	if len(elsewhere) > 0 || strings.Contains(text, "url(") || strings.Contains(text, "@import") {
		t.Errorf("it reaches outside: %v", elsewhere)
	}
	policy := find(root, func(n *html.Node) bool { return attribute(n, "http-equiv") == "Content-Security-Policy" })
	if len(policy) != 1 || !strings.HasPrefix(attribute(policy[0], "content"), "default-src 'none'; ") {
		t.Errorf("a browser is not told so: %v", policy)
	}
}

// boxesOf are the things that the picture shows, with the classes they are drawn in.
func boxesOf(root *html.Node) map[string]string {
	all := map[string]string{}
	for _, n := range find(root, func(n *html.Node) bool { return n.Data == "svg" && attribute(n, "class") != "" }) {
		all[words(n.FirstChild)] = attribute(n, "class")
	}
	return all
}

func TestPictureShowsHowEachServiceAndBucketStands(t *testing.T) {
	_, root := pageOf(t, lakehouse(t))
	want := map[string]string{
		"service/postgres: healthy": "fine", "service/minio: healthy": "fine", "bucket/lakehouse: bucket, present": "fine", "bucket/storage: bucket, present": "fine",
		"service/hive-metastore: healthy": "fine", "service/spark-master: changed": "differs", "service/spark-worker: healthy": "fine",
		"service/spark-worker#2: exited, code 137": "bad", "service/jupyterlab-for-all-data-scientists: unknown": "unknown",
		"service/trino: unhealthy": "bad", "service/superset: missing": "bad",
	}
	if diff := cmp.Diff(want, boxesOf(root)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPictureOfALargeTierCountsWhatIsFine(t *testing.T) {
	tier := report.TierStatus{Name: "many"}
	for n := range 100 {
		tier.Resources = append(tier.Resources, report.ResourceStatus{Ref: spec.InstanceRef("worker", n+1), State: drift.Healthy})
	}
	tier.Resources[41].State = drift.Exited
	_, root := pageOf(t, report.Check{Project: "p", At: noon, Tiers: []report.TierStatus{tier}})
	want := map[string]string{"service/worker#42: exited": "bad", "all others: as they should be": "fine"}
	if diff := cmp.Diff(want, boxesOf(root)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !strings.Contains(words(root), "99 more") {
		t.Error("it does not say how many")
	}
}

func TestHiddenTextIsInNoRendering(t *testing.T) {
	const secret = "<hunter22>"
	c := hostile("abcdefghijklmnopqrstuvwxyz")
	c.Revision.Source, c.Revision.Subject, c.Ahead = secret, secret, secret
	c.Differences[0].Reason, c.Differences[0].Fields[0].Want, c.Would.Held[0].Reason = secret, spec.Plain("x"+secret), secret
	c.Would.Stages[0].Steps[0].Because[0].Reason, c.Tiers[0].Resources[0].Reason = secret, secret
	for ref := range c.Blind {
		c.Blind[ref] = secret
	}
	for ref := range maps.Clone(c.Seen) {
		c.Seen[ref] = report.Seen{Since: noon, Cause: secret}
	}
	hidden := c.Hide(func(text string) string { return strings.ReplaceAll(text, secret, "***") })
	for name, render := range renderings {
		var before, after strings.Builder
		if err := render(c, &before); err != nil {
			t.Fatal(err)
		}
		if err := render(hidden, &after); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(before.String(), "hunter22") {
			t.Errorf("%s would not show it anyway", name)
		}
		if strings.Contains(after.String(), "hunter22") || !strings.Contains(after.String(), "***") {
			t.Errorf("%s shows it:\n%s", name, after.String())
		}
	}
}
