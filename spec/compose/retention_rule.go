package compose

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"

	"github.com/flumendata/flumen-agent/spec"
)

// ruleReading reads one rule, or the defaults; what the file leaves out is as in base.
type ruleReading struct {
	*conversion
	path []string
	says retentionRule
}

func (r ruleReading) at(key string) place {
	return r.rootPlace(append(slices.Clone(r.path), key)...)
}

func (c *conversion) retentionRule(says retentionRule, base spec.RetentionRule, path ...string) spec.RetentionRule {
	r := ruleReading{c, path, says}
	one := base
	r.spans(&one)
	r.words(&one)
	r.limits(&one)
	if says.ChangeData != nil {
		one.ChangeData = *says.ChangeData
	}
	if says.KeepVersions != nil {
		one.KeepVersions = slices.Sorted(slices.Values(says.KeepVersions))
		if len(one.KeepVersions) > 0 && one.KeepVersions[0] < 0 {
			c.fault(r.at("keep_versions"), "", "%d is not a version of a table", one.KeepVersions[0])
		}
	}
	if says.KeepTimestamps != nil {
		r.times(&one)
	}
	if says.KeepStreams != nil {
		one.KeepStreams = nil
		for i, text := range says.KeepStreams {
			at := c.rootPlace(append(slices.Clone(path), "keep_streams", strconv.Itoa(i))...)
			if s, ok := c.stream(c.substitute(text, c.env, at), at); ok {
				one.KeepStreams = append(one.KeepStreams, s)
			}
		}
	}
	return one
}

// times reads the times of versions that stay readable.
func (r ruleReading) times(one *spec.RetentionRule) {
	one.KeepTimes = nil
	for i, text := range r.says.KeepTimestamps {
		at := r.rootPlace(append(slices.Clone(r.path), "keep_timestamps", strconv.Itoa(i))...)
		t, err := ParseTime(r.substitute(text, r.env, at))
		if err != nil {
			r.fault(at, "write it as in 2026-10-23, 2026-10-23 12:00:00 or 2026-10-23T12:00:00+02:00", "%v", err)
			continue
		}
		one.KeepTimes = append(one.KeepTimes, t)
	}
	slices.SortFunc(one.KeepTimes, time.Time.Compare)
}

// ParseTime reads a time as people write it: of a day, which is its beginning, or of a second. Without a zone it is UTC.
func ParseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.DateTime, "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time", text)
}

func (r ruleReading) spans(one *spec.RetentionRule) {
	for _, s := range []struct {
		key, text string
		into      *time.Duration
	}{
		{"data", r.says.Data, &one.Data}, {"log", r.says.Log, &one.Log}, {"full_every", r.says.FullEvery, &one.FullEvery},
		{"min_age", r.says.MinAge, &one.MinAge}, {"undo_keep", r.says.UndoKeep, &one.UndoKeep},
	} {
		if s.text != "" {
			*s.into = r.span(s.text, r.at(s.key))
		}
	}
	if one.Data > 0 && one.Data < spec.Floor {
		r.fault(r.at("data"), "write 7d or more", "data of %s: no file is removed that left its table less than %s ago", spec.Span(one.Data), spec.Span(spec.Floor))
	}
	if r.says.Log == "" {
		one.Log = max(one.Log, one.Data)
	}
	if one.Log > 0 && one.Log < one.Data {
		r.fault(r.at("log"), "write "+spec.Span(one.Data)+" or more", "log of %s is shorter than data of %s: the log is the proof that a file may go", spec.Span(one.Log), spec.Span(one.Data))
	}
}

