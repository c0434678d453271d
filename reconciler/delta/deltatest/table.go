package deltatest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Table is one that is written version by version. What it holds by then is what an honest
// writer would hold.
type Table struct {
	Store   *Store
	Folder  string // without a slash at its end
	Version int64  // the newest; -1 before the first
	At      time.Time

	Protocol   Protocol
	Columns    []string // by which it is partitioned
	Properties map[string]string
	Operation  string // of the next commits; "": WRITE
	ID         string // in its metadata; "": made of the folder

	State      map[ID]File     // what is live, by path and vector
	Tombstones map[ID]Deletion // what was removed
	Past       []Past          // every version
	// Sidecars are where those of each checkpoint of the new kind are, by where that is.
	Sidecars map[string][]string

	uuids  int               // how many were given
	beside map[string]string // names of sidecars, by where they are
}

// Past is one version.
type Past struct {
	At    time.Time
	State map[ID]File
}

// ID is a file with its deletion vector.
type ID struct{ Path, Vector string }

// File is a live one.
type File struct {
	Path   string `json:"path"` // as it is written in the log
	Size   int64  `json:"size"`
	Vector *Vector
}

// Vector is a deletion vector.
type Vector struct {
	Type   string `json:"storageType"`
	Path   string `json:"pathOrInlineDv"`
	Offset *int32 `json:"offset,omitempty"`
}

// Deletion is a removed file.
type Deletion struct {
	Path   string
	At     *time.Time // as it is written; nil: it is not
	Vector *Vector
}

// Protocol is what readers and writers have to know.
type Protocol struct {
	Reader         int      `json:"minReaderVersion"`
	Writer         int      `json:"minWriterVersion"`
	ReaderFeatures []string `json:"readerFeatures,omitempty"`
	WriterFeatures []string `json:"writerFeatures,omitempty"`
}

// Table begins a table; its first commit writes protocol and metadata.
func (s *Store) Table(folder string) *Table {
	return &Table{
		Store: s, Folder: folder, Version: -1, Protocol: Protocol{Reader: 1, Writer: 2}, Properties: map[string]string{},
		State: map[ID]File{}, Tombstones: map[ID]Deletion{}, Sidecars: map[string][]string{}, beside: map[string]string{},
	}
}

// Action is one of a commit.
type Action struct {
	line  string
	apply func(*Table, time.Time)
}

