package git

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/flumendata/flumen-agent/spec/git/signature"
)

// DefaultPath is where a repository has its spec unless somebody says otherwise.
const DefaultPath = "flumen.yaml"

// DefaultInterval is how often a remote is asked unless somebody says otherwise.
const DefaultInterval = time.Minute

// Options say which repository to follow, what of it, and how to get in.
type Options struct {
	URL string // https://, http://, ssh://, user@host:path, file://, or a path
	// One of these at most; none is the branch that the remote names as its own.
	Branch, Tag, Commit string
	Path                string // of the spec in the repository; "" is DefaultPath
	Dir                 string // where clone and trees are kept
	Host                string // what the engine calls Dir; "" is the same
	Access              Access
	// RequireSigned refuses commits that nobody of Trust has signed.
	RequireSigned bool
	Trust         signature.Trust
	// Hide is told of each secret before it is used, so that no output shows it; nil: nobody
	// is.
	Hide func(secret string)
	// Interval is how often the remote is asked; it varies by a tenth.
	Interval time.Duration
}

// Access are the credentials for a remote, and what it is recognised by. Where nothing is
// said, SSH uses what the ssh command would: the agent, or the keys and known hosts of the
// user.
type Access struct {
	User string // "" is that of the URL, else "git"
	// One of these gives the token or password for HTTP.
	Token        string
	TokenFile    string
	TokenCommand string // is run without a shell, and prints it

	CAFile string // PEM certificates of authorities to trust beside the system's

	Key            string // file of an SSH private key
	Passphrase     string // of that key
	PassphraseFile string
	KnownHosts     string // file of host keys, instead of the user's
}

func (o Options) check() error {
	if _, err := transport.NewEndpoint(o.URL); err != nil || o.URL == "" {
		return fmt.Errorf("%q is no address of a repository: write https://…, ssh://…, user@host:path, or a path", o.URL)
	}
	if n := count(o.Branch, o.Tag, o.Commit); n > 1 {
		return errors.New("a branch, a tag and a commit exclude each other: name one of them")
	}
	if o.Commit != "" && !plumbing.IsHash(o.Commit) {
		return fmt.Errorf("commit %q is not a whole commit hash of 40 digits: git rev-parse prints it", o.Commit)
	}
	if p := o.specPath(); !filepath.IsLocal(p) {
		return fmt.Errorf("path %q does not lie in the repository", p)
	}
	switch {
	case o.RequireSigned && !o.Trust.Any():
		return errors.New("signed commits are required, and nobody is named who may sign: name them with --allowed-signers (SSH) or --keyring (OpenPGP)")
	case !o.RequireSigned && o.Trust.Any():
		return errors.New("--allowed-signers and --keyring say whose signatures count, and --require-signed that they are looked at: give it too")
	}
	if n := count(o.Access.Token, o.Access.TokenFile, o.Access.TokenCommand); n > 1 {
		return errors.New("a token, a file with it and a command that prints it exclude each other: give one of them")
	}
	return nil
}

func count(texts ...string) (set int) {
	for _, t := range texts {
		if t != "" {
			set++
		}
	}
	return set
}

func (o Options) specPath() string { return path.Clean(cmp.Or(o.Path, DefaultPath)) }

// address is the same for all ways to write it, and whoever comes.
func (o Options) address() string {
	at, err := transport.NewEndpoint(o.URL)
	if err != nil {
		return o.URL
	}
	if at.Protocol == "file" {
		return local(at)
	}
	at.User, at.Password = "", ""
	return at.String()
}

// local is the address of a repository on this machine.
func local(at *transport.Endpoint) string {
	dir, err := filepath.Abs(at.Path)
	if err != nil {
		dir = at.Path // the working directory is gone: it fails where it is opened
	}
	return "file://" + dir
}

// public is the address without a password.
func (o Options) public() string {
	u, err := url.Parse(o.URL)
	if err != nil || u.User == nil {
		return o.URL
	}
	u.User = url.User(u.User.Username())
	return u.String()
}

// String is as in "https://git.example.com/team/lakehouse (branch main)".
func (o Options) String() string {
	switch {
	case o.Branch != "":
		return o.public() + " (branch " + o.Branch + ")"
	case o.Tag != "":
		return o.public() + " (tag " + o.Tag + ")"
	case o.Commit != "":
		return o.public() + " (commit " + o.Commit[:12] + ")"
	}
	return o.public()
}

// Key names the directory of a repository and the path in it: the same for all branches,
// so that containers find their files at the same place after a change of branch.
func (o Options) Key() string {
	address := strings.TrimSuffix(strings.TrimRight(o.address(), "/"), ".git")
	sum := sha256.Sum256([]byte(address + "\x00" + o.specPath()))
	name := path.Base(strings.ReplaceAll(address, ":", "/"))
	return name + "-" + hex.EncodeToString(sum[:6])
}

// Password is the one in an address, or "".
func Password(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return ""
	}
	password, _ := u.User.Password()
	return password
}
