package proof

import (
	"fmt"
	"slices"
	"strings"
)

// harmless are the table features that do not change which files belong to a table, or whose
// part in that is known here. A feature that is not listed may do anything, so that a table
// which has it is left alone.
var harmless = []string{
	"appendOnly", "invariants", "checkConstraints", "generatedColumns", "allowColumnDefaults", "identityColumns",
	"timestampNtz", "typeWidening", "typeWidening-preview", "variantType", "variantType-preview", "variantShredding",
	"variantShredding-preview", "collations", "collations-preview", "geospatial", "clustering", "domainMetadata",
	"materializePartitionColumns", "columnMapping", "changeDataFeed", "deletionVectors", "v2Checkpoint", "rowTracking",
	"inCommitTimestamp", "vacuumProtocolCheck", "icebergCompatV1", "icebergCompatV2", "icebergCompatV3", "checkpointProtection",
}

// reason is why a table is left alone, and what a person does next.
type reason struct{ why, do string }

var (
	byCatalog  = reason{"its catalog alone may say which files it has", "let the catalog clean it up"}
	byAnother  = reason{"its data is somewhere else", "look at the table that it leads to instead"}
	withoutAge = reason{"its log does not say when files were removed", "let the engine that writes it clean it up"}
)

// elsewhere are features that are known, and why a table with one is left alone.
var elsewhere = map[string]reason{
	"catalogManaged":               byCatalog,
	"catalogOwned-preview":         byCatalog,
	"coordinatedCommits-preview":   {"commits may be known to its coordinator alone", "let Spark clean it up, or take the feature away from the table (ALTER TABLE ... DROP FEATURE)"},
	"redirectReaderWriter-preview": byAnother,
	"redirectWriterOnly-preview":   byAnother,
	"adaptiveMetadata":             withoutAge,
	"adaptiveMetadata-preview":     withoutAge,
}

// The newest protocol that is known here.
const (
	newestReader = 3
	newestWriter = 7
)

// Unknown says why a table with this protocol is left alone; nil if it is not. What a writer has
// to know counts too: removing files is writing.
func (p Protocol) Unknown() *Refusal {
	const newer = "have a newer flumen-agent look at it, or let Spark clean it up"
	switch {
	case p.Reader > newestReader || p.Writer > newestWriter:
		return &Refusal{Why: fmt.Sprintf("its protocol (reader %d, writer %d) is newer than this agent", p.Reader, p.Writer), Do: newer}
	case p.Reader == newestReader && p.Writer != newestWriter:
		return &Refusal{Why: fmt.Sprintf("its protocol (reader %d, writer %d) contradicts itself", p.Reader, p.Writer), Do: MendLog}
	}
	for _, f := range p.Names() {
		if r, known := elsewhere[f]; known {
			return &Refusal{Why: r.why, Feature: f, Do: r.do}
		}
		if !slices.Contains(harmless, f) {
			return &Refusal{Why: "it has a feature that this agent does not know", Feature: f, Do: newer}
		}
	}
	return nil
}

// Names are the features in order, each once.
func (p Protocol) Names() []string {
	return slices.Compact(slices.Sorted(slices.Values(p.Features)))
}

// uniform tells whether the table is kept as one of Iceberg too.
func (p Properties) uniform() bool {
	formats, _ := p.get(propertyUniForm)
	return strings.Contains(strings.ToLower(formats), "iceberg")
}
