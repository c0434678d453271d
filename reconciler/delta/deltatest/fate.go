package deltatest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// Fate is what becomes of a file of a large table.
type Fate int

const (
	Foreign Fate = iota // the table has no such file
	Needed              // it is live, or a deletion vector of one that is, or of the log
	Dead                // it was removed long ago
	Orphan              // no version ever knew it
)

// Gone tells whether a file may go.
func (f Fate) Gone() bool { return f == Dead || f == Orphan }

// Fate tells what becomes of a file. A name that merely looks like one of the table's is foreign.
func (l Large) Fate(key string) Fate {
	base := path.Base(key)
	number := func(prefix string) int {
		digits, ok := strings.CutPrefix(base, prefix+"-")
		n, err := strconv.Atoi(strings.TrimSuffix(digits, ".snappy.parquet"))
		if !ok || err != nil {
			return -1
		}
		return n
	}
	for _, k := range []struct {
		prefix string
		name   func(int) string
		count  int
		fate   Fate
	}{{liveFile, l.live, l.Live, Needed}, {deadFile, l.dead, l.Dead, Dead}, {orphanFile, l.orphan, l.Orphans, Orphan}} {
		if n := number(k.prefix); n >= 0 && n < k.count && k.name(n) == key {
			return k.fate
		}
	}
	if strings.HasPrefix(key, "_delta_log/") || l.isVector(key) {
		return Needed
	}
	return Foreign
}

// isVector tells whether this is a file of deletion vectors.
func (l Large) isVector(key string) bool {
	id, ok := strings.CutPrefix(key, vectorFile)
	if !ok || l.Vectors == 0 {
		return false
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSuffix(id, ".bin"), "-", ""), 16, 64)
	if first := (int(n) - 1) * l.Vectors * sharers; err == nil && n > 0 && first < l.Live {
		name, _ := l.vectorName(first)
		return name == key
	}
	return false
}

// Digest is the same for tables with the same names and the same commits, whenever they are made.
func (l Large) Digest() (string, error) {
	l.Now = time.Unix(1_700_000_000, 0).UTC()
	sum := sha256.New()
	fmt.Fprintf(sum, "%+v\n", l)
	err := l.Data(func(key string, written time.Time) error {
		_, err := fmt.Fprintln(sum, key, written.Unix())
		return err
	})
	for version := range l.Commits {
		_, _ = sum.Write([]byte(l.commit(version))) // which takes everything
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], err
}
