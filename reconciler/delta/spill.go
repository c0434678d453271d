package delta

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// spill keeps a list of files, of which only so much is in memory: a table may have more than fit there. The rest is on
// disk, without a name, so that nothing is left of it. Of each key only what differs from the one before is written. The
// zero value is an empty list.
type spill struct {
	file   *os.File // nil as long as all is in memory
	buffer []byte   // what is not in the file yet
	last   string
	n      int64
}

// spillBuffer is how many bytes of a list are in memory.
const spillBuffer = 1 << 16

// scratch makes a file for what may not fit into memory, without a name.
func scratch(pattern string) (*os.File, error) {
	f, err := os.CreateTemp("", pattern)
	if err != nil {
		return nil, diskError(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(diskError(err), f.Close())
	}
	return f, nil
}

// scratchWriter writes to one.
type scratchWriter struct{ file *os.File }

func (w scratchWriter) Write(b []byte) (int, error) {
	n, err := w.file.Write(b)
	if err != nil {
		err = diskError(err)
	}
	return n, err
}

// diskError is one of the disk of this machine, and as one of the store no fault of the table. What is not
// there on it is no file of the table that is gone.
func diskError(err error) error {
	return &storeError{fmt.Errorf("keep on disk what may not fit into memory (TMPDIR tells where): %v", err), true}
}

// add writes a file down, with a note of one number.
func (s *spill) add(f proof.File, tag int) error {
	same := 0
	for same < len(s.last) && same < len(f.Key) && s.last[same] == f.Key[same] {
		same++
	}
	b := binary.AppendUvarint(s.buffer, uint64(tag))
	b = binary.AppendUvarint(b, uint64(same))
	b = binary.AppendUvarint(b, uint64(len(f.Key)-same))
	b = append(b, f.Key[same:]...)
	b = binary.AppendUvarint(b, uint64(len(f.Tag)))
	b = append(b, f.Tag...)
	b = binary.AppendVarint(b, f.Size)
	b = binary.AppendVarint(b, f.Written.UnixMicro())
	s.buffer, s.last = b, f.Key
	s.n++
	if len(s.buffer) < spillBuffer {
		return nil
	}
	return s.flush()
}

// flush has what is in memory be on disk.
func (s *spill) flush() (err error) {
	if s.file == nil {
		if s.file, err = scratch("flumen-list-"); err != nil {
			return err
		}
	}
	_, err = scratchWriter{s.file}.Write(s.buffer)
	s.buffer = s.buffer[:0]
	return err
}

// each reads them back, in the order in which they were added.
func (s *spill) each(do func(f proof.File, tag int) error) error {
	if s.file == nil {
		return s.eachIn(bytes.NewReader(s.buffer), do)
	}
	if err := s.flush(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	err := s.eachIn(bufio.NewReaderSize(s.file, spillBuffer), do)
	if err != nil {
		return err
	}
	_, err = s.file.Seek(0, io.SeekEnd)
	return err
}

// spilled is what a list is read from.
type spilled interface {
	io.Reader
	io.ByteReader
}

func (s *spill) eachIn(in spilled, do func(f proof.File, tag int) error) error {
	var last []byte
	for range s.n {
		f, tag, err := readSpilled(in, &last)
		if err != nil {
			return fmt.Errorf("read a list of files from disk: %w", err)
		}
		if err := do(f, tag); err != nil {
			return err
		}
	}
	return nil
}

func readSpilled(in spilled, last *[]byte) (f proof.File, note int, err error) {
	var head [3]uint64
	for i := range head {
		if head[i], err = binary.ReadUvarint(in); err != nil {
			return f, 0, err
		}
	}
	key := append((*last)[:head[1]], make([]byte, head[2])...)
	if _, err = io.ReadFull(in, key[head[1]:]); err != nil {
		return f, 0, err
	}
	*last = key
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return f, 0, err
	}
	tag := make([]byte, n)
	if _, err = io.ReadFull(in, tag); err != nil {
		return f, 0, err
	}
	size, err := binary.ReadVarint(in)
	if err != nil {
		return f, 0, err
	}
	at, err := binary.ReadVarint(in)
	return proof.File{Key: string(key), Size: size, Written: time.UnixMicro(at), Tag: string(tag)}, int(head[0]), err
}

// reset forgets all of them.
func (s *spill) reset() error {
	s.buffer, s.last, s.n = s.buffer[:0], "", 0
	if s.file == nil {
		return nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return errors.Join(err, s.file.Truncate(0))
}

func (s *spill) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
