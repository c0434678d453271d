package delta

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// corruptError says that a checkpoint cannot be read whole: an older one may do.
type corruptError struct {
	checkpoint proof.Checkpoint
	cause      error
}

func (e *corruptError) Error() string {
	return fmt.Sprintf("the checkpoint %s cannot be read: %v", e.checkpoint, e.cause)
}
func (e *corruptError) Unwrap() error { return e.cause }

// checkpointHead is what a checkpoint says about the table.
type checkpointHead struct {
	protocol *proof.Protocol
	metadata *proof.Metadata
}

// files hears of the files that a checkpoint has and remembers to be removed.
type files struct {
	add      func(proof.Add) error
	remove   func(proof.Remove) error
	protocol func(proof.Protocol) error // in the end; nil: it is known
}

// readHead reads what a checkpoint says about the table.
func (t *table) readHead(ctx context.Context, c proof.Checkpoint) (checkpointHead, error) {
	var h checkpointHead
	for _, f := range c.Files {
		if err := t.readPart(ctx, f.Name, func(p part) error { return p.head(&h) }); err != nil {
			return h, t.corrupt(ctx, c, err)
		}
	}
	return h, h.complete(c)
}

// complete tells whether nothing of it is missing.
func (h checkpointHead) complete(c proof.Checkpoint) error {
	if h.protocol == nil || h.metadata == nil {
		return &corruptError{c, errors.New("it has no protocol or no metadata")}
	}
	return nil
}

// readFiles reads what files a checkpoint has, those of its sidecars too.
func (t *table) readFiles(ctx context.Context, c proof.Checkpoint, to files) error {
	sidecars, err := t.readTop(ctx, c, to)
	if err != nil {
		return err
	}
	for _, s := range sidecars {
		if err := t.readSidecar(ctx, s, to); err != nil {
			return t.corrupt(ctx, c, err)
		}
	}
	return nil
}

// readTop reads a checkpoint without its sidecars, and gives these.
func (t *table) readTop(ctx context.Context, c proof.Checkpoint, to files) (sidecars []sidecar, err error) {
	var h checkpointHead
	for _, f := range c.Files {
		err := t.readPart(ctx, f.Name, func(p part) error {
			if to.protocol != nil {
				if err := p.head(&h); err != nil {
					return err
				}
			}
			if err := p.files(to); err != nil {
				return err
			}
			more, tops, err := p.sidecars()
			if err == nil && tops != 1 && (len(more) > 0 || f.Kind == proof.LogCheckpointV2) {
				err = fmt.Errorf("it has %d actions checkpointMetadata instead of one", tops) // what names its sidecars may be missing too
			}
			sidecars = append(sidecars, more...)
			return err
		})
		if err != nil {
			return nil, t.corrupt(ctx, c, err)
		}
	}
	if to.protocol == nil {
		return sidecars, nil
	}
	if err := h.complete(c); err != nil {
		return nil, err
	}
	return sidecars, to.protocol(*h.protocol)
}

// corrupt tells what is wrong with a checkpoint from what is wrong with its store, and from what
// makes the table one that is left alone.
func (t *table) corrupt(ctx context.Context, c proof.Checkpoint, err error) error {
	var refusal *proof.Refusal
	var store *storeError
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case errors.As(err, &refusal), errors.As(err, &store) && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return &corruptError{c, err}
}

const sidecarFolder = "_sidecars/"

// part is one file of a checkpoint.
type part interface {
	head(*checkpointHead) error
	files(files) error
	// sidecars gives those that it names, and how many times it says that it is one that may.
	sidecars() (all []sidecar, tops int, err error)
}

// sidecar is a file beside a checkpoint that holds some of its files.
type sidecar struct {
	name string // without folders: they all lie in one
	size int64  // as the checkpoint says; -1 if it does not
}

// readSidecar reads one. It is the one that the checkpoint was written with only if it has that
// size: a truncated one could be sound for itself.
func (t *table) readSidecar(ctx context.Context, s sidecar, to files) error {
	return t.spool(ctx, sidecarFolder+s.name, func(r io.ReaderAt, size int64) error {
		if s.size >= 0 && size != s.size {
			return fmt.Errorf("it has %d bytes, and the checkpoint says %d", size, s.size)
		}
		c, err := openColumns(r, size)
		if err != nil {
			return err
		}
		return parquetPart{c}.files(to)
	})
}

// readPart reads a file of the log as one of a checkpoint.
func (t *table) readPart(ctx context.Context, name string, use func(part) error) error {
	if strings.HasSuffix(name, ".json") {
		return t.read(ctx, name, func(r io.Reader) error {
			one, err := readJSONPart(r)
			if err != nil {
				return err
			}
			return use(one)
		})
	}
	return t.spool(ctx, name, func(r io.ReaderAt, size int64) error {
		c, err := openColumns(r, size)
		if err != nil {
			return err
		}
		return use(parquetPart{c})
	})
}

// parquetPart is one in parquet.
type parquetPart struct{ columns }

