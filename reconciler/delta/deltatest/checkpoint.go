package deltatest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// The columns of a checkpoint, as Spark names them.
type (
	row struct {
		Add      *addRow      `parquet:"add,optional"`
		Remove   *removeRow   `parquet:"remove,optional"`
		Metadata *metadataRow `parquet:"metaData,optional"`
		Protocol *protocolRow `parquet:"protocol,optional"`
		Top      *topRow      `parquet:"checkpointMetadata,optional"`
		Sidecar  *sidecarRow  `parquet:"sidecar,optional"`
	}
	addRow struct {
		Path       string            `parquet:"path,optional"`
		Partitions map[string]string `parquet:"partitionValues,optional"`
		Size       int64             `parquet:"size"`
		DataChange bool              `parquet:"dataChange"`
		Stats      *string           `parquet:"stats,optional"`
		Vector     *vectorRow        `parquet:"deletionVector,optional"`
	}
	removeRow struct {
		Path    string     `parquet:"path,optional"`
		Deleted *int64     `parquet:"deletionTimestamp,optional"`
		Vector  *vectorRow `parquet:"deletionVector,optional"`
	}
	vectorRow struct {
		Type   string `parquet:"storageType,optional"`
		Path   string `parquet:"pathOrInlineDv,optional"`
		Offset *int32 `parquet:"offset,optional"`
	}
	metadataRow struct {
		ID            string            `parquet:"id,optional"`
		Schema        string            `parquet:"schemaString,optional"`
		Columns       []string          `parquet:"partitionColumns,list,optional"`
		Configuration map[string]string `parquet:"configuration,optional"`
	}
	protocolRow struct {
		Reader         int32    `parquet:"minReaderVersion"`
		Writer         int32    `parquet:"minWriterVersion"`
		ReaderFeatures []string `parquet:"readerFeatures,list,optional"`
		WriterFeatures []string `parquet:"writerFeatures,list,optional"`
	}
	topRow struct {
		Version int64 `parquet:"version"`
	}
	sidecarRow struct {
		Path string `parquet:"path,optional"`
		Size int64  `parquet:"sizeInBytes"`
	}
)

// Checkpoint says how one is written.
type Checkpoint struct {
	At     time.Time     // when it is written; zero: when the version was
	Parts  int           // in how many files; 0 is one of the classic kind
	Forget time.Duration // removals that are older are left out; 0: none
	Lose   []string      // paths of live files that a faulty writer leaves out
	Keep   []string      // paths of removed files that a faulty writer still has

	V2          string // "json" or "parquet": its top file names sidecars
	Sidecars    int    // how many; 0 in V2: the top holds everything
	SidecarPath string // a folder before the names of sidecars
	Classic     bool   // of V2: the top is called as the classic kind
	Share       bool   // of V2: a sidecar that holds the same already serves for it too
}

// Checkpoint writes one of the newest version, in place of one of the same name, and gives that: of
// several parts that of the first.
func (t *Table) Checkpoint(c Checkpoint) (name string) {
	if c.At.IsZero() {
		c.At = t.At
	}
	head, files := t.rows(c)
	name = fmt.Sprintf("%020d.checkpoint", t.Version)
	switch all := append(head, files...); {
	case c.V2 != "":
		return t.checkpointV2(c, name, head, files)
	case c.Parts > 0:
		part := func(i int) string { return fmt.Sprintf("%s.%010d.%010d.parquet", name, i+1, c.Parts) }
		for i := range c.Parts {
			from, to := i*len(all)/c.Parts, (i+1)*len(all)/c.Parts
			t.Store.Put(t.LogPath(part(i)), Parquet(all[from:to]), c.At)
		}
		return part(0)
	default:
		name += ".parquet"
		t.Store.Put(t.LogPath(name), Parquet(all), c.At)
		return name
	}
}