func (r ruleReading) words(one *spec.RetentionRule) {
	word(r, "mode", r.says.Mode, &one.Mode, spec.ModeReport, spec.ModeEnforce)
	word(r, "vacuum", r.says.Vacuum, &one.Vacuum, spec.VacuumAuto, spec.VacuumLite, spec.VacuumFull)
	word(r, "log_cleanup", r.says.LogCleanup, &one.LogCleanup, spec.HandlingOff, spec.HandlingReport, spec.HandlingEnforce)
	word(r, "properties", r.says.Properties, &one.Properties, spec.HandlingOff, spec.HandlingReport, spec.HandlingEnforce)
	word(r, "undo", r.says.Undo, &one.Undo, spec.UndoAuto, spec.UndoVersioning, spec.UndoQuarantine, spec.UndoNone)
	if orphans := choice(one.KeepOrphans, "never", "proven"); word(r, "orphans", r.says.Orphans, &orphans, "proven", "never") {
		one.KeepOrphans = orphans == "never"
	}
	if foreign := choice(one.ForeignFiles, "delete", "report"); word(r, "foreign_files", r.says.ForeignFiles, &foreign, "report", "delete") {
		one.ForeignFiles = foreign == "delete"
	}
	r.spark(one)
}

// spark reads which tables Spark acts on.
func (r ruleReading) spark(one *spec.RetentionRule) {
	engine := ""
	if word(r, "engine", r.says.Engine, &engine, "native", "spark") {
		one.SparkFrom = map[string]int64{"native": 0, "spark": 1}[engine]
	}
	if above := r.says.DelegateAbove; above != nil {
		switch {
		case *above < 1:
			r.fault(r.at("delegate_above"), "write engine: spark for all tables", "%d is not a number of files", *above)
		case engine == "spark":
			r.fault(r.at("delegate_above"), "keep one of them", "engine: spark is for tables of any size, and delegate_above for large ones")
		}
		one.SparkFrom = *above + 1
	}
	if one.Vacuum == spec.VacuumLite && one.SparkFrom > 0 {
		if engine == "spark" || r.says.DelegateAbove != nil {
			r.fault(r.at("vacuum"), "keep one of them", "vacuum: lite removes what the log names, and a VACUUM of Spark all that it does not")
		}
		one.SparkFrom = 0
	}
	for _, one := range []struct {
		key, says string
		asks      bool
	}{
		{"properties", "properties: enforce", r.says.Properties == "enforce"},
		{"engine", "engine: spark", engine == "spark"},
		{"delegate_above", "delegate_above", r.says.DelegateAbove != nil},
	} {
		if one.asks && r.root.Retention.Spark == nil {
			r.fault(r.at(one.key), "write retention.spark: {service: NAME}", "%s needs Spark, and nothing says which service knows it", one.says)
		}
	}
	if r.says.Properties == "enforce" && len(r.root.Retention.Quiet) == 0 {
		r.fault(r.at("properties"), `write retention.quiet, as in [{allow: "0 2 * * 0", duration: 2h}]`, "properties are set while nobody writes tables, and nothing says when that is")
	}
}

func choice(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// word reads one of the known words; it tells whether there is one.
func word[T ~string](r ruleReading, key, text string, into *T, known ...T) bool {
	if text == "" {
		return false
	}
	if slices.Contains(known, T(text)) {
		*into = T(text)
		return true
	}
	var all []string
	for _, k := range known {
		all = append(all, string(k))
	}
	last := len(all) - 1
	r.fault(r.at(key), "write "+strings.Join(all[:last], ", ")+" or "+all[last], "%s cannot be %q", key, text)
	return false
}

func (r ruleReading) limits(one *spec.RetentionRule) {
	if p := r.says.MaxDeleteRatio; p != nil {
		if one.MaxRatio = *p; one.MaxRatio <= 0 || one.MaxRatio > 1 {
			r.fault(r.at("max_delete_ratio"), "write a part of the whole, as in 0.5", "%g is not between 0 and 1", *p)
		}
	}
	if p := r.says.MaxDeleteFiles; p != nil {
		if one.MaxFiles = *p; one.MaxFiles < 1 {
			r.fault(r.at("max_delete_files"), "", "%d is not a number of files", *p)
		}
	}
	if text := r.says.MaxDeleteBytes; text != "" {
		size, err := units.RAMInBytes(text)
		if err != nil || size < 1 {
			r.fault(r.at("max_delete_bytes"), "write it as in 500GiB", "%q is not a size", text)
		}
		one.MaxBytes = size
	}
}
