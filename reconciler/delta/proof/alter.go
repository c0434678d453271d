package proof

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/flumendata/flumen-agent/spec"
)

// PropertyDifference is a property of a table that is not as its rule has it.
type PropertyDifference struct {
	Name string `json:"name"`
	Want string `json:"want"`
	Have string `json:"have"`
	Says string `json:"says"` // what that means
	// Set is the value that makes it as the rule has it; "" where that is for the owner of the table
	// to decide: files would go, or versions, that the table itself wants to be kept.
	Set string `json:"set,omitempty"`
}

// differences are those between what the table says of retention and what the rule says.
func (s *State) differences() []PropertyDifference {
	if s.Rule.Properties == spec.HandlingOff {
		return nil
	}
	p := s.Head.Metadata.Properties
	data, log := p.mustSpan(propertyData, DefaultData), p.mustSpan(propertyLog, DefaultLog)
	var all []PropertyDifference
	add := func(name, want, have, set, format string, args ...any) {
		all = append(all, PropertyDifference{name, want, have, fmt.Sprintf(format, args...), set})
	}
	if data < s.Rule.Data {
		add(propertyData, spec.Span(s.Rule.Data), spec.Span(data), interval(s.Rule.Data), "%s is %s and the rule says %s: Spark forgets removed files, and a VACUUM removes them, after %s", propertyData, spec.Span(data), spec.Span(s.Rule.Data), spec.Span(data))
	}
	if data > s.Rule.Data {
		add(propertyData, spec.Span(s.Rule.Data), spec.Span(data), "", "%s is %s, longer than the %s of the rule, and counts", propertyData, spec.Span(data), spec.Span(s.Rule.Data))
	}
	switch least := max(data, s.Rule.Data, s.Rule.Log); {
	case !p.readable(propertyLog):
		have, _ := p.get(propertyLog)
		add(propertyLog, spec.Span(least), have, "", "%s is %q, which nobody can read", propertyLog, have)
	case log < data:
		add(propertyLog, spec.Span(least), spec.Span(log), interval(least), "%s is %s, shorter than %s with %s", propertyLog, spec.Span(log), propertyData, spec.Span(data))
	case log < least:
		add(propertyLog, spec.Span(least), spec.Span(log), interval(least), "%s is %s and the rule says %s: Spark removes older versions of the log, which are the proof that files may go", propertyLog, spec.Span(log), spec.Span(least))
	}
	if value, set := p.get(propertyLogCleanup); set && strings.EqualFold(value, "false") {
		asked := ""
		if s.Rule.LogCleanup == spec.HandlingEnforce {
			asked = "true"
		}
		add(propertyLogCleanup, "true", value, asked, "%s is false: its log is never cleaned up", propertyLogCleanup)
	}
	return all
}

// mustSpan is a span that was read before, when the cutoff was; or that of the log to set another one,
// which is not taken for what it is.
func (p Properties) mustSpan(name string, otherwise time.Duration) time.Duration {
	d, err := p.span(name, otherwise)
	if err != nil {
		return otherwise
	}
	return d
}

func (p Properties) readable(name string) bool {
	_, err := p.span(name, 0)
	return err == nil
}

// interval writes a time span as Spark reads it: "interval 30 days".
func interval(d time.Duration) string {
	text := "interval"
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}, {"seconds", time.Second}} {
		if n := d / unit.size; n > 0 {
			text += fmt.Sprintf(" %d %s", n, unit.name)
			d -= n * unit.size
		}
	}
	return text
}

// Unset are those of the differences that are to be set and are not in a table's properties.
func Unset(p Properties, all []PropertyDifference) (names []string) {
	for _, d := range all {
		have, there := p.get(d.Name)
		if d.Set == "" || there && sameSetting(have, d.Set) {
			continue
		}
		names = append(names, d.Name)
	}
	return names
}

// sameSetting tells whether two values of a property mean the same.
func sameSetting(a, b string) bool {
	x, errX := spec.ParseInterval(a)
	y, errY := spec.ParseInterval(b)
	return strings.EqualFold(a, b) || errX == nil && errY == nil && x == y
}

// HaveAltered notes that everything that is to be set was.
func (t *Table) HaveAltered() {
	set := func(d PropertyDifference) bool { return d.Set != "" }
	t.Altered = true
	t.Findings = slices.DeleteFunc(t.Findings, func(f Finding) bool {
		return f.Kind == FoundProperty && slices.ContainsFunc(t.Properties, func(d PropertyDifference) bool { return set(d) && d.Says == f.Says })
	})
	t.Properties = slices.DeleteFunc(t.Properties, set)
}

// AlterStatement is the SQL that sets what is to be set; "" if there is nothing.
func AlterStatement(table string, all []PropertyDifference) string {
	var sets []string
	for _, d := range all {
		if d.Set != "" {
			sets = append(sets, fmt.Sprintf("'%s' = '%s'", d.Name, d.Set))
		}
	}
	if len(sets) == 0 {
		return ""
	}
	return fmt.Sprintf("ALTER TABLE %s SET TBLPROPERTIES (%s)", table, strings.Join(sets, ", "))
}

// ByName is what Spark calls a table that a metastore knows as "database.table".
func ByName(name string) string {
	database, table, _ := strings.Cut(name, ".")
	return quoted(database) + "." + quoted(table)
}

// ByPlace is what Spark calls the table of a folder.
func ByPlace(root Root) string { return "delta." + quoted(root.ofSpark()) }

// ofSpark is a place as Spark has it: it knows S3 by another scheme.
func (r Root) ofSpark() string {
	if rest, ok := strings.CutPrefix(string(r), "s3://"); ok {
		return "s3a://" + rest
	}
	return string(r)
}

// quoted is an identifier of SQL.
func quoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// Sayable tells whether a name or place can be handed to Spark's shell as it is. That reads
// quotation marks, semicolons, comments and variables also within an identifier, and a place as a
// pattern.
func Sayable(text string) bool {
	return text != "" && !strings.Contains(text, "--") && !slices.ContainsFunc([]rune(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-./:=+@ ~", r)
	})
}
