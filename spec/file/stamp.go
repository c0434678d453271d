package file

import (
	"io/fs"
	"os"
)

// stamp is what one look sees of one file, link or directory. Two equal stamps mean
// that nothing has changed.
type stamp struct {
	link  string      // where a symlink points
	fault string      // why it could not be looked at; it is not there, mostly
	info  fs.FileInfo // nil for a link and with a fault
}

func (s stamp) equal(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == nil && o.info == nil && s.link == o.link && s.fault == o.fault
	}
	if s.info.Mode() != o.info.Mode() {
		return false
	}
	// A directory's time and size change with any file in it, and a device's with
	// every use: neither is a change of what the spec says.
	if !s.info.Mode().IsRegular() {
		return true
	}
	return os.SameFile(s.info, o.info) && s.info.Size() == o.info.Size() && s.info.ModTime().Equal(o.info.ModTime())
}
