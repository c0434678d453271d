package docker

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/flumendata/flumen-agent/spec"
)

// A digest of a secret that anybody can read off a label must not help to guess the
// secret: it is salted, and slow enough that guessing many is no use.
const (
	saltedPrefix = "pbkdf2-sha256:"
	saltedRounds = 100_000 // about 20 ms
)

// digests compares the digests of files, and remembers the slow ones.
type digests struct {
	mu    sync.Mutex
	known map[string]string // by salt and digest
}

func newDigests() *digests { return &digests{known: map[string]string{}} }

// label writes the digests of what a service mounts and has copied in, by target.
func (d *digests) label(s *spec.Service) (string, error) {
	all, secret := map[string]string{}, map[string]bool{}
	for _, m := range s.Mounts {
		if m.Digest != "" {
			all[m.Target], secret[m.Target] = m.Digest, m.Secret
		}
	}
	for _, f := range s.Files {
		all[f.Target], secret[f.Target] = f.Digest, f.Content.IsSensitive()
	}
	salt := base64.RawURLEncoding.EncodeToString([]byte(rand.Text()))
	for target, digest := range all {
		if !secret[target] {
			continue
		}
		text, err := d.salted(salt, digest)
		if err != nil {
			return "", fmt.Errorf("digest of %s: %w", target, err)
		}
		all[target] = text
	}
	text, err := json.Marshal(all)
	return string(text), err
}

// salted gives "pbkdf2-sha256:SALT:HASH".
func (d *digests) salted(salt, digest string) (string, error) {
	key := salt + ":" + digest
	d.mu.Lock()
	text, ok := d.known[key]
	d.mu.Unlock()
	if ok {
		return text, nil
	}
	hash, err := pbkdf2.Key(sha256.New, digest, []byte(salt), saltedRounds, sha256.Size)
	if err != nil {
		return "", err
	}
	text = saltedPrefix + salt + ":" + base64.RawURLEncoding.EncodeToString(hash)
	d.mu.Lock()
	d.known[key] = text
	d.mu.Unlock()
	return text, nil
}

// matches tells whether a digest of a label is that of the content with this digest.
func (d *digests) matches(label, digest string) bool {
	rest, isSalted := strings.CutPrefix(label, saltedPrefix)
	if !isSalted {
		return label == digest
	}
	salt, _, _ := strings.Cut(rest, ":")
	text, err := d.salted(salt, digest)
	return err == nil && text == label
}

// set adds the fields that tell whether the content of files is what it should be.
func (d *digests) set(f spec.Fields, c container.InspectResponse, found, want *spec.Service, blind map[string]string) {
	adopted := takeAdopted(f, c, found, want)
	if want.IgnoreFileChanges {
		return
	}
	labelled := map[string]string{}
	// What is no list of digests has none: the files then count as at adoption.
	_ = json.Unmarshal([]byte(c.Config.Labels[labelFiles]), &labelled)
	for _, w := range contents(want) {
		name := "file." + w.target
		have, ok := labelled[w.target]
		delete(labelled, w.target)
		switch {
		case w.value.IsZero():
		case ok:
			f[name] = d.read(have, w.value)
		case !w.copied && !mounted(found, w.target), w.copied && !adopted[w.target]:
		case w.modified.After(startedAt(c)):
			blind[name] = "it changed after the container started, which was not started by the agent"
		default:
			f[name] = w.value
		}
	}
	for target, have := range labelled {
		f["file."+target] = d.read(have, spec.Value{})
	}
}

// read gives the field of a digest that a label holds. Of a secret it tells only
// whether it is the wanted one.
func (d *digests) read(label string, want spec.Value) spec.Value {
	salted := strings.HasPrefix(label, saltedPrefix)
	switch {
	case !want.IsZero() && want.IsSensitive() == salted && d.matches(label, want.Reveal()):
		return want
	case salted || want.IsSensitive():
		return spec.Sensitive("other")
	default:
		return spec.Plain(label)
	}
}

// content is a file whose content matters: one that is mounted or copied in.
type content struct {
	target   string
	value    spec.Value // its digest; zero where there is none to compare
	modified time.Time
	copied   bool
}

func contents(s *spec.Service) []content {
	var all []content
	fields := s.Fields()
	for _, m := range s.Mounts {
		all = append(all, content{m.Target, fields["file."+m.Target], m.Modified, false})
	}
	for _, f := range s.Files {
		all = append(all, content{f.Target, fields["file."+f.Target], f.Modified, true})
	}
	return all
}

func mounted(s *spec.Service, target string) bool {
	return slices.ContainsFunc(s.Mounts, func(m spec.Mount) bool { return m.Target == target })
}

// takeAdopted tells which configs and secrets a container has that Compose made: it
// binds those with a file, and copies the others in, of which nothing is to be seen.
// Such binds are deliveries and not mounts.
func takeAdopted(f spec.Fields, c container.InspectResponse, found, want *spec.Service) map[string]bool {
	has := map[string]bool{}
	if _, ours := c.Config.Labels[labelProject]; ours {
		return has
	}
	for _, file := range want.Files {
		i := slices.IndexFunc(found.Mounts, func(m spec.Mount) bool { return m.Target == file.Target })
		if i < 0 {
			has[file.Target] = true
			continue
		}
		if m := found.Mounts[i]; m.Type == spec.MountBind && m.Source == file.Source {
			has[file.Target] = true
			dropMount(f, m.Target)
		}
	}
	return has
}

func dropMount(f spec.Fields, target string) {
	for _, attribute := range []string{"", ".source", ".read_only", ".propagation", ".nocopy"} {
		delete(f, "mount."+target+attribute)
	}
}
