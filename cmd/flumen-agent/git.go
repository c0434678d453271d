package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/flumendata/flumen-agent/spec"
	"github.com/flumendata/flumen-agent/spec/compose"
	"github.com/flumendata/flumen-agent/spec/git"
)

// gitFlags are those of every command that reads a spec: it may lie in a repository.
func (a *app) gitFlags(flags *pflag.FlagSet) {
	o := &a.settings.git
	flags.StringVar(&o.URL, "repo", "", "git repository to read the spec from: https://…, ssh://…, user@host:path, file://… or a path")
	flags.StringVar(&o.Branch, "branch", "", "branch to follow (default: the repository's own)")
	flags.StringVar(&o.Tag, "tag", "", "tag to follow, instead of a branch")
	flags.StringVar(&o.Commit, "commit", "", "commit to stay at, instead of a branch")
	flags.StringVar(&o.Path, "path", git.DefaultPath, "path of the spec in the repository")
	flags.StringVar(&o.Access.User, "git-user", "", "user name for the repository (default: that of the URL, else git)")
	flags.StringVar(&o.Access.TokenFile, "git-token-file", "", "file with the token or password for HTTPS; or set FLUMEN_GIT_TOKEN")
	flags.StringVar(&o.Access.TokenCommand, "git-token-command", "", "command that prints the token; run without a shell")
	flags.StringVar(&o.Access.CAFile, "git-ca-file", "", "PEM file of authorities to trust beside the system's")
	flags.StringVar(&o.Access.Key, "ssh-key", "", "SSH private key (default: the SSH agent's, else yours)")
	flags.StringVar(&o.Access.PassphraseFile, "ssh-passphrase-file", "", "file with the passphrase of that key; or set FLUMEN_SSH_PASSPHRASE")
	flags.BoolVar(&o.RequireSigned, "require-signed", false, "refuse commits that are not signed by somebody who is named in one of these files")
	flags.StringVar(&o.Trust.AllowedSigners, "allowed-signers", "", "file of who may sign with SSH, as of ssh-keygen and git")
	flags.StringVar(&o.Trust.Keyring, "keyring", "", "file of OpenPGP keys, armored, of who may sign")
	flags.StringVar(&o.Access.KnownHosts, "known-hosts", "", "file of SSH host keys (default: yours and the system's)")
}

// repository gives the repository that the flags name, or nil if they name none.
func (a *app) repository() (*git.Source, error) {
	o := a.settings.git
	if o.URL == "" {
		if o.Branch != "" || o.Tag != "" || o.Commit != "" {
			return nil, errors.New("--branch, --tag and --commit need --repo")
		}
		if o.RequireSigned || o.Trust.Any() {
			return nil, errors.New("--require-signed, --allowed-signers and --keyring need --repo: a file has no signature")
		}
		return nil, nil
	}
	if a.source != nil {
		return a.source, nil
	}
	if o.Access.TokenFile == "" && o.Access.TokenCommand == "" {
		o.Access.Token = a.environ["FLUMEN_GIT_TOKEN"]
	}
	o.Access.Passphrase = a.environ["FLUMEN_SSH_PASSPHRASE"]
	o.Interval = a.settings.interval
	o.Hide = func(secret string) { a.hide(secret) }
	a.hide(o.Access.Token, o.Access.Passphrase, git.Password(o.URL))
	dir, err := a.repositoryDir(o)
	if err != nil {
		return nil, err
	}
	hosts, err := a.hostDirs()
	if err != nil {
		return nil, err
	}
	o.Dir, o.Host = dir, compose.OnHost(hosts, dir)
	a.source, err = git.New(o)
	return a.source, err
}

// repositoryDir is where a repository's clone and trees are. It is free of symbolic links:
// containers mount files by its name.
func (a *app) repositoryDir(o git.Options) (string, error) {
	dir := filepath.Join(a.stateDir(), "git", o.Key())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("directory for the repository: %w; name another one with --state", err)
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}

// readRepository loads the spec of a snapshot. Its errors name the commit.
func (a *app) readRepository(ctx context.Context, source *git.Source, snap spec.Snapshot) (compose.Loaded, error) {
	file := filepath.Join(snap.Dir, source.SpecPath())
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		missing := fmt.Errorf("%s has no %s: push a commit that has it, or name another file with --path", source, source.SpecPath())
		return compose.Loaded{}, &commitError{snap.Revision, missing}
	}
	loaded, err := a.readFile(ctx, file, &compose.Tree{Dir: snap.Dir, As: source.Live()})
	if refused := source.Refused(loaded.Files); refused != nil {
		err = refused
	}
	if err != nil {
		loaded.Desired = spec.Desired{}
		return loaded, &commitError{snap.Revision, err}
	}
	id := loaded.Desired.Revision.ID
	loaded.Desired.Revision = snap.Revision
	loaded.Desired.Revision.ID = id
	return loaded, nil
}

// commitError is what is wrong with the spec of a commit.
type commitError struct {
	revision spec.Revision
	err      error
}

// passes tells whether it may load later as it is.
func (e *commitError) passes() bool { return compose.Passes(e.err) }

func (e *commitError) Error() string { return fmt.Sprintf("%s does not load: %v", e.String(), e.err) }

func (e *commitError) String() string {
	return fmt.Sprintf("commit %s (%s)", e.revision.Short(), e.revision.Subject)
}

