package delta_test

import (
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

func TestTableInsideAnotherIsLeftAlone(t *testing.T) {
	for _, key := range []string{"inner/_delta_log/00000000000000000000.json", "inner/.hoodie/hoodie.properties", "inner/metadata/v1.metadata.json"} {
		l := newLake(t)
		table := l.usual("t")
		l.Put("lake/wh/t/"+key, "{}", ago(200))
		l.Sized("lake/wh/t/inner/a.parquet", 1, ago(200))
		l.mustFind(table, proof.FoundNested, "inner/")
		l.mustGo(table, "old.parquet")
	}
}

func TestFolderThatIsATableOfAnotherFormatTooIsRefused(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.Put("lake/wh/t/metadata/v1.metadata.json", "{}", ago(200))
	l.Sized("lake/wh/t/metadata/snap.avro", 1, ago(200))
	l.mustRefuse(table, "another format")
	table.Properties["delta.universalFormat.enabledFormats"] = "iceberg"
	table.Commit(ago(2), table.Alter())
	l.mustGo(table, "old.parquet")
}

func TestForeignFilesAreOnlyReported(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.Sized("lake/wh/t/notes.txt", 1, ago(200))
	l.Sized("lake/wh/t/data.csv", 1, ago(200))
	if one := l.mustGo(table, "old.parquet"); one.Foreign.Files != 2 {
		t.Error(l.text())
	}
	l.rule.ForeignFiles = true
	l.mustGo(table, "old.parquet", "notes.txt", "data.csv")
}
