package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/flumendata/flumen-agent/spec/git/signature"
)

// UnsignedError says that a commit is refused, since nobody who is trusted has signed it.
type UnsignedError struct {
	Commit, Subject string
	Err             error // a *signature.Refusal, or why the signature cannot be checked
}

func (e *UnsignedError) Error() string {
	return fmt.Sprintf("commit %s (%s) is refused (--require-signed): it %v", e.Commit[:min(12, len(e.Commit))], e.Subject, e.Err)
}

func (e *UnsignedError) Unwrap() error { return e.Err }

// Verify refuses a commit, with an *UnsignedError, that nobody who is trusted has signed. Of a
// tag that is followed the tag's signature counts as well. The files that say who is trusted
// are read at every call.
//
// The key must be valid at the time that the commit names, which is for whoever signs to
// choose; so of a commit that is not in force yet it must be valid now as well.
func (s *Source) Verify(ctx context.Context, commit string) error {
	if !s.options.RequireSigned {
		return nil
	}
	now := time.Now()
	if s.taken(commit) {
		now = time.Time{}
	}
	hash := plumbing.NewHash(commit)
	verify := func() error {
		return s.alone(&s.dir, "trees", func() error {
			c := openClone(s.cloneDir())
			return errors.Join(s.verify(c, hash, now), c.close())
		})
	}
	err := verify()
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		if err = s.fetching(func(c *clone) error { return s.get(ctx, c, hash) }); err == nil {
			err = verify()
		}
	}
	if err == nil {
		s.mu.Lock()
		s.passed = commit
		s.mu.Unlock()
	}
	return err
}

// taken tells of a commit whose signature has counted when it was new.
func (s *Source) taken(commit string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return commit == s.passed || commit == s.Entered()
}

func (s *Source) verify(c *clone, hash plumbing.Hash, now time.Time) error {
	found, err := object.GetCommit(c.storage, hash)
	if err != nil {
		return fmt.Errorf("commit %s of %s: %w", short(hash), s.options.public(), err)
	}
	subject, _, _ := strings.Cut(strings.TrimSpace(found.Message), "\n")
	refused := func(err error) error { return &UnsignedError{hash.String(), subject, err} }
	raw, err := contentOf(c, plumbing.CommitObject, hash)
	if err != nil {
		return err
	}
	text, armored, err := splitCommit(raw)
	if err != nil {
		return refused(err)
	}
	// What is read must be what was signed: of a text with two trees, git and go-git might not
	// take the same one.
	if !bytes.HasPrefix(text, []byte("tree "+found.TreeHash.String()+"\n")) {
		return refused(&signature.Refusal{Reason: signature.Forged, Said: "does not begin with its tree"})
	}
	_, err = s.options.Trust.Check(signature.Signed{Text: text, Signature: armored, Made: found.Committer.When, Now: now})
	if err == nil {
		return nil
	}
	if s.options.Tag != "" {
		tagged := s.verifyTag(c, hash, now)
		if tagged == nil {
			return nil
		}
		err = fmt.Errorf("%w; and tag %s %w", err, s.options.Tag, tagged)
	}
	return refused(err)
}

// verifyTag looks at the signature of the tag that was fetched, if it is an annotated one of
// that name and leads straight to the commit.
func (s *Source) verifyTag(c *clone, commit plumbing.Hash, now time.Time) error {
	head, ok := c.head()
	if !ok || head == commit {
		return &signature.Refusal{Reason: signature.Unsigned, Said: "is not signed"}
	}
	raw, err := contentOf(c, plumbing.TagObject, head)
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	tag, err := object.GetTag(c.storage, head)
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	text, armored := splitTag(raw)
	begins := fmt.Sprintf("object %s\ntype commit\ntag %s\n", commit, s.options.Tag)
	if !bytes.HasPrefix(text, []byte(begins)) {
		return &signature.Refusal{Reason: signature.Forged, Said: "is one of another name, or of another commit"}
	}
	_, err = s.options.Trust.Check(signature.Signed{Text: text, Signature: armored, Made: tag.Tagger.When, Now: now})
	return err
}

// contentOf gives an object as it is, byte for byte: what was signed.
func contentOf(c *clone, kind plumbing.ObjectType, hash plumbing.Hash) ([]byte, error) {
	o, err := c.storage.EncodedObject(kind, hash)
	if err != nil {
		return nil, err
	}
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// signatureHeader is where a commit has its signature.
const signatureHeader = "gpgsig "

// splitCommit gives what of a commit was signed, as git does: all of it but the header with
// the signature. The lines of that after the first begin with a space.
func splitCommit(raw []byte) (text []byte, armored string, err error) {
	var sig strings.Builder
	inside, signed := false, false
	for rest := raw; len(rest) > 0; {
		_, after, _ := bytes.Cut(rest, []byte("\n"))
		line := rest[:len(rest)-len(after)]
		if line[0] == '\n' { // the message begins
			text = append(text, rest...)
			break
		}
		more, continues := bytes.CutPrefix(line, []byte(" "))
		first, begins := bytes.CutPrefix(line, []byte(signatureHeader))
		switch {
		case begins && signed:
			return nil, "", &signature.Refusal{Reason: signature.Refused, Said: "has more than one signature"}
		case begins:
			inside, signed = true, true
			sig.Write(first)
		case inside && continues:
			sig.Write(more)
		default:
			inside = false
			text = append(text, line...)
		}
		rest = after
	}
	return text, sig.String(), nil
}

// splitTag gives what of a tag was signed: what stands before the last signature.
func splitTag(raw []byte) (text []byte, armored string) {
	at := -1
	for _, begins := range []string{"-----BEGIN SSH SIGNATURE-----", "-----BEGIN PGP SIGNATURE-----", "-----BEGIN SIGNED MESSAGE-----"} {
		at = max(at, bytes.LastIndex(raw, []byte("\n"+begins)))
	}
	if at < 0 {
		return raw, ""
	}
	return raw[:at+1], string(raw[at+1:])
}
