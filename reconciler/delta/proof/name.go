package proof

import (
	"strconv"
	"strings"
	"time"
)

// LogFile is a file of _delta_log, as it was listed.
type LogFile struct {
	Name    string // without the folder
	Size    int64
	Written time.Time // by the store's clock
	Tag     string    // that of its content; "" where nothing tells

	Kind    LogKind
	Version int64
	Part    int // of a checkpoint in parts: from 1
	Parts   int // how many there are
}

// LogKind is what a file of the log is.
type LogKind int

// The kinds of files of the log. What is none of them is left alone.
const (
	LogOther LogKind = iota
	LogCommit
	LogCheckpoint      // one parquet file with everything
	LogCheckpointPart  // one of several
	LogCheckpointV2    // a top file that names sidecars
	LogCompacted       // several commits in one: only held against them
	LogSum             // .crc: what a version is meant to hold
	LogCheckpointHint  // _last_checkpoint, which may lie
	versionDigits      = 20
	checkpointPartSize = 10
)

// ReadName says what a file of the log is by its name. It is strict: a temporary file of a
// writer is none of the log's.
func ReadName(name string, size int64, written time.Time) LogFile {
	f := LogFile{Name: name, Size: size, Written: written}
	parts := strings.Split(name, ".")
	version, ok := number(parts[0], versionDigits)
	switch {
	case name == "_last_checkpoint":
		f.Kind = LogCheckpointHint
		return f
	case !ok:
		return f
	}
	f.Version = version
	f.Kind, f.Part, f.Parts = kindOf(parts[1:])
	return f
}

// kindOf reads what follows the version.
func kindOf(rest []string) (kind LogKind, part, parts int) {
	switch len(rest) {
	case 1:
		return map[string]LogKind{"json": LogCommit, "crc": LogSum}[rest[0]], 0, 0
	case 2:
		if rest[0] == "checkpoint" && rest[1] == "parquet" {
			return LogCheckpoint, 1, 1
		}
	case 3:
		_, ranged := number(rest[0], versionDigits)
		switch {
		case ranged && rest[1] == "compacted" && rest[2] == "json":
			return LogCompacted, 0, 0
		case rest[0] == "checkpoint" && isUUID(rest[1]) && (rest[2] == "json" || rest[2] == "parquet"):
			return LogCheckpointV2, 1, 1
		}
	case 4:
		one, okOne := number(rest[1], checkpointPartSize)
		all, okAll := number(rest[2], checkpointPartSize)
		if rest[0] == "checkpoint" && rest[3] == "parquet" && okOne && okAll && one >= 1 && one <= all {
			return LogCheckpointPart, int(one), int(all)
		}
	}
	return LogOther, 0, 0
}

// number reads one of exactly that many digits.
func number(text string, digits int) (int64, bool) {
	if len(text) != digits || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// uuidLength is that of a UUID as text.
const uuidLength = 36

// isUUID tells whether a text is one, in lower or upper case.
func isUUID(text string) bool {
	if len(text) != uuidLength {
		return false
	}
	for i, c := range []byte(text) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		if dash != (c == '-') || !dash && !hex {
			return false
		}
	}
	return true
}
