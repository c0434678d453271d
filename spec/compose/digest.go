package compose

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// digest is what a file or directory holds, and since when.
type digest struct {
	sum      string // "sha256:...", or "" for what is not digested
	modified time.Time
	tooMuch  bool // a directory beyond the limits
}

// What is digested of a mounted directory at most: it is read on every load, and
// configuration is never that large.
const (
	maxFiles = 1000
	maxBytes = 16 << 20
)

var errTooMuch = errors.New("too much to digest")

// digestOf reads a regular file, or a directory if that is asked for. Sockets
// and devices have no content.
func digestOf(path string, directories bool) (digest, error) {
	info, err := os.Stat(path)
	if err != nil {
		return digest{}, err
	}
	t := tree{hash: sha256.New(), files: maxFiles, bytes: maxBytes}
	switch {
	case info.Mode().IsRegular():
		t.bytes = info.Size()
		err = t.add(path, ".", info)
	case info.IsDir() && directories:
		err = t.walk(path, nil)
	default:
		return digest{}, nil
	}
	if errors.Is(err, errTooMuch) {
		return digest{tooMuch: true}, nil
	}
	return digest{sum: t.sum(), modified: t.modified}, err
}

// tree hashes names, modes, links and contents, in the order of the names. When
// files changed is no part of it: a fresh checkout is no other content.
type tree struct {
	hash     hash.Hash
	files    int   // it may still read
	bytes    int64 // it may still read
	modified time.Time
}

func (t *tree) sum() string { return "sha256:" + hex.EncodeToString(t.hash.Sum(nil)) }

// walk adds everything below dir, except what skip says. A link that leads to the
// directory is followed; links inside count as links.
func (t *tree) walk(dir string, skip func(rel string, isDir bool) (bool, error)) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if skip != nil && rel != "." {
			if out, err := skip(rel, entry.IsDir()); out || err != nil {
				return err
			}
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return t.add(path, rel, info)
	})
}

func (t *tree) add(path, rel string, info fs.FileInfo) error {
	if t.files--; t.files < 0 {
		return errTooMuch
	}
	if info.ModTime().After(t.modified) {
		t.modified = info.ModTime()
	}
	fmt.Fprintf(t.hash, "%q %o\n", filepath.ToSlash(rel), info.Mode())
	switch {
	case info.Mode().IsRegular():
		return t.addContent(path, info.Size())
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		fmt.Fprintf(t.hash, "%q\n", target)
		return err
	}
	return nil
}

func (t *tree) addContent(path string, size int64) error {
	if t.bytes -= size; t.bytes < 0 {
		return errTooMuch
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintf(t.hash, "%d\n", size)
	_, err = io.Copy(t.hash, f)
	return err
}
