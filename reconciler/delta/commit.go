package delta

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// The JSON of actions, as far as it counts here.
type (
	addJSON struct {
		Path   string      `json:"path"`
		Size   int64       `json:"size"`
		Vector *vectorJSON `json:"deletionVector"`
	}
	removeJSON struct {
		Path    string      `json:"path"`
		Deleted *int64      `json:"deletionTimestamp"`
		Vector  *vectorJSON `json:"deletionVector"`
	}
	vectorJSON struct {
		Type   string `json:"storageType"`
		Path   string `json:"pathOrInlineDv"`
		Offset *int64 `json:"offset"`
	}
	pathJSON struct {
		Path string `json:"path"`
	}
	protocolJSON struct {
		Reader         int      `json:"minReaderVersion"`
		Writer         int      `json:"minWriterVersion"`
		ReaderFeatures []string `json:"readerFeatures"`
		WriterFeatures []string `json:"writerFeatures"`
	}
	metadataJSON struct {
		ID               string            `json:"id"`
		PartitionColumns []string          `json:"partitionColumns"`
		Configuration    map[string]string `json:"configuration"`
		Schema           string            `json:"schemaString"`
	}
	infoJSON struct {
		Operation string `json:"operation"`
		Engine    string `json:"engineInfo"`
		InCommit  *int64 `json:"inCommitTimestamp"`
	}
)

// lineReaders have room for most actions; a longer line is put together.
var lineReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}

// byteOrderMark is what some editors put before a text.
var byteOrderMark = []byte("\xef\xbb\xbf")

