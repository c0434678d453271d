package delta

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
)

// manifestHead is the first line of a manifest: which plan it is.
type manifestHead struct {
	Table   string    `json:"table,omitempty"`
	Place   string    `json:"place"`
	Store   string    `json:"store"`
	ID      string    `json:"id"` // of the table
	Version int64     `json:"version"`
	At      time.Time `json:"at"`
	Cutoff  time.Time `json:"cutoff"`
	Keep    string    `json:"keep"`
	Policy  string    `json:"policy"` // a digest of the rule
}

// manifestFile is a line for one file that goes. They stand in the order in which they go.
type manifestFile struct {
	Key     string    `json:"key"`
	Size    int64     `json:"size"`
	Written time.Time `json:"written"`
	Tag     string    `json:"tag,omitempty"`
	Class   string    `json:"class"`
	// Evidence is the version that removed it, or, for one that none did, the version since
	// which none knew it; of a file of the log the version whose checkpoint takes its place.
	Evidence int64 `json:"evidence"`
	Removed  bool  `json:"removed,omitempty"` // a version did
}

// manifestEnd is the last line. A manifest without it is not whole, and is not carried out.
type manifestEnd struct {
	Files *int64 `json:"files"`
	Bytes int64  `json:"bytes"`
}

// manifestWriter writes one.
type manifestWriter struct {
	out   *zstd.Encoder
	lines *json.Encoder
	end   manifestEnd
	files int64
}

// writeManifest writes a manifest, whole or not at all.
func writeManifest(path string, head manifestHead, files func(*manifestWriter) error) error {
	err := writeWhole(path, func(f *os.File) error {
		out, err := zstd.NewWriter(f)
		if err != nil {
			return err
		}
		m := &manifestWriter{out: out, lines: json.NewEncoder(out)}
		m.lines.SetEscapeHTML(false)
		if err := m.lines.Encode(head); err != nil {
			return errors.Join(err, out.Close())
		}
		err = files(m)
		if err == nil {
			m.end.Files = &m.files
			err = m.lines.Encode(m.end)
		}
		return errors.Join(err, out.Close())
	})
	if err != nil {
		return fmt.Errorf("write down which files go: %w", err)
	}
	return nil
}

func (m *manifestWriter) add(f manifestFile) error {
	m.files++
	m.end.Bytes += f.Size
	return m.lines.Encode(f)
}

// manifest is one that is read.
type manifest struct {
	file *os.File
	in   *zstd.Decoder
	text *bufio.Reader
	head manifestHead
	over bool
}

func openManifest(path string) (*manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in, err := zstd.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	m := &manifest{file: f, in: in, text: bufio.NewReaderSize(in, 1<<16)}
	if err := m.line(&m.head); err != nil {
		m.close()
		return nil, fmt.Errorf("read the manifest %s: %w", path, err)
	}
	return m, nil
}

func (m *manifest) line(into any) error {
	line, err := m.text.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, into)
}

// eachBatch reads a manifest, of which what says what it is, and hands its files on in batches.
func eachBatch(path, what string, do func([]manifestFile) error) error {
	m, err := openManifest(path)
	if err != nil {
		return err
	}
	defer m.close()
	for {
		files, err := m.next(BatchFiles)
		if err != nil {
			return fmt.Errorf("read the %s: %w", what, err)
		}
		if len(files) == 0 {
			return nil
		}
		if err := do(files); err != nil {
			return err
		}
	}
}

// next gives the next files, n at most; none at the end. A manifest that breaks off is an error.
func (m *manifest) next(n int) (files []manifestFile, err error) {
	for len(files) < n && !m.over {
		var one struct {
			manifestFile
			manifestEnd
		}
		err := m.line(&one)
		switch {
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case one.Files != nil:
			m.over = true
			return files, nil
		}
		files = append(files, one.manifestFile)
	}
	return files, nil
}

func (m *manifest) close() {
	m.in.Close()
	_ = m.file.Close() // it was read
}
