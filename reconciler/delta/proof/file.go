package proof

import (
	"path"
	"slices"
	"strings"
	"time"
)

// File is one that was listed below the root of a table.
type File struct {
	Key     string // relative to the root
	Size    int64
	Written time.Time // by the store's clock
	Tag     string    // the store's, which changes when the file is written again; "" where it has none
}

// logFolder is where a table's log is.
const logFolder = "_delta_log"

// InLog tells whether a file belongs to the table's log, and its name there.
func (f File) InLog() (name string, ok bool) { return strings.CutPrefix(f.Key, logFolder+"/") }

// InFolder tells whether a file lies in a folder of the root.
func (f File) InFolder(name string) bool { return strings.HasPrefix(f.Key, name+"/") }

const changeFolder = "_change_data"

// hidden tells whether readers of the table never see the file: a part of its path begins with
// _ or a dot, and is neither change data nor a partition.
func hidden(key string, partitions []string) bool {
	for part := range strings.SplitSeq(key, "/") {
		if !strings.HasPrefix(part, "_") && !strings.HasPrefix(part, ".") || part == changeFolder {
			continue
		}
		column, _, partition := strings.Cut(part, "=")
		if !partition || !slices.Contains(partitions, column) {
			return true
		}
	}
	return false
}

// changeData tells whether a file was written to be read as changes of the table.
func changeData(key string) bool {
	return slices.Contains(strings.Split(path.Dir(key), "/"), changeFolder)
}

// foreign tells whether no writer of Delta gives its files such a name.
func foreign(key string) bool {
	return !strings.HasSuffix(key, ".parquet") && !ofVectors(key) && !changeData(key)
}

// Nested is the folder of another table that a listed file shows to be below this one, with a
// slash at its end; all of it is left alone. For "" the other table has the same root.
func (f File) Nested() (folder string, ok bool) {
	for at := 0; ; {
		part, after, more := strings.Cut(f.Key[at:], "/")
		if !more {
			return "", false
		}
		iceberg := part == "metadata" && !strings.Contains(after, "/") && strings.HasSuffix(after, ".metadata.json")
		if iceberg || part == ".hoodie" || part == logFolder && at > 0 {
			return strings.TrimPrefix(f.Key[:at], "/"), true
		}
		at += len(part) + 1
	}
}
