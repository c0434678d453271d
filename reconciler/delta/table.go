package delta

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// table is one that is looked at.
type table struct {
	store  Store
	folder string     // in the store, with a slash at its end
	root   proof.Root // the same as people and logs write it
}

// storeError is one of the store, and no fault of the table.
type storeError struct {
	cause error
	ours  bool // it is the disk of this machine that failed
}

// do is what a person does about it.
func (e *storeError) do() string {
	if e.ours {
		return "make room there, or have TMPDIR name another folder, and look again"
	}
	return "see that the store answers and that its key may list and read there, and look again"
}

func (e *storeError) Error() string { return e.cause.Error() }
func (e *storeError) Unwrap() error { return e.cause }

const logFolder = "_delta_log/"

// listLog lists the table's log.
func (t *table) listLog(ctx context.Context) ([]proof.LogFile, error) { return t.listInLog(ctx, "") }

// listInLog lists a folder of the log ("": the log itself), but for the folders in it.
func (t *table) listInLog(ctx context.Context, folder string) ([]proof.LogFile, error) {
	return t.logFiles(func(each listed) error { return t.store.List(ctx, t.folder+logFolder+folder, false, each) })
}

// listTail lists what of the log comes after a name, and it may be more: in a store that does not list in
// order, all of it.
func (t *table) listTail(ctx context.Context, after string) ([]proof.LogFile, error) {
	store, ok := t.store.(Ordered)
	if !ok || after == "" {
		return t.listLog(ctx)
	}
	files, err := t.logFiles(func(each listed) error { return store.ListAfter(ctx, t.folder+logFolder, after, each) })
	if err != nil && context.Cause(ctx) == nil {
		return t.listLog(ctx) // not every store has it
	}
	return files, err
}

// listed hears of files, as List tells of them.
type listed = func(path string, size int64, written time.Time, tag string) error

func (t *table) logFiles(list func(listed) error) ([]proof.LogFile, error) {
	var all []proof.LogFile
	err := list(func(path string, size int64, written time.Time, tag string) error {
		if name := path[len(t.folder+logFolder):]; name != "" && !strings.HasSuffix(name, "/") {
			f := proof.ReadName(name, size, written)
			f.Tag = tag
			all = append(all, f)
		}
		return nil
	})
	if err != nil {
		return nil, &storeError{cause: fmt.Errorf("list its log: %w", err)}
	}
	return all, nil
}

// staged refuses a table with commits that its log does not know yet.
func (t *table) staged(ctx context.Context) error {
	for _, folder := range []string{"_staged_commits/", "_commits/"} {
		err := t.store.List(ctx, t.folder+logFolder+folder, true, func(path string, _ int64, _ time.Time, _ string) error {
			if strings.HasSuffix(path, "/") {
				return nil // an empty key that stands for the folder
			}
			return &proof.Refusal{
				Why: "its log has staged commits, as a table whose catalog makes the commits: " + path[len(t.folder):],
				Do:  "let the catalog clean it up; where none makes its commits any more, remove them once Spark has been seen to read all that is in them",
			}
		})
		var refusal *proof.Refusal
		if errors.As(err, &refusal) {
			return err
		}
		if err != nil {
			return &storeError{cause: fmt.Errorf("list its log: %w", err)}
		}
	}
	return nil
}

// read opens a file of the log.
func (t *table) read(ctx context.Context, name string, use func(io.Reader) error) error {
	r, err := t.store.Get(ctx, t.folder+logFolder+name)
	if err != nil {
		return &storeError{cause: fmt.Errorf("read %s: %w", name, err)}
	}
	defer r.Close()
	if err := use(&storeReader{r}); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// storeReader marks what goes wrong while a file is read as an error of the store.
type storeReader struct{ io.Reader }

func (r *storeReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &storeError{cause: err}
	}
	return n, err
}

// inMemory is the size up to which a file is held in memory while it is read from any place.
const inMemory = 1 << 20

