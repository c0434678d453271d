package report_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/drift/sketch"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

const (
	lakeHolds = "1,204 objects, 88.0 GiB as of 2026-01-02 02:04 UTC"
	oldHolds  = "1 object, 4.0 KiB as of 2026-01-02 02:04 UTC"
)

var lake, old = spec.Ref{Kind: spec.KindBucket, Name: "lake"}, spec.Ref{Kind: spec.KindBucket, Name: "old"}

// holding is what was seen of a project with a bucket that is as it should be, one that goes,
// and one of a store that does not tell.
func holding(t *testing.T) (spec.Desired, drift.Observed) {
	t.Helper()
	want, err := sketch.Desired("tier base\nbucket lake\nbucket silent")
	if err != nil {
		t.Fatal(err)
	}
	want.Consents = []spec.Consent{{Remove: old, Until: sketch.At.Add(time.Hour), WithContents: true}}
	have, err := sketch.Observed(want, "everything\nbucket lake holds=1204/94489280512\nbucket old holds=1/4096")
	if err != nil {
		t.Fatal(err)
	}
	return want, have
}

func holdingCheck(t *testing.T) report.Check {
	want, have := holding(t)
	d := drift.Compare(want, have)
	c := report.NewCheck(want, have, d)
	p := plan.Build(want, have, d)
	c.Would = &p
	return c
}

func TestStatusTellsWhatBucketsHold(t *testing.T) {
	t.Parallel()
	want, have := holding(t)
	s := report.NewStatus(want, have, drift.Compare(want, have))
	var text strings.Builder
	s.Text(&text, plan.Paint(false))
	for _, line := range []string{
		"✓ bucket/lake                      present     " + lakeHolds + "\n",
		"✓ bucket/silent                    present     \n",
		"bucket/old                       present     " + oldHolds + ", extra, no tier declares it\n",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no line %q in\n%s", line, &text)
		}
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if says := `"usage":{"bytes":94489280512,"objects":1204,"as_of":"2026-01-02T02:04:05Z"}`; !strings.Contains(string(b), says) || strings.Count(string(b), `"usage"`) != 2 {
		t.Errorf("%s", b)
	}
}

func TestCheckTellsWhatBucketsHold(t *testing.T) {
	t.Parallel()
	c := holdingCheck(t)
	var text, markdown strings.Builder
	c.Text(&text, plan.Paint(false))
	c.Markdown(&markdown)
	page, root := pageOf(t, c)
	for form, one := range map[string]struct{ out, says string }{
		"text":                 {text.String(), "extra    bucket/old                       no tier declares it\n          holds " + oldHolds + "\n"},
		"Markdown":             {markdown.String(), "| `bucket/lake` | 1204 | 88.0 GiB | 2026-01-02T02:04:05Z |\n| `bucket/old` | 1 | 4.0 KiB | 2026-01-02T02:04:05Z |\n"},
		"Markdown of the plan": {markdown.String(), "- remove `bucket/old`: no tier declares it, and consent lets it go with all that is in it; it holds " + oldHolds + "\n"},
		"page of the plan":     {page, "It holds " + oldHolds + "."},
	} {
		if !strings.Contains(one.out, one.says) {
			t.Errorf("%s does not say %q:\n%s", form, one.says, one.out)
		}
	}
	var rows []string
	for _, body := range find(byID(t, root, "usage"), func(n *html.Node) bool { return n.Data == "tbody" }) {
		rows = append(rows, words(body))
	}
	if diff := cmp.Diff([]string{"bucket/lake 1204 88.0 GiB 2026-01-02 02:04 UTC", "bucket/old 1 4.0 KiB 2026-01-02 02:04 UTC"}, rows); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var read struct {
		Usage map[string]drift.Usage `json:"usage"`
	}
	if b, err := json.Marshal(c); err != nil || json.Unmarshal(b, &read) != nil || read.Usage["bucket/lake"].Bytes != 94489280512 || len(read.Usage) != 2 {
		t.Errorf("%v %+v", err, read)
	}
}

func TestWhyTellsWhatABucketHolds(t *testing.T) {
	t.Parallel()
	c := holdingCheck(t)
	var text strings.Builder
	report.Why{Project: "p", Ref: lake, Usage: c.UsageOf(lake), Next: report.NextOf(lake, *c.Would, c.Differences)}.Text(&text, plan.Paint(false))
	if !strings.HasPrefix(text.String(), "bucket/lake\n  holds "+lakeHolds+"\n") {
		t.Errorf("%s", &text)
	}
}

func TestReportsSayNothingOfUsageThatNobodyTells(t *testing.T) {
	t.Parallel()
	want, have := holding(t)
	for ref, found := range have.Found {
		found.Usage = nil
		have.Found[ref] = found
	}
	d := drift.Compare(want, have)
	c := report.NewCheck(want, have, d)
	p := plan.Build(want, have, d)
	c.Would = &p
	var text, markdown strings.Builder
	c.Text(&text, plan.Paint(false))
	c.Markdown(&markdown)
	page, _ := pageOf(t, c)
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{text.String(), markdown.String(), page[strings.Index(page, "<body>"):], string(b)} {
		if strings.Contains(out, "hold") || strings.Contains(out, "usage") {
			t.Errorf("%s", out)
		}
	}
}
