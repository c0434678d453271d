package proof

import "time"

// Add says that a file belongs to the table.
type Add struct {
	Path   string // as it was written: a URI, relative or not
	Size   int64
	Vector Vector
}

// Remove says that a file no longer does.
type Remove struct {
	Path    string
	Deleted time.Time // zero when nobody wrote it down
	Vector  Vector
}

// Protocol says what a reader and a writer have to know.
type Protocol struct {
	Reader, Writer int
	Features       []string // of both
}

// Metadata is what the table says about itself.
type Metadata struct {
	ID               string
	PartitionColumns []string // logical names, and physical ones where they differ
	Properties       Properties
}

// Commit is one version's actions, or a part of them.
type Commit struct {
	Version  int64
	Adds     []Add
	Removes  []Remove
	Changes  []string // paths of change data
	Protocol *Protocol
	Metadata *Metadata
	Info     Info
	// Unreadable says which action makes the commit one that cannot be trusted, or "".
	Unreadable string
	// More tells that the version is told of in parts, and that this is not the last one: each has some of the
	// files, those that it adds first, and all else.
	More bool
}

// Info is what the writer says about a commit.
type Info struct {
	Operation string
	Engine    string
	InCommit  time.Time // zero without in-commit timestamps
}
