package git

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/skeema/knownhosts"
)

// fault is an error of a remote in words that help.
type fault struct {
	said string
	err  error
}

func (f *fault) Error() string { return f.said }
func (f *fault) Unwrap() error { return f.err }

// explain says of an error of a remote what it means and what to do about it.
func (s *Source) explain(err error) error {
	if err == nil {
		return nil
	}
	return &fault{"repository " + s.options.public() + s.meaning(err), err}
}

// meaning goes on after the repository's name.
func (s *Source) meaning(err error) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
	)
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return " is empty: push a commit with " + s.options.specPath()
	case errors.Is(err, transport.ErrAuthenticationRequired):
		return fmt.Sprintf(" asks for credentials, or refuses those it was given: %v; %s", err, s.howToEnter())
	case errors.Is(err, transport.ErrAuthorizationFailed), strings.Contains(err.Error(), "unable to authenticate"):
		return fmt.Sprintf(" refuses the credentials: %v; %s", err, s.howToEnter())
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return " does not exist, or these credentials may not see it"
	case knownhosts.IsHostUnknown(err):
		return fmt.Sprintf(": its SSH server is not known: compare the key that ssh-keyscan prints with what its owner says, and add it to the known hosts: %v", err)
	case knownhosts.IsHostKeyChanged(err):
		return fmt.Sprintf(": its SSH server shows another key than the one that is known: somebody may be between; ask its owner before you change the known hosts: %v", err)
	case errors.As(err, &authority), errors.As(err, &name):
		return fmt.Sprintf(": its certificate is not trusted: %v; name its authority with --git-ca-file", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return " cannot be reached: no answer in time"
	case unreachable(err):
		return fmt.Sprintf(" cannot be reached: %v", err)
	case errors.Is(err, git.ErrExactSHA1NotSupported):
		return " gives no single commits: follow a branch or a tag"
	}
	return ": " + err.Error()
}

// unreachable tells of an error of the network.
func unreachable(err error) bool {
	var dns *net.DNSError
	var op *net.OpError
	return errors.As(err, &dns) || errors.As(err, &op)
}

// outside tells of an error whether the remote or the way to it is to blame, or this
// machine's disk, and not the clone.
func outside(err error) bool {
	return unreachable(err) || slices.ContainsFunc([]error{
		transport.ErrAuthenticationRequired, transport.ErrAuthorizationFailed, transport.ErrEmptyRemoteRepository,
		transport.ErrRepositoryNotFound, context.Canceled, context.DeadlineExceeded, git.ErrExactSHA1NotSupported, syscall.ENOSPC,
	}, func(one error) bool { return errors.Is(err, one) })
}

func (s *Source) howToEnter() string {
	if s.at.Protocol == "ssh" {
		return "name a key that may read it with --ssh-key, or add it to the SSH agent"
	}
	return "give a token with FLUMEN_GIT_TOKEN, --git-token-file or --git-token-command (and --git-user, if the server wants more than a token)"
}
