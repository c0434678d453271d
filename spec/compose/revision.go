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

// stretchRounds make it slow to guess a secret from a digest that is shown: a few
// milliseconds for each guess.
const stretchRounds = 20_000

// stretch makes a digest one that takes long to compute.
func stretch(digest, salt string) string {
	key, err := pbkdf2.Key(sha256.New, digest, []byte(salt), stretchRounds, sha256.Size)
	if err != nil {
		panic(err) // only for lengths that SHA-256 cannot give
	}
	return hex.EncodeToString(key)
}

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
	for _, s := range l.Desired.Stores {
		fmt.Fprintf(h, "store %q %q %q %q\n", s.Name, s.CA, s.AccessKey.Reveal(), s.SecretKey.Reveal())
	}
	return stretch(string(h.Sum(nil)), l.project)
}
