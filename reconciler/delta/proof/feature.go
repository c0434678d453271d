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

// elsewhere are features that are known, and why a table with one is left alone.
var elsewhere = map[string]string{
	"catalogManaged":               "its catalog alone may say which files it has",
	"catalogOwned-preview":         "its catalog alone may say which files it has",
	"coordinatedCommits-preview":   "commits may be known to its coordinator alone",
	"redirectReaderWriter-preview": "its data is somewhere else",
	"redirectWriterOnly-preview":   "its data is somewhere else",
	"adaptiveMetadata":             "its log does not say when files were removed",
	"adaptiveMetadata-preview":     "its log does not say when files were removed",
}

// The newest protocol that is known here.
const (
	newestReader = 3
	newestWriter = 7
)

// Unknown says why a table with this protocol is left alone, and by which feature; "" if it
// is not. What a writer has to know counts too: removing files is writing.
func (p Protocol) Unknown() (why, feature string) {
	switch {
	case p.Reader > newestReader || p.Writer > newestWriter:
		return fmt.Sprintf("its protocol (reader %d, writer %d) is newer than this agent", p.Reader, p.Writer), ""
	case p.Reader == newestReader && p.Writer != newestWriter:
		return fmt.Sprintf("its protocol (reader %d, writer %d) contradicts itself", p.Reader, p.Writer), ""
	}
	for _, f := range p.Names() {
		if reason, known := elsewhere[f]; known {
			return reason, f
		}
		if !slices.Contains(harmless, f) {
			return "it has a feature that this agent does not know", f
		}
	}
	return "", ""
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