// rows are those of an honest checkpoint, but for what c changes.
func (t *Table) rows(c Checkpoint) (head, files []row) {
	p := protocolRow{int32(t.Protocol.Reader), int32(t.Protocol.Writer), t.Protocol.ReaderFeatures, t.Protocol.WriterFeatures}
	head = []row{{Protocol: &p}, {Metadata: &metadataRow{t.id(), `{"type":"struct","fields":[]}`, t.Columns, t.Properties}}}
	for _, f := range t.live() {
		if !slices.Contains(c.Lose, f.Path) {
			files = append(files, row{Add: &addRow{Path: f.Path, Size: f.Size, Vector: f.Vector.row()}})
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(t.Tombstones), compare) {
		d := t.Tombstones[id]
		if _, back := t.State[id]; back {
			continue
		}
		if slices.Contains(c.Keep, d.Path) {
			files = append(files, row{Add: &addRow{Path: d.Path, Size: fileSize, Vector: d.Vector.row()}})
			continue
		}
		one := &removeRow{Path: d.Path, Vector: d.Vector.row()}
		if d.At != nil {
			at := d.At.UnixMilli()
			one.Deleted = &at
		}
		if c.Forget == 0 || d.At != nil && d.At.After(c.At.Add(-c.Forget)) {
			files = append(files, row{Remove: one})
		}
	}
	return head, files
}

func (v *Vector) row() *vectorRow {
	if v == nil {
		return nil
	}
	return &vectorRow{v.Type, v.Path, v.Offset}
}

// uuid is one that no other file of the table has: a sidecar that took the name of another
// one would falsify the checkpoint which names that.
func (t *Table) uuid() string {
	t.uuids++
	return fmt.Sprintf("80a083e8-7026-4e79-81be-%012x", t.uuids)
}

func (t *Table) checkpointV2(c Checkpoint, name string, head, files []row) string {
	top := append([]row{{Top: &topRow{t.Version}}}, head...)
	if c.Sidecars == 0 {
		top = append(top, files...)
	}
	var beside []string
	for i := range c.Sidecars {
		from, to := i*len(files)/c.Sidecars, (i+1)*len(files)/c.Sidecars
		content := Parquet(files[from:to])
		file := t.sidecar(c, content)
		beside = append(beside, t.LogPath("_sidecars/"+file))
		top = append(top, row{Sidecar: &sidecarRow{c.SidecarPath + file, int64(len(content))}})
	}
	content := Parquet(top)
	switch {
	case c.Classic:
		name += ".parquet"
	case c.V2 == "json":
		name, content = name+"."+t.uuid()+".json", lines(top)
	default:
		name += "." + t.uuid() + ".parquet"
	}
	t.Store.Put(t.LogPath(name), content, c.At)
	t.Sidecars[t.LogPath(name)] = beside
	return name
}

// sidecar is the name of one with some content, which is written unless one of those that are there
// has it and serves.
func (t *Table) sidecar(c Checkpoint, content string) string {
	if c.Share {
		for _, path := range slices.Sorted(maps.Keys(t.beside)) {
			if t.Store.Has(path) && t.Store.Read(path) == content {
				return t.beside[path]
			}
		}
	}
	file := t.uuid() + ".parquet"
	path := t.LogPath("_sidecars/" + file)
	t.Store.Put(path, content, c.At)
	t.beside[path] = file
	return file
}

// Parquet writes rows as Spark does.
func Parquet(rows []row) string {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, parquet.Compression(&parquet.Snappy), parquet.CreatedBy("parquet-mr", "1.15.2", "made for a test"))
	if _, err := w.Write(rows); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// lines writes rows as JSON.
func lines(rows []row) string {
	var all []string
	for _, r := range rows {
		switch {
		case r.Top != nil:
			all = append(all, encode(map[string]any{"checkpointMetadata": map[string]any{"version": r.Top.Version}}))
		case r.Sidecar != nil:
			all = append(all, encode(map[string]any{"sidecar": map[string]any{"path": r.Sidecar.Path, "sizeInBytes": r.Sidecar.Size}}))
		case r.Protocol != nil:
			p := Protocol{int(r.Protocol.Reader), int(r.Protocol.Writer), r.Protocol.ReaderFeatures, r.Protocol.WriterFeatures}
			all = append(all, encode(map[string]any{"protocol": p}))
		case r.Metadata != nil:
			m := r.Metadata
			all = append(all, encode(map[string]any{"metaData": map[string]any{"id": m.ID, "schemaString": m.Schema, "partitionColumns": m.Columns, "configuration": m.Configuration}}))
		case r.Add != nil:
			all = append(all, encode(map[string]any{"add": map[string]any{"path": r.Add.Path, "size": r.Add.Size, "deletionVector": vectorOf(r.Add.Vector)}}))
		case r.Remove != nil:
			all = append(all, encode(map[string]any{"remove": map[string]any{"path": r.Remove.Path, "deletionTimestamp": r.Remove.Deleted, "deletionVector": vectorOf(r.Remove.Vector)}}))
		}
	}
	return strings.Join(all, "\n") + "\n"
}

func vectorOf(v *vectorRow) *Vector {
	if v == nil {
		return nil
	}
	return &Vector{v.Type, v.Path, v.Offset}
}
