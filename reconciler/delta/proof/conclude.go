package proof

import (
	"fmt"
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// Conclude adds what is known of a table once all its files were judged.
func (s *State) Conclude(t *Table, anomalies int) []Finding {
	var all []Finding
	hollow := false
	t.Files = s.liveFiles
	if s.lite() {
		anomalies = s.anomalies()
		t.Live = Amount{s.liveFiles, s.liveBytes}
		t.Listed.plus(t.Live) // of which the limits are a part
	} else if n := s.Missing(); n > 0 {
		hollow = true
		all = append(all, Finding{FoundHollow, fmt.Sprintf("%s of its newest version %s not there: it can no longer be read whole; "+mendHollow, spec.Counted(int64(n), "file"), is(n)), EffectCritical})
	}
	if anomalies > 0 {
		all = append(all, stop(FoundAnomaly, "%s added and never removed, and not in the table: something is wrong with its log; hold its newest version against what Spark reads, and let Spark write a checkpoint if that is right", spec.Counted(int64(anomalies), "file")))
	}
	for _, folder := range s.others {
		if folder != icebergFolder {
			all = append(all, note(FoundNested, "another table lies in %s: everything below it is left alone; it goes by a rule of its own, and if nobody needs it, remove it yourself", folder))
		}
	}
	s.reads(t, hollow)
	if loses := losesLog(s.writer); loses != "" {
		all = append(all, note(FoundWriter, "it was last written by Delta Lake %s, which may clean up more of the log than it should before 4.0.1: versions can become unreadable; have a newer one write it", loses))
	}
	t.Shorter = s.shorter(s.Now.Sub(s.Cutoff) - slack)
	t.Properties = s.differences()
	for _, d := range t.Properties {
		all = append(all, note(FoundProperty, "%s", d.Says))
	}
	return all
}

// reads says which versions can be read.
func (s *State) reads(t *Table, hollow bool) {
	if !s.lite() {
		s.lost = s.losses()
	}
	if !s.lite() && !hollow {
		v := s.ReadableNow()
		t.ReadableNow = &v
	}
	if v := s.Readable(); t.Goes.Files+t.LogGoes.Files > 0 {
		t.Readable = &v
	}
	if v, ok := s.ChangesFrom(); ok {
		t.ChangesFrom = &v
	}
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
