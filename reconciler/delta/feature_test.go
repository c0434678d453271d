package delta_test

import (
	"slices"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// readerFeatures are those that readers have to know too.
var readerFeatures = []string{"columnMapping", "deletionVectors", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", "typeWidening", "typeWidening-preview",
	"variantType", "variantType-preview", "variantShredding", "variantShredding-preview", "catalogManaged", "catalogOwned-preview",
	"redirectReaderWriter-preview", "adaptiveMetadata", "adaptiveMetadata-preview"}

// TestEveryFeatureIsTreatedAsTheRulesSay: one lets files go, and the log, or has the table be refused.
func TestEveryFeatureIsTreatedAsTheRulesSay(t *testing.T) {
	const catalog, coordinator, away, adaptive = "its catalog alone may say", "known to its coordinator alone", "its data is somewhere else", "does not say when files were removed"
	for feature, refused := range map[string]string{
		"appendOnly": "", "invariants": "", "checkConstraints": "", "generatedColumns": "", "allowColumnDefaults": "", "identityColumns": "",
		"timestampNtz": "", "typeWidening": "", "typeWidening-preview": "", "variantType": "", "variantType-preview": "", "variantShredding": "",
		"variantShredding-preview": "", "collations": "", "collations-preview": "", "geospatial": "", "clustering": "", "domainMetadata": "",
		"materializePartitionColumns": "", "columnMapping": "", "changeDataFeed": "", "deletionVectors": "", "v2Checkpoint": "",
		"rowTracking": "", "inCommitTimestamp": "", "vacuumProtocolCheck": "", "icebergCompatV1": "", "icebergCompatV2": "", "icebergCompatV3": "",
		"catalogManaged": catalog, "catalogOwned-preview": catalog, "coordinatedCommits-preview": coordinator,
		"redirectReaderWriter-preview": away, "redirectWriterOnly-preview": away, "adaptiveMetadata": adaptive, "adaptiveMetadata-preview": adaptive,
		"blahabl": "does not know", "appendonly": "does not know",
	} {
		t.Run(feature, func(t *testing.T) {
			l := newLake(t)
			table := l.table("t")
			table.Protocol = deltatest.Protocol{Reader: 1, Writer: 7, WriterFeatures: []string{feature}}
			if slices.Contains(readerFeatures, feature) {
				table.Protocol.Reader, table.Protocol.ReaderFeatures = 3, table.Protocol.WriterFeatures
			}
			table.Commit(ago(100), deltatest.Add("old.parquet"), deltatest.Add("live.parquet"))
			table.Commit(ago(60), deltatest.Remove("old.parquet"))
			table.Commit(ago(50))
			table.Checkpoint(deltatest.Checkpoint{})
			table.Commit(ago(5))
			if refused != "" {
				l.mustRefuse(table, feature+": ")
				l.mustRefuse(table, refused)
				l.mustExpire(table, 0)
				return
			}
			one := l.mustGo(table, "old.parquet")
			if one.Worst() != proof.EffectNote || !slices.Contains(one.Features, feature) {
				t.Error(l.text())
			}
			l.mustExpire(table, 2)
		})
	}
}

// TestTableThatIsOneOfIcebergTooKeepsWhatThatNeeds: its folder metadata, whether the log names it or not.
func TestTableThatIsOneOfIcebergTooKeepsWhatThatNeeds(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.rule.ForeignFiles = true
	for _, name := range []string{"metadata/v1.metadata.json", "metadata/snap-1.avro", "metadata/stray.parquet"} {
		l.Sized("lake/wh/t/"+name, 1, ago(200))
	}
	l.mustRefuse(table, "a table of another format too")
	table.Properties["delta.universalFormat.enabledFormats"] = "iceberg"
	table.Commit(ago(1), table.Alter(), table.Upgrade(deltatest.Protocol{Reader: 1, Writer: 7, WriterFeatures: []string{"icebergCompatV2"}}))
	l.mustGo(table, "old.parquet")
}
