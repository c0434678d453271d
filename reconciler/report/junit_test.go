package report_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// renderings are all ways to write a check.
var renderings = map[string]func(report.Check, io.Writer) error{
	"json":     func(c report.Check, w io.Writer) error { return json.NewEncoder(w).Encode(c) },
	"text":     func(c report.Check, w io.Writer) error { c.Text(w, plan.Paint(false)); return nil },
	"markdown": func(c report.Check, w io.Writer) error { c.Markdown(w); return nil },
	"html":     report.Check.HTML,
	"junit":    report.Check.JUnit,
}

// suites is a JUnit file as a CI system reads it.
type suites struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Suites   []struct {
		Name  string `xml:"name,attr"`
		Tests int    `xml:"tests,attr"`
		Cases []struct {
			Class   string  `xml:"classname,attr"`
			Name    string  `xml:"name,attr"`
			Failure *result `xml:"failure"`
			Error   *result `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

type result struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func junitOf(t *testing.T, c report.Check) suites {
	t.Helper()
	var b strings.Builder
	if err := c.JUnit(&b); err != nil {
		t.Fatal(err)
	}
	var read suites
	if err := xml.Unmarshal([]byte(b.String()), &read); err != nil {
		t.Fatalf("%v:\n%s", err, b.String())
	}
	return read
}

func TestJUnitFailsWhatDiffersAndErrsOnWhatIsUnseen(t *testing.T) {
	read := junitOf(t, lakehouse(t))
	got := map[string]string{}
	for _, suite := range read.Suites {
		for _, one := range suite.Cases {
			switch name := one.Class + " " + one.Name; {
			case one.Failure != nil:
				got[name] = "failure " + one.Failure.Message
			case one.Error != nil:
				got[name] = "error " + one.Error.Message
			}
		}
	}
	want := map[string]string{
		"flumendata.data-platform service/spark-master":                   "failure changed: 2 attributes",
		"flumendata.data-platform service/spark-worker#2":                 "failure down: does not run (exit code 137, out of memory)",
		"flumendata.analytics service/jupyterlab-for-all-data-scientists": "error unseen: the engine did not answer within 30s",
		"flumendata.sql service/trino":                                    "failure changed: 1 attribute",
		"flumendata.sql service/superset":                                 "failure missing",
		"flumendata service/old-notebook":                                 "failure extra: no tier declares it",
		"flumendata volume/old_data":                                      "failure extra: no tier declares it",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]int{23, 6, 1}, []int{read.Tests, read.Failures, read.Errors}); diff != "" {
		t.Errorf("tests, failures and errors (-want +got)\n%s", diff)
	}
}

func TestJUnitTellsTheAttributesAndWhatHolds(t *testing.T) {
	text := junitOf(t, lakehouse(t)).Suites[1].Cases[3].Failure.Text
	for _, line := range []string{"env.SPARK_MODE: wanted master, had worker", "since 2026-03-01T12:00:00Z", "held by rule port: host port 7077"} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("no line %q:\n%s", line, text)
		}
	}
}

func TestJUnitErrsOnAKindThatCouldNotBeLookedAt(t *testing.T) {
	read := junitOf(t, report.Check{Project: "p", At: noon, Blind: map[spec.Ref]string{{Kind: spec.KindBucket}: "no answer"}})
	if read.Errors != 1 || read.Suites[0].Cases[0].Name != "bucket" || read.Suites[0].Cases[0].Error.Message != "no answer" {
		t.Errorf("%+v", read)
	}
}

func TestJUnitTakesNoNameForMarkup(t *testing.T) {
	for _, name := range []string{`</failure><x y="`, "]]>&\"'", "a\x00\x1b[31mb\r\n\ufffec", string(drift.Changed)} {
		if read := junitOf(t, hostile(name)); read.Tests != 4 || len(read.Suites[0].Cases) != 1 {
			t.Errorf("%q: %+v", name, read)
		}
	}
}
