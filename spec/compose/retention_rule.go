package compose

import (
	"slices"
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
	return one
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
	engine := "native"
	word(r, "engine", r.says.Engine, &engine, "native", "spark")
	for _, only := range []struct{ key, text, refused, says string }{
		{"properties", r.says.Properties, "enforce", "only reports"},
		{"engine", r.says.Engine, "spark", "only reports"},
		{"vacuum", r.says.Vacuum, "lite", "always lists all files of a table"},
	} {
		if only.text == only.refused {
			r.fault(r.at(only.key), "", "%s: %s: this version of flumen-agent %s", only.key, only.text, only.says)
		}
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