func (v *Vector) id() string {
	switch {
	case v == nil:
		return ""
	case v.Offset == nil:
		return v.Type + v.Path
	}
	return fmt.Sprintf("%s%s@%d", v.Type, v.Path, *v.Offset)
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// fileSize is that of every file that is added, unless a test says otherwise.
const fileSize = 100

// Add adds a file; it is there too, written when the commit is.
func Add(path string, vector ...*Vector) Action {
	f := File{Path: path, Size: fileSize}
	line := map[string]any{"path": path, "size": f.Size, "partitionValues": map[string]string{}, "modificationTime": 0, "dataChange": true}
	if len(vector) > 0 && vector[0] != nil {
		f.Vector = vector[0]
		line["deletionVector"] = f.Vector
	}
	return Action{encode(map[string]any{"add": line}), func(t *Table, at time.Time) {
		t.State[ID{path, f.Vector.id()}] = f
		if inside, relative := Decoded(path); relative && !t.Store.Has(t.Folder+"/"+inside) {
			t.Store.Sized(t.Folder+"/"+inside, f.Size, at)
		}
	}}
}

// Decoded is the file that a path means, and whether it is relative to the table.
func Decoded(path string) (string, bool) {
	if strings.HasPrefix(path, "/") || strings.Contains(path, ":/") {
		return path, false
	}
	if once, err := url.PathUnescape(path); err == nil {
		return once, true
	}
	return path, true
}

// Remove removes a file as of the commit's time.
func Remove(path string, vector ...*Vector) Action { return remove(path, path, false, nil, vector...) }

// RemoveAt removes a file and writes another time down; nil for none.
func RemoveAt(path string, deleted *time.Time, vector ...*Vector) Action {
	return remove(path, path, true, deleted, vector...)
}

// RemoveSpelled removes a file by a path that is spelled in another way.
func RemoveSpelled(path, spelled string) Action { return remove(path, spelled, false, nil) }

func remove(path, spelled string, own bool, deleted *time.Time, vector ...*Vector) Action {
	var v *Vector
	if len(vector) > 0 {
		v = vector[0]
	}
	one := Action{apply: func(t *Table, at time.Time) {
		id := ID{path, v.id()}
		delete(t.State, id)
		d := Deletion{spelled, &at, v}
		if own {
			d.At = deleted
		}
		t.Tombstones[id] = d
	}}
	line := map[string]any{"path": spelled, "dataChange": true}
	if v != nil {
		line["deletionVector"] = v
	}
	if own && deleted != nil {
		line["deletionTimestamp"] = deleted.UnixMilli()
	}
	if !own {
		line["deletionTimestamp"] = "AT" // when the commit is written
	}
	one.line = encode(map[string]any{"remove": line})
	return one
}

// Change writes change data.
func Change(path string) Action {
	return Action{encode(map[string]any{"cdc": map[string]any{"path": path, "size": 1, "dataChange": false}}), func(t *Table, at time.Time) {
		inside, _ := Decoded(path)
		t.Store.Sized(t.Folder+"/"+inside, 1, at)
	}}
}

// Raw is any line.
func Raw(line string) Action { return Action{line, func(*Table, time.Time) {}} }

// Upgrade changes the protocol.
func (t *Table) Upgrade(p Protocol) Action {
	return Action{encode(map[string]any{"protocol": p}), func(t *Table, _ time.Time) { t.Protocol = p }}
}

// Alter writes the metadata again, after the fields of the table were changed.
func (t *Table) Alter() Action { return Raw(t.metadata()) }

func (t *Table) id() string { return cmp.Or(t.ID, "id-of-"+t.Folder) }

func (t *Table) metadata() string {
	return encode(map[string]any{"metaData": map[string]any{
		"id": t.id(), "format": map[string]any{"provider": "parquet", "options": map[string]string{}},
		"schemaString": `{"type":"struct","fields":[]}`, "partitionColumns": t.Columns, "configuration": t.Properties,
	}})
}

// Commit writes the next version.
func (t *Table) Commit(at time.Time, actions ...Action) {
	t.Version++
	t.At = at
	info := map[string]any{"timestamp": at.UnixMilli(), "operation": cmp.Or(t.Operation, "WRITE"), "engineInfo": "Apache-Spark/4.0.1 Delta-Lake/4.0.1"}
	if t.Properties["delta.enableInCommitTimestamps"] == "true" {
		info["inCommitTimestamp"] = at.UnixMilli()
	}
	lines := []string{encode(map[string]any{"commitInfo": info})}
	if t.Version == 0 {
		lines = append(lines, encode(map[string]any{"protocol": t.Protocol}), t.metadata())
	}
	for _, a := range actions {
		lines = append(lines, strings.Replace(a.line, `"AT"`, fmt.Sprint(at.UnixMilli()), 1))
		a.apply(t, at)
	}
	t.Store.Put(t.CommitPath(t.Version), strings.Join(lines, "\n")+"\n", at)
	t.Past = append(t.Past, Past{at, maps.Clone(t.State)})
}

// LogPath is where a file of the log is.
func (t *Table) LogPath(name string) string { return t.Folder + "/_delta_log/" + name }

// CommitPath is where a version is.
func (t *Table) CommitPath(version int64) string {
	return t.LogPath(fmt.Sprintf("%020d.json", version))
}

// Sum writes the .crc of the newest version.
func (t *Table) Sum() {
	var size int64
	for _, f := range t.State {
		size += f.Size
	}
	t.Store.Put(t.LogPath(fmt.Sprintf("%020d.crc", t.Version)), encode(map[string]any{
		"tableSizeBytes": size, "numFiles": len(t.State), "numMetadata": 1, "numProtocol": 1, "protocol": t.Protocol,
	}), t.At)
}

// Trim removes commits that are older than a version, as a cleanup of the log does.
func (t *Table) Trim(version int64) {
	for v := range version {
		t.Store.Delete(t.CommitPath(v))
	}
}

// live are the files in a fixed order.
func (t *Table) live() []File {
	var all []File
	for _, id := range slices.SortedFunc(maps.Keys(t.State), compare) {
		all = append(all, t.State[id])
	}
	return all
}

func compare(a, b ID) int { return strings.Compare(a.Path+"\x00"+a.Vector, b.Path+"\x00"+b.Vector) }
