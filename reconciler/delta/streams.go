package delta

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// stream is how far a structured stream of Spark has read, as its checkpoint says.
type stream struct {
	newest proof.Batch
	before *proof.Batch
	err    error // that nobody can tell
}

// streamsOf gives the oldest version of a table that a stream of its rule needs; nil if none needs
// any. The error says that nobody can tell.
func (p *planning) streamsOf(ctx context.Context, rule spec.RetentionRule, id string) (oldest *int64, err error) {
	for _, s := range rule.KeepStreams {
		one := p.stream(ctx, s)
		version, reads, err := proof.StreamNeeds(one.newest, one.before, id)
		if one.err != nil {
			err = one.err
		}
		if err != nil {
			return nil, fmt.Errorf("nobody can tell what the stream in %s still needs: %w", s, err)
		}
		if reads && (oldest == nil || version < *oldest) {
			oldest = &version
		}
	}
	return oldest, nil
}

// stream reads how far one has come, once in a look: it only ever goes on.
func (p *planning) stream(ctx context.Context, s spec.Stream) stream {
	one, known := p.streams[s.String()]
	if known {
		return one
	}
	if p.open == nil {
		one.err = errors.New("nobody opens its store")
	} else if store, err := p.open(ctx, s.Store); err != nil {
		one.err = err
	} else {
		one = readStream(ctx, store, s.Folder+"/")
	}
	if p.streams == nil {
		p.streams = map[string]stream{}
	}
	p.streams[s.String()] = one
	return one
}

func readStream(ctx context.Context, store Store, folder string) (s stream) {
	newest, before := int64(-1), false
	written := map[int64]bool{}
	s.err = store.List(ctx, folder+"offsets/", false, func(path string, _ int64, _ time.Time, _ string) error {
		if n, err := strconv.ParseUint(path[len(folder+"offsets/"):], 10, 63); err == nil {
			written[int64(n)] = true
			newest = max(newest, int64(n))
		}
		return nil
	})
	if s.err == nil && newest < 0 {
		s.err = errors.New("there are no offsets: it has not begun, or is not there")
	}
	if s.err != nil {
		return s
	}
	if s.newest, s.err = readBatch(ctx, store, folder, newest); s.err != nil {
		return s
	}
	if before = written[newest-1]; before {
		one, err := readBatch(ctx, store, folder, newest-1)
		s.before, s.err = &one, err
	}
	return s
}

// readBatch reads the offsets of one batch, and whether it has ended.
func readBatch(ctx context.Context, store Store, folder string, number int64) (proof.Batch, error) {
	b := proof.Batch{Number: number}
	name := fmt.Sprintf("offsets/%d", number)
	r, err := store.Get(ctx, folder+name)
	if err != nil {
		return b, fmt.Errorf("read %s: %w", name, err)
	}
	defer r.Close()
	if b.Offsets, err = readOffsets(r); err != nil {
		return b, fmt.Errorf("read %s: %w", name, err)
	}
	_, _, _, err = store.Stat(ctx, folder+fmt.Sprintf("commits/%d", number))
	if err == nil {
		b.Ended = true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	return b, nil
}

// offsetJSON is that of a table of Delta. Other sources have others, which say nothing here.
type offsetJSON struct {
	Format  *int64 `json:"sourceVersion"`
	Table   string `json:"reservoirId"`
	Version *int64 `json:"reservoirVersion"`
	Initial bool   `json:"isStartingVersion"`
}

// offsetsMost bounds a file of offsets, which has a line for each source.
const offsetsMost = 1 << 20

// readOffsets reads what a stream writes of a batch: the format, what counts for all of it, and a line for each of its
// sources.
func readOffsets(r io.Reader) (all []proof.Offset, err error) {
	in := bufio.NewScanner(io.LimitReader(r, offsetsMost))
	in.Buffer(nil, offsetsMost)
	for n := 0; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		switch {
		case n == 0 && line != "v1":
			return nil, fmt.Errorf("it begins with %q, and v1 is known here", line)
		case n <= 1, line == "-": // a source of which nothing was read yet
			continue
		}
		o, isDelta, err := readOffset(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		if isDelta {
			all = append(all, o)
		}
	}
	if err = in.Err(); err == nil && len(all) == 0 {
		err = errors.New("it names no table of Delta")
	}
	return all, err
}

func readOffset(line string) (o proof.Offset, isDelta bool, err error) {
	if !json.Valid([]byte(line)) {
		return o, false, fmt.Errorf("%.50q is no JSON", line)
	}
	if !strings.Contains(line, `"reservoir`) {
		return o, false, nil
	}
	var j offsetJSON
	if err := json.Unmarshal([]byte(line), &j); err != nil {
		return o, true, err
	}
	if j.Format == nil || *j.Format != 1 && *j.Format != 3 || j.Table == "" || j.Version == nil || *j.Version < 0 {
		return o, true, fmt.Errorf("%.200s is none of the offsets that are known here", line)
	}
	return proof.Offset{Table: j.Table, Version: *j.Version, Initial: j.Initial}, true, nil
}
