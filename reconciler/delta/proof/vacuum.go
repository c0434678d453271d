package proof

import (
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// Lenience is how much less than the plan Spark's VACUUM keeps: the slack, and clocks that are apart.
const Lenience = slack + skewAllowed

// keptBySpark notes that a VACUUM by Spark keeps what it reads in a path, and its deletion vector. It
// takes a path that is absolute for one of another table, and knows no vector by that.
func (r *Replay) keptBySpark(raw string, p Path, v vectorFile) {
	if _, _, absolute := splitScheme(raw); r.Rule.SparkFrom == 0 || absolute || strings.HasPrefix(raw, "/") {
		return
	}
	r.set(r.of(ofFile, p.Key), markSpark)
	if v.uuid != "" {
		r.set(r.of(ofFile, v.relative), markSpark)
	}
}

// removedForSpark hears of a removal that is in the state which Spark reads. It goes by the time that
// stands there, and by none where none does.
func (r *Replay) removedForSpark(m Remove, p Path, v vectorFile) {
	if !m.Deleted.IsZero() && !m.Deleted.Before(r.Cutoff) {
		r.keptBySpark(m.Path, p, v)
	}
}

// Against tells whether a VACUUM by Spark would remove a file that is to stay.
func (s *State) Against(f File, goes bool) bool {
	if goes || f.Key == "" || strings.HasSuffix(f.Key, "/") || !f.Written.Before(s.Cutoff) || hiddenFromSpark(f.Key, s.partitions) {
		return false
	}
	return s.known.at(s.of(ofFile, f.Key))&markSpark == 0
}

// hiddenFromSpark tells whether a VACUUM by Spark passes over a file. It is less careful than we are.
func hiddenFromSpark(key string, partitions []string) bool {
	for part := range strings.SplitSeq(key, "/") {
		if !strings.HasPrefix(part, "_") && !strings.HasPrefix(part, ".") {
			continue
		}
		seen := strings.HasPrefix(part, "_delta_index") || strings.HasPrefix(part, changeFolder) ||
			slices.ContainsFunc(partitions, func(column string) bool { return strings.HasPrefix(part, column+"=") })
		if !seen {
			return true
		}
	}
	return false
}

// CountAgainst adds a file that is to stay and that a VACUUM by Spark would remove.
func (t *Table) CountAgainst(size int64) { t.Against.add(size) }

// Delegate decides whether Spark is to remove what may go, and says why it may not be asked.
func (t *Table) Delegate(rule spec.RetentionRule) {
	t.BySpark = rule.SparkFrom > 0 && !t.Excluded && t.ID != "" && t.Listed.Files >= rule.SparkFrom
	if !t.BySpark {
		t.Against = Amount{}
		return
	}
	t.LogGoes = Amount{} // Spark sees to the log
	add := func(f Finding) { t.Findings = append(t.Findings, f) }
	if root := t.Place; !strings.HasPrefix(root, "s3://") || !Sayable(root) {
		add(stop(FoundSpark, "it is not asked to vacuum: it knows places in S3 alone, and only those without letters that its shell reads in other ways; write engine: native for this table"))
	}
	if t.Against.Files > 0 {
		add(stop(FoundSpark, "it is not asked to vacuum, since it would remove %s that stay by the rule: unproven or foreign ones, of kept versions, or seen too lately; write engine: native for this table, or see to these files (flumen-agent retention explain FILE says what one is)", t.Against))
	}
	if _, cloned := t.Find(FoundClone); cloned {
		add(stop(FoundSpark, "it is not asked to vacuum: it knows nothing of the table that is a shallow clone of this one; write engine: native for this table"))
	}
	if _, corrupt := t.Find(FoundCheckpointCorrupt); corrupt || t.Choice {
		add(stop(FoundSpark, "it is not asked to vacuum: it may begin with another checkpoint of the log than was planned with, of which nobody knows that it says the same; it is asked once there is a newer one: let Spark write a checkpoint"))
	}
	switch {
	case !t.Shorter:
	case rule.Properties == spec.HandlingEnforce:
		add(note(FoundSpark, "it vacuums by the table's own retention, which is shorter than %s: that is set first, in retention.quiet", t.Keep))
	default:
		add(stop(FoundSpark, "it is not asked to vacuum: it goes by the table's own retention, which is shorter than %s; set that (the statement is below), or write properties: enforce", t.Keep))
	}
}

// VacuumStatements are what Spark is told to remove what may go from a table. The first ends it all
// unless Spark sees, at the same place, a commit with the same content: it may know another store
// than we do.
func VacuumStatements(root Root, commit LogFile, sum string) []string {
	seen := quoted(root.ofSpark() + "/" + logFolder + "/" + commit.Name)
	return []string{
		"SELECT assert_true(count(*) = 1, 'this is not the table that was planned: Spark has another store') FROM binaryFile." + seen + " WHERE sha2(content, 256) = '" + sum + "'",
		"SET spark.databricks.delta.vacuum.parallelDelete.enabled=true",
		"VACUUM " + ByPlace(root),
	}
}

// shorter tells whether the table's own retention is shorter than what counts.
func (s *State) shorter(keep time.Duration) bool {
	return s.Head.Metadata.Properties.mustSpan(propertyData, DefaultData) < keep
}