// spool opens a file of the log to be read from any place.
func (t *table) spool(ctx context.Context, name string, use func(io.ReaderAt, int64) error) error {
	return t.read(ctx, name, func(r io.Reader) error {
		var head bytes.Buffer
		n, err := io.CopyN(&head, r, inMemory)
		if errors.Is(err, io.EOF) {
			return use(bytes.NewReader(head.Bytes()), n)
		}
		if err != nil {
			return err
		}
		f, err := scratch("flumen-checkpoint-")
		if err != nil {
			return err
		}
		defer f.Close()
		n, err = io.Copy(scratchWriter{f}, io.MultiReader(&head, r))
		if err != nil {
			return err
		}
		return use(f, n)
	})
}

// readCommit reads one version, and tells of it in parts if it is a long one.
func (t *table) readCommit(ctx context.Context, f proof.LogFile, each func(proof.Commit) error) error {
	c := &longCommit{Commit: proof.Commit{Version: f.Version}}
	defer c.close()
	err := t.read(ctx, f.Name, func(r io.Reader) error { return readLines(r, c.read) })
	var store *storeError
	switch {
	case err == nil:
		return c.tell(each)
	case context.Cause(ctx) != nil:
		return err
	case errors.Is(err, fs.ErrNotExist):
		return &proof.Refusal{Why: fmt.Sprintf("its log was changed while it was read: version %d is gone", f.Version), Do: "look again"}
	case errors.As(err, &store):
		return err
	}
	return &proof.Refusal{Why: fmt.Sprintf("its log is corrupt: %v", err), Do: proof.MendLog}
}

// readCommits reads versions in the given order, several at a time.
func (t *table) readCommits(ctx context.Context, commits []proof.LogFile, each func(proof.Commit) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		commit proof.Commit
		err    error
	}
	queue := make(chan chan answer, commitsAtOnce)
	room := semaphore.NewWeighted(bytesAtOnce)
	go func() {
		defer close(queue)
		for _, f := range commits {
			size := min(f.Size, bytesAtOnce)
			if room.Acquire(ctx, size) != nil {
				return // ctx has ended
			}
			parts := make(chan answer, 1)
			select {
			case queue <- parts:
			case <-ctx.Done():
				return
			}
			go func() {
				defer close(parts)
				defer room.Release(size)
				err := t.readCommit(ctx, f, func(c proof.Commit) error {
					parts <- answer{commit: c}
					return context.Cause(ctx)
				})
				if err != nil {
					parts <- answer{err: err}
				}
			}()
		}
	}()
	var failed error
	for parts := range queue { // all of them: whoever started them waits for them
		for a := range parts {
			if failed != nil {
				continue
			}
			if failed = a.err; failed == nil {
				failed = each(a.commit)
			}
			if failed != nil {
				cancel()
			}
		}
	}
	return cmp.Or(failed, context.Cause(ctx))
}

// How many versions are read side by side, and how many bytes of them: a version may be one line, which is held in memory. One
// that is larger is read alone.
const (
	commitsAtOnce = 64
	bytesAtOnce   = 64 << 20
)

// readSum reads the .crc of a version, if there is one that can be read: it is a cross-check,
// and no part of the log.
func (t *table) readSum(ctx context.Context, f proof.LogFile) (s proof.Sum, ok bool, err error) {
	err = t.read(ctx, path.Base(f.Name), func(r io.Reader) (err error) {
		s, err = readSum(r)
		return err
	})
	var store *storeError
	switch {
	case err == nil:
		return s, true, nil
	case errors.Is(err, fs.ErrNotExist):
		return s, false, nil
	case errors.As(err, &store):
		return s, false, err
	}
	return s, false, &proof.Refusal{Why: fmt.Sprintf("its log is corrupt: %v", err), Do: "see that Spark reads the table: the next version that it writes has another .crc"}
}
