package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// The elements of JUnit's format, as the readers of CI systems understand it: each tier a
// suite, each thing a case. What differs has failed; what could not be seen is an error.
type (
	junitReport struct {
		XMLName    xml.Name     `xml:"testsuites"`
		Name       string       `xml:"name,attr"`
		Tests      int          `xml:"tests,attr"`
		Failures   int          `xml:"failures,attr"`
		Errors     int          `xml:"errors,attr"`
		At         string       `xml:"timestamp,attr"`
		Suites     []junitSuite `xml:"testsuite"`
		properties []junitProperty
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		At         string          `xml:"timestamp,attr"`
		Time       string          `xml:"time,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string       `xml:"classname,attr"`
		Name    string       `xml:"name,attr"`
		Time    string       `xml:"time,attr"`
		Failure *junitResult `xml:"failure"`
		Error   *junitResult `xml:"error"`
	}
	junitResult struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the check for a CI system, which shows it as tests that pass and fail.
func (c Check) JUnit(w io.Writer) error {
	all := junitReport{Name: "drift of " + c.Project, At: c.stamp(), properties: c.properties()}
	told := map[spec.Ref]bool{}
	for _, t := range c.Tiers {
		var cases []junitCase
		for _, r := range t.Resources {
			told[r.Ref] = true
			cases = append(cases, c.junitCase(t.Name, r.Ref))
		}
		all.add(tierTitle(t.Name), cases)
	}
	all.add(tierTitle(""), c.casesBeside(told))
	io.WriteString(w, xml.Header)
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// casesBeside are those of what is in no tier: what nobody declares, and what could not be
// looked at as a whole.
func (c Check) casesBeside(told map[spec.Ref]bool) []junitCase {
	var cases []junitCase
	for _, d := range c.Differences {
		if !told[d.Ref] {
			told[d.Ref] = true
			cases = append(cases, c.junitCase("", d.Ref))
		}
	}
	for _, one := range c.unseen() {
		if !told[one.Ref] {
			cases = append(cases, junitCase{Class: c.Project, Name: one.Ref.String(), Time: "0",
				Error: &junitResult{Type: string(drift.Unseen), Message: one.Reason}})
		}
	}
	return cases
}

// add puts a suite to the others and counts it, unless it is empty.
func (r *junitReport) add(name string, cases []junitCase) {
	if len(cases) == 0 {
		return
	}
	s := junitSuite{Name: name, Tests: len(cases), At: r.At, Time: "0", Properties: r.properties, Cases: cases}
	for _, one := range cases {
		if one.Failure != nil {
			s.Failures++
		}
		if one.Error != nil {
			s.Errors++
		}
	}
	r.Suites = append(r.Suites, s)
	r.Tests, r.Failures, r.Errors = r.Tests+s.Tests, r.Failures+s.Failures, r.Errors+s.Errors
}

func (c Check) junitCase(tier string, ref spec.Ref) junitCase {
	one := junitCase{Class: c.Project, Name: ref.String(), Time: "0"}
	if tier != "" {
		one.Class += "." + tier
	}
	d, differs := c.Differences.Of(ref)
	if !differs {
		return one
	}
	result := &junitResult{Type: string(d.Verdict), Message: c.inWords(d), Text: c.inLines(d)}
	if d.Verdict == drift.Unseen {
		one.Error = result
	} else {
		one.Failure = result
	}
	return one
}

// inWords is a difference in a line.
func (c Check) inWords(d drift.Difference) string {
	switch {
	case d.Reason != "":
		return fmt.Sprintf("%s: %s", d.Verdict, reason(d))
	case len(d.Fields) > 0:
		return fmt.Sprintf("%s: %s", d.Verdict, Counted(len(d.Fields), "attribute"))
	}
	return string(d.Verdict)
}

// inLines is all that is known of a difference.
func (c Check) inLines(d drift.Difference) string {
	var b strings.Builder
	for _, f := range d.Fields {
		fmt.Fprintf(&b, "\n%s: wanted %s, had %s", f.Name, shown(f.Want), shown(f.Have))
	}
	if seen, ok := c.Seen[d.Ref]; ok && !seen.Since.IsZero() {
		fmt.Fprintf(&b, "\nsince %s", seen.Since.UTC().Format(time.RFC3339))
	}
	if cause := c.Seen[d.Ref].Cause; cause != "" {
		fmt.Fprintf(&b, "\ncause: %s", cause)
	}
	if c.Would != nil {
		for _, h := range c.Would.Held {
			if h.Ref == d.Ref {
				fmt.Fprintf(&b, "\nheld by rule %s: %s", h.Rule, h.Reason)
			}
		}
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}

// properties say what was compared.
func (c Check) properties() []junitProperty {
	all := []junitProperty{{"revision", c.Revision.Short()}}
	for _, p := range []junitProperty{{"source", c.Revision.Source}, {"subject", c.Revision.Subject}, {"ahead", c.Ahead}} {
		if p.Value != "" {
			all = append(all, junitProperty{p.Name, p.Value})
		}
	}
	return all
}

func (c Check) stamp() string { return c.At.UTC().Format("2006-01-02T15:04:05Z") }
