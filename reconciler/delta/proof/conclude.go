package proof

import (
	"fmt"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// Conclude adds what is known of a table once all its files were judged.
func (s *State) Conclude(t *Table, anomalies int) []Finding {
	var all []Finding
	t.Files = s.liveFiles
	if n := s.Missing(); n > 0 {
		all = append(all, Finding{FoundHollow, fmt.Sprintf("%s of its newest version %s not there: it can no longer be read whole", spec.Counted(int64(n), "file"), is(n)), EffectCritical})
	}
	if anomalies > 0 {
		all = append(all, stop(FoundAnomaly, "%s added and never removed, and not in the table: something is wrong with its log", spec.Counted(int64(anomalies), "file")))
	}
	for _, folder := range s.others {
		if folder != icebergFolder {
			all = append(all, note(FoundNested, "another table lies in %s: everything below it is left alone", folder))
		}
	}
	if v := s.Readable(); t.Goes.Files > 0 {
		t.Readable = &v
	}
	if loses := losesLog(s.writer); loses != "" {
		all = append(all, note(FoundWriter, "it was last written by Delta Lake %s, which may clean up more of the log than it should before 4.0.1: versions can become unreadable", loses))
	}
	t.Properties = s.differences()
	for _, d := range t.Properties {
		all = append(all, note(FoundProperty, "%s", d.Says))
	}
	return all
}

// losesLog is the version of Delta Lake for Spark in the name of an engine, if it is one that
// cleans up a log without a checkpoint for what it keeps (delta-io/delta#606); else "".
func losesLog(engine string) string {
	_, version, ok := strings.Cut(engine, " Delta-Lake/")
	if !ok {
		return ""
	}
	var major, minor, patch int
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); n != 3 {
		return ""
	}
	if major < 4 || major == 4 && minor == 0 && patch == 0 {
		return version
	}
	return ""
}

// PropertyDifference is a property of a table that is not as its rule has it.
type PropertyDifference struct {
	Name string `json:"name"`
	Want string `json:"want"`
	Have string `json:"have"`
	Says string `json:"says"` // what that means
}

// differences are those between what the table says of retention and what the rule says.
func (s *State) differences() []PropertyDifference {
	if s.Rule.Properties == spec.HandlingOff {
		return nil
	}
	p := s.Head.Metadata.Properties
	data, log := p.mustSpan(propertyData, DefaultData), p.mustSpan(propertyLog, DefaultLog)
	var all []PropertyDifference
	add := func(name, want, have, format string, args ...any) {
		all = append(all, PropertyDifference{name, want, have, fmt.Sprintf(format, args...)})
	}
	if data < s.Rule.Data {
		add(propertyData, spec.Span(s.Rule.Data), spec.Span(data), "%s is %s and the rule says %s: Spark forgets removed files, and a VACUUM removes them, after %s", propertyData, spec.Span(data), spec.Span(s.Rule.Data), spec.Span(data))
	}
	if data > s.Rule.Data {
		add(propertyData, spec.Span(s.Rule.Data), spec.Span(data), "%s is %s, longer than the %s of the rule, and counts", propertyData, spec.Span(data), spec.Span(s.Rule.Data))
	}
	if log < data {
		add(propertyLog, spec.Span(data), spec.Span(log), "%s is %s, shorter than %s with %s", propertyLog, spec.Span(log), propertyData, spec.Span(data))
	}
	if value, set := p.get(propertyLogCleanup); set && strings.EqualFold(value, "false") {
		add(propertyLogCleanup, "true", value, "%s is false: its log is never cleaned up", propertyLogCleanup)
	}
	return all
}

// mustSpan is a span that was read before, when the cutoff was.
func (p Properties) mustSpan(name string, otherwise time.Duration) time.Duration {
	d, err := p.span(name, otherwise)
	if err != nil {
		return otherwise // of the log: nothing is done on account of it
	}
	return d
}