func (p parquetPart) files(to files) error {
	err := p.eachFile("add", "size", func(row fileRow) error { return to.add(row.add()) })
	if err != nil {
		return err
	}
	return p.eachFile("remove", "deletionTimestamp", func(row fileRow) error { return to.remove(row.remove()) })
}

func (p parquetPart) sidecars() (all []sidecar, tops int, err error) {
	paths, err := p.texts(p.column("sidecar", "path"))
	if err != nil {
		return nil, 0, err
	}
	versions, err := p.all(p.column("checkpointMetadata", "version"))
	if err != nil {
		return nil, 0, err
	}
	sizes, err := p.all(p.column("sidecar", "sizeInBytes"))
	if err != nil {
		return nil, 0, err
	}
	if len(sizes) > 0 && len(sizes) != len(paths) {
		return nil, 0, errors.New("it names a sidecar without its size")
	}
	for i, path := range paths {
		one := sidecarAt(path)
		if len(sizes) > 0 {
			one.size = sizes[i].Int64()
		}
		all = append(all, one)
	}
	return all, len(versions), nil
}

// sidecarAt is the sidecar at a path.
func sidecarAt(at string) sidecar { return sidecar{path.Base(proof.Decode(at)), -1} }

func (p parquetPart) head(h *checkpointHead) error {
	if err := p.protocol(h); err != nil {
		return err
	}
	return p.metadata(h)
}

func (p parquetPart) protocol(h *checkpointHead) error {
	readers, err := p.all(p.column("protocol", "minReaderVersion"))
	if err != nil || len(readers) == 0 {
		return err
	}
	writers, err := p.all(p.column("protocol", "minWriterVersion"))
	if err != nil {
		return err
	}
	if len(readers) != 1 || len(writers) != 1 || h.protocol != nil {
		return errors.New("it has more than one protocol")
	}
	h.protocol = &proof.Protocol{Reader: int(readers[0].Int32()), Writer: int(writers[0].Int32())}
	for _, list := range []string{"readerFeatures", "writerFeatures"} {
		for _, leaf := range leaves(p.column("protocol", list)) {
			names, err := p.texts(leaf)
			if err != nil {
				return err
			}
			h.protocol.Features = append(h.protocol.Features, names...)
		}
	}
	return nil
}

func (p parquetPart) metadata(h *checkpointHead) error {
	var one [4][]string // id, schema, partition columns, and keys and values of the configuration
	ids, err := p.texts(p.column("metaData", "id"))
	if err != nil || len(ids) == 0 {
		return err
	}
	if len(ids) != 1 || h.metadata != nil {
		return errors.New("it has more than one metadata")
	}
	configuration := leaves(p.column("metaData", "configuration"))
	wanted := append(leaves(p.column("metaData", "schemaString")), leaves(p.column("metaData", "partitionColumns"))...)
	if wanted = append(wanted, configuration...); len(wanted) != len(one) {
		return errors.New("its metadata has not the columns it should have")
	}
	for i, leaf := range wanted {
		if one[i], err = p.texts(leaf); err != nil {
			return err
		}
	}
	if len(one[2]) != len(one[3]) {
		return errors.New("its metadata has a property without a value")
	}
	m := metadataJSON{ID: ids[0], PartitionColumns: one[1], Configuration: map[string]string{}, Schema: strings.Join(one[0], "")}
	for i, key := range one[2] {
		m.Configuration[key] = one[3][i]
	}
	h.metadata, err = m.value()
	return err
}

// jsonPart is one in JSON, which only the top of a checkpoint with sidecars can be.
type jsonPart struct {
	proof.Commit
	beside   []sidecar
	metadata int
}

func readJSONPart(r io.Reader) (*jsonPart, error) {
	one := &jsonPart{}
	err := readLines(r, func(name string, body []byte) error {
		switch name {
		case "checkpointMetadata":
			err := valid(body)
			if err == nil {
				one.metadata++
			}
			return err
		case "sidecar":
			return take(body, func(s sidecarJSON) { one.beside = append(one.beside, s.value()) })
		}
		return readNamed(name, body, &one.Commit)
	})
	return one, err
}

func (p *jsonPart) head(h *checkpointHead) error {
	if p.Unreadable != "" {
		return errors.New("it " + p.Unreadable)
	}
	h.protocol, h.metadata = p.Protocol, p.Metadata
	return nil
}

func (p *jsonPart) files(to files) error {
	for _, a := range p.Adds {
		if err := to.add(a); err != nil {
			return err
		}
	}
	for _, r := range p.Removes {
		if err := to.remove(r); err != nil {
			return err
		}
	}
	return nil
}

func (p *jsonPart) sidecars() (all []sidecar, tops int, err error) { return p.beside, p.metadata, nil }

type sidecarJSON struct {
	Path string `json:"path"`
	Size *int64 `json:"sizeInBytes"`
}

func (s sidecarJSON) value() sidecar {
	one := sidecarAt(s.Path)
	if s.Size != nil {
		one.size = *s.Size
	}
	return one
}
