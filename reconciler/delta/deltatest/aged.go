package deltatest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// Stored is a file of a table as a store holds it.
type Stored struct {
	Path    string // from the table's folder
	Content []byte
	Written time.Time
}

// Aged gives the files of one table as if its versions had been committed at other times, and all
// that belongs to a version as long before it as it was: in its log, its checkpoints too, and by
// the times of the files.
func Aged(files []Stored, committed func(version int64) time.Time) ([]Stored, error) {
	a := ageing{committed: committed}
	for _, f := range files {
		if version, ok := versionOf(f.Path); ok && path.Ext(f.Path) == ".json" && !strings.Contains(f.Path, ".checkpoint.") {
			a.versions = append(a.versions, commitAt{version, f.Written})
		}
	}
	slices.SortFunc(a.versions, func(a, b commitAt) int { return int(a.version - b.version) })
	var aged []Stored
	for _, f := range files {
		if strings.HasPrefix(path.Base(f.Path), ".") || path.Base(f.Path) == "_last_checkpoint" {
			continue // sums of files that are not the same any more, and a hint with one
		}
		one, err := a.file(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		aged = append(aged, one)
	}
	return aged, a.sidecarSizes(aged)
}

// logName is the name of a file of a log that is a version's.
var logName = regexp.MustCompile(`^_delta_log/(?:_sidecars/)?(\d{20})\.`)

func versionOf(name string) (int64, bool) {
	found := logName.FindStringSubmatch(name)
	if found == nil {
		return 0, false
	}
	version, err := strconv.ParseInt(found[1], 10, 64)
	return version, err == nil
}

type commitAt struct {
	version int64
	at      time.Time
}

type ageing struct {
	committed func(version int64) time.Time
	versions  []commitAt
}

// at moves a time as the commit that comes after it is moved; what is later than all commits as
// the last one.
func (a ageing) at(t time.Time) time.Time {
	of := a.versions[len(a.versions)-1]
	for _, v := range slices.Backward(a.versions) {
		if t.After(v.at) {
			break
		}
		of = v
	}
	return t.Add(a.committed(of.version).Sub(of.at))
}

func (a ageing) file(f Stored) (Stored, error) {
	written := a.at(f.Written)
	if version, ok := versionOf(f.Path); ok {
		for _, v := range a.versions {
			if v.version == version {
				written = f.Written.Add(a.committed(version).Sub(v.at))
			}
		}
	}
	var err error
	switch {
	case !strings.HasPrefix(f.Path, "_delta_log/"):
	case strings.HasSuffix(f.Path, ".parquet"):
		f.Content, err = a.parquet(f.Content)
	default:
		f.Content = a.text(f.Content)
	}
	f.Written = written
	return f, err
}

// milliseconds is a time as a log writes it.
var milliseconds = regexp.MustCompile(`\b1\d{12}\b`)

// A log names no time that is longer before its first version, or after its last.
const margin = time.Hour

func (a ageing) text(text []byte) []byte {
	return milliseconds.ReplaceAllFunc(text, func(b []byte) []byte {
		n, _ := strconv.ParseInt(string(b), 10, 64) // it matched digits
		return strconv.AppendInt(nil, a.number(n), 10)
	})
}

// number moves one that is a time.
func (a ageing) number(n int64) int64 {
	t := time.UnixMilli(n)
	if t.Before(a.versions[0].at.Add(-margin)) || t.After(a.versions[len(a.versions)-1].at.Add(margin)) {
		return n
	}
	return a.at(t).UnixMilli()
}

// parquet writes a file of a checkpoint anew, with the same columns.
func (a ageing) parquet(content []byte) ([]byte, error) {
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[any](&b, parquet.NewSchema(f.Schema().Name(), plainRoot{f.Root()}), parquet.Compression(&parquet.Snappy))
	for _, group := range f.RowGroups() {
		if err := a.rows(group, w); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return b.Bytes(), err
}

// plain is a column without the encodings that a file names for it: that of its levels is among
// these, and may stand first.
type plain struct{ parquet.Field }

func (plain) Encoding() encoding.Encoding { return nil }

func (p plain) Fields() []parquet.Field { return plainFields(p.Field) }

// plainRoot is the same for all columns.
type plainRoot struct{ parquet.Node }

func (p plainRoot) Fields() []parquet.Field { return plainFields(p.Node) }

func plainFields(n parquet.Node) []parquet.Field {
	fields := slices.Clone(n.Fields())
	for i, f := range fields {
		fields[i] = plain{f}
	}
	return fields
}

func (a ageing) rows(group parquet.RowGroup, w *parquet.GenericWriter[any]) error {
	rows := group.Rows()
	defer rows.Close()
	for buffer := make([]parquet.Row, 64); ; {
		n, err := rows.ReadRows(buffer)
		for _, row := range buffer[:n] {
			for i, v := range row {
				row[i] = a.value(v)
			}
		}
		if _, err := w.WriteRows(buffer[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (a ageing) value(v parquet.Value) parquet.Value {
	moved := v
	switch {
	case v.IsNull():
		return v
	case v.Kind() == parquet.Int64:
		moved = parquet.Int64Value(a.number(v.Int64()))
	case v.Kind() == parquet.ByteArray:
		moved = parquet.ByteArrayValue(a.text(v.ByteArray()))
	}
	return moved.Level(v.RepetitionLevel(), v.DefinitionLevel(), v.Column())
}

// sidecarSizes puts the sizes of sidecars right, which their checkpoint names.
func (a ageing) sidecarSizes(files []Stored) error {
	sizes := map[string]int{}
	for _, f := range files {
		if strings.Contains(f.Path, "/_sidecars/") {
			sizes[path.Base(f.Path)] = len(f.Content)
		}
	}
	for i, f := range files {
		if !strings.Contains(f.Path, ".checkpoint.") || !strings.HasSuffix(f.Path, ".json") {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(sizes)) {
			named := regexp.MustCompile(`("` + regexp.QuoteMeta(name) + `","sizeInBytes":)\d+`)
			files[i].Content = named.ReplaceAll(files[i].Content, fmt.Appendf(nil, "${1}%d", sizes[name]))
		}
	}
	return nil
}