func (e *commitError) Unwrap() error { return e.err }

// readHead asks the repository and loads what it is at. Where it cannot be reached, what
// was fetched before is loaded, and that is said.
func (a *app) readHead(ctx context.Context, source *git.Source) (loaded compose.Loaded, err error) {
	_, asked := source.Poll(ctx)
	head, err := source.Head(ctx)
	if err != nil {
		return loaded, cmp.Or(asked, err)
	}
	if err := source.Verify(ctx, head); err != nil {
		return loaded, err
	}
	err = source.Read(ctx, head, func(snap spec.Snapshot) error {
		if asked != nil {
			a.warn(fmt.Sprintf("%v; going on with commit %s, which was fetched before", asked, snap.Revision.Short()))
		}
		loaded, err = a.readRepository(ctx, source, snap)
		return err
	})
	return loaded, err
}

// followed is what an agent has loaded of a repository. Its methods are called from the
// agent's goroutine.
type followed struct {
	*app
	source  *git.Source
	project *projectName
	log     *slog.Logger

	commit string // what follows is of this one
	want   spec.Desired
	fault  error
	any    bool // something has loaded
}

// load gives the desired state of the commit that was fetched last. Until one loads, it
// gives the one that was in force when the agent ended.
func (f *followed) load(ctx context.Context) (spec.Desired, error) {
	head, err := f.source.Head(ctx)
	_, unreached := f.source.Reached()
	if err == nil {
		// Who may sign can change at any time, so this is asked at every look.
		if refused := f.source.Verify(ctx, head); refused != nil {
			return f.refuse(ctx, errors.Join(unreached, refused))
		}
	}
	switch {
	case err != nil:
		unreached = cmp.Or(unreached, err)
	case head != f.commit:
		f.commit = head
		f.want, f.fault = f.readCommit(ctx, head)
		if wrong := (*commitError)(nil); f.fault != nil && (!errors.As(f.fault, &wrong) || wrong.passes()) {
			f.commit = "" // the commit is not to blame: it is tried again
		}
	}
	if err == nil && f.fault == nil {
		f.any = true
		return f.want, unreached
	}
	return f.refuse(ctx, errors.Join(unreached, f.fault))
}

// refuse says why the head cannot be had, and what to go on with instead if the agent does not
// know: what was in force when it ended. Its signature counted when it came into force, and is
// not asked for again.
func (f *followed) refuse(ctx context.Context, why error) (spec.Desired, error) {
	if f.any {
		return spec.Desired{}, why
	}
	return f.loadEntered(ctx), why
}

func (f *followed) readCommit(ctx context.Context, commit string) (want spec.Desired, err error) {
	err = f.source.Read(ctx, commit, func(snap spec.Snapshot) error {
		loaded, err := f.readRepository(ctx, f.source, snap)
		for _, w := range loaded.Warnings {
			f.log.Warn(w.Error(), "commit", snap.Revision.Short())
		}
		if err == nil {
			err = f.project.set(loaded.Desired.Project)
		}
		want = loaded.Desired
		return err
	})
	return want, err
}

// loadEntered gives what was in force before, if it is known and loads.
func (f *followed) loadEntered(ctx context.Context) spec.Desired {
	entered := f.source.Entered()
	if entered == "" {
		return spec.Desired{}
	}
	want, err := f.recall(ctx, spec.Revision{Commit: entered})
	if err != nil {
		f.log.Error("what was in force before cannot be had", "err", err)
		return spec.Desired{}
	}
	f.any = true
	return want
}

// recall gives the desired state of an earlier commit.
func (f *followed) recall(ctx context.Context, rev spec.Revision) (spec.Desired, error) {
	if rev.Commit == "" {
		return spec.Desired{}, fmt.Errorf("revision %s was not in a repository", rev.Short())
	}
	return f.readCommit(ctx, rev.Commit)
}

// enter moves the files that containers mount to those of a revision.
func (a *app) enter(ctx context.Context, source *git.Source, want spec.Desired, good spec.Revision, say func(what string, names []string)) error {
	moved, err := source.Enter(ctx, want.Revision.Commit, good.Commit)
	if len(moved.Aside) > 0 {
		say("files that were changed by hand were put aside, since the new commit changes them too", moved.Aside)
	}
	if len(moved.Left) > 0 {
		say("files that were changed by hand are left as they are", moved.Left)
	}
	if err != nil {
		return fmt.Errorf("the files of revision %s cannot be put where containers find them: %w", want.Revision.Short(), err)
	}
	return nil
}

func (f *followed) enter(ctx context.Context, want spec.Desired, good spec.Revision) error {
	return f.app.enter(ctx, f.source, want, good, func(what string, names []string) { f.log.Warn(what, "files", names, "below", f.source.Live()) })
}

// entering has the runs of a command move the files that containers mount.
func (a *app) entering(c *connection) func(context.Context) error {
	if a.source == nil {
		return nil
	}
	return func(ctx context.Context) error {
		s, err := a.standing(ctx, c)
		if err != nil {
			return err
		}
		good, _ := s.LastGood()
		return a.enter(ctx, a.source, c.want, good, func(what string, names []string) {
			a.warn(fmt.Sprintf("%s (below %s): %v", what, a.source.Live(), names))
		})
	}
}