// readLines reads objects, one a line. Each has one key, which names the action; its body is good
// until each returns.
func readLines(r io.Reader, each func(name string, body []byte) error) error {
	lines := lineReaders.Get().(*bufio.Reader)
	lines.Reset(r)
	defer func() {
		lines.Reset(nil)
		lineReaders.Put(lines)
	}()
	if head, _ := lines.Peek(len(byteOrderMark)); bytes.Equal(head, byteOrderMark) {
		_, _ = lines.Discard(len(byteOrderMark))
	}
	for n := 1; ; n++ {
		line, err := nextLine(lines)
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if err := readLine(line, each); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// nextLine puts a line that is longer than the reader together once, when all of it is there: it may be large.
func nextLine(lines *bufio.Reader) ([]byte, error) {
	line, err := lines.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	var pieces [][]byte
	for errors.Is(err, bufio.ErrBufferFull) {
		pieces = append(pieces, bytes.Clone(line))
		line, err = lines.ReadSlice('\n')
	}
	return bytes.Join(append(pieces, line), nil), err
}

func readLine(line []byte, each func(name string, body []byte) error) error {
	if name, body, ok := splitAction(line); ok {
		err := each(name, body)
		var syntax *json.SyntaxError
		if !errors.As(err, &syntax) {
			return err
		}
		// It is more than one action, or none at all.
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(line, &all); err != nil {
		return err
	}
	for name, body := range all {
		if err := each(name, body); err != nil {
			return err
		}
	}
	return nil
}

// splitAction splits {"add":{...}} without parsing what is in it, which may turn out not to be
// JSON. It gives up on anything that begins otherwise.
func splitAction(line []byte) (name string, body []byte, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"`))
	if !ok || !bytes.HasSuffix(rest, []byte("}")) {
		return "", nil, false
	}
	key, rest, ok := bytes.Cut(rest[:len(rest)-1], []byte(`":`))
	if !ok || bytes.ContainsAny(key, `\"`) {
		return "", nil, false
	}
	return string(key), rest, true
}

// readNamed reads the body of an action. One that is unknown does not change which files a
// table has; one that belongs into a checkpoint makes the commit none that can be trusted.
func readNamed(name string, body []byte, into *proof.Commit) error {
	if bytes.Equal(body, []byte("null")) {
		return nil
	}
	var err error
	switch name {
	case "add":
		if row, ok := scanFile(body, "size"); ok {
			into.Adds = append(into.Adds, row.add())
			return nil
		}
		err = take(body, func(a addJSON) { into.Adds = append(into.Adds, a.value()) })
	case "remove":
		if row, ok := scanFile(body, "deletionTimestamp"); ok {
			into.Removes = append(into.Removes, row.remove())
			return nil
		}
		err = take(body, func(r removeJSON) { into.Removes = append(into.Removes, r.value()) })
	case "cdc":
		err = take(body, func(c pathJSON) { into.Changes = append(into.Changes, c.Path) })
	case "protocol":
		if into.Protocol != nil {
			into.Unreadable = "has more than one protocol"
		}
		err = take(body, func(p protocolJSON) { one := p.value(); into.Protocol = &one })
	case "metaData":
		if into.Metadata != nil {
			into.Unreadable = "has more than one metadata"
		}
		var m metadataJSON
		if err = json.Unmarshal(body, &m); err == nil {
			into.Metadata, err = m.value()
		}
	case "commitInfo":
		err = take(body, func(i infoJSON) { into.Info = i.value() })
	case "checkpoint", "checkpointMetadata", "sidecar":
		if err = valid(body); err == nil {
			into.Unreadable = "holds the action " + name + ", which is none of a commit"
		}
	default:
		err = valid(body)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// valid tells what is wrong with JSON that nobody reads.
func valid(body []byte) error {
	if json.Valid(body) {
		return nil
	}
	var any json.RawMessage
	return json.Unmarshal(body, &any)
}

func take[T any](body []byte, use func(T)) error {
	var one T
	if err := json.Unmarshal(body, &one); err != nil {
		return err
	}
	use(one)
	return nil
}

func (v *vectorJSON) value() proof.Vector {
	if v == nil {
		return proof.Vector{}
	}
	one := proof.Vector{Type: v.Type, Path: v.Path}
	if v.Offset != nil {
		one.Offset, one.HasOffset = *v.Offset, true
	}
	return one
}

func (a addJSON) value() proof.Add {
	return proof.Add{Path: a.Path, Size: a.Size, Vector: a.Vector.value()}
}

func (r removeJSON) value() proof.Remove {
	one := proof.Remove{Path: r.Path, Vector: r.Vector.value()}
	if r.Deleted != nil {
		one.Deleted = time.UnixMilli(*r.Deleted)
	}
	return one
}

func (p protocolJSON) value() proof.Protocol {
	return proof.Protocol{Reader: p.Reader, Writer: p.Writer, Features: append(p.ReaderFeatures, p.WriterFeatures...)}
}

func (i infoJSON) value() proof.Info {
	one := proof.Info{Operation: i.Operation, Engine: i.Engine}
	if i.InCommit != nil {
		one.InCommit = time.UnixMilli(*i.InCommit)
	}
	return one
}

// value reads the schema too: with column mapping, folders of partitions may be called after
// the physical names of columns.
func (m metadataJSON) value() (*proof.Metadata, error) {
	one := &proof.Metadata{ID: m.ID, PartitionColumns: m.PartitionColumns, Properties: m.Configuration}
	var schema struct {
		Fields []struct {
			Name     string `json:"name"`
			Metadata struct {
				Physical string `json:"delta.columnMapping.physicalName"`
			} `json:"metadata"`
		} `json:"fields"`
	}
	if m.Schema == "" {
		return one, nil
	}
	if err := json.Unmarshal([]byte(m.Schema), &schema); err != nil {
		return nil, fmt.Errorf("schemaString: %w", err)
	}
	for _, column := range m.PartitionColumns {
		for _, f := range schema.Fields {
			if f.Name == column && f.Metadata.Physical != "" {
				one.PartitionColumns = append(one.PartitionColumns, f.Metadata.Physical)
			}
		}
	}
	return one, nil
}

// sumJSON is a .crc file.
type sumJSON struct {
	Files    *int64        `json:"numFiles"`
	Bytes    *int64        `json:"tableSizeBytes"`
	Protocol *protocolJSON `json:"protocol"`
}

func readSum(r io.Reader) (proof.Sum, error) {
	var s sumJSON
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return proof.Sum{}, err
	}
	one := proof.Sum{Files: s.Files, Bytes: s.Bytes}
	if s.Protocol != nil {
		p := s.Protocol.value()
		one.Protocol = &p
	}
	return one, nil
}
