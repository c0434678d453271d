package compose

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// revisionRounds make it slow to guess a secret from a revision, which is shown
// everywhere: a few milliseconds for each guess.
const revisionRounds = 20_000

// revision is a digest of everything that was read: files, variables, and the
// resources that came of them, with what is mounted and built.
func (l *load) revision() string {
	h := sha256.New()
	fmt.Fprintf(h, "project %q\n", l.project)
	for _, path := range slices.Sorted(maps.Keys(l.seen)) {
		rel, _ := filepath.Rel(l.dir, path)
		fmt.Fprintf(h, "file %q %q\n", rel, l.seen[path].content)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Variables)) {
		fmt.Fprintf(h, "variable %q %q\n", name, l.Variables[name].Reveal())
	}
	for _, t := range l.Desired.Tiers {
		for _, r := range t.Resources {
			fields := r.Fields()
			for _, name := range fields.Names() {
				fmt.Fprintf(h, "%q %s %q %q\n", t.Name, r.Ref(), name, fields[name].Reveal())
			}
		}
	}
	id, err := pbkdf2.Key(sha256.New, string(h.Sum(nil)), []byte(l.project), revisionRounds, sha256.Size)
	if err != nil {
		panic(err) // only for lengths that SHA-256 cannot give
	}
	return hex.EncodeToString(id)
}
