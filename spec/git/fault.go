package git

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/skeema/knownhosts"
)

// explain says of an error of a remote what it means and what to do about it.
func (s *Source) explain(err error) error {
	var (
		dns       *net.DNSError
		op        *net.OpError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		at        = s.options.public()
	)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return fmt.Errorf("repository %s is empty: push a commit with %s", at, s.options.specPath())
	case errors.Is(err, transport.ErrAuthenticationRequired):
		return fmt.Errorf("repository %s asks for credentials, or refuses those it was given: %w; %s", at, err, s.howToEnter())
	case errors.Is(err, transport.ErrAuthorizationFailed), strings.Contains(err.Error(), "unable to authenticate"):
		return fmt.Errorf("repository %s refuses the credentials: %w; %s", at, err, s.howToEnter())
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fmt.Errorf("repository %s does not exist, or these credentials may not see it", at)
	case knownhosts.IsHostUnknown(err):
		return fmt.Errorf("the SSH server of %s is not known: compare the key that ssh-keyscan prints with what its owner says, and add it to the known hosts: %w", at, err)
	case knownhosts.IsHostKeyChanged(err):
		return fmt.Errorf("the SSH server of %s shows another key than the one that is known: somebody may be between; ask its owner before you change the known hosts: %w", at, err)
	case errors.As(err, &authority), errors.As(err, &name):
		return fmt.Errorf("repository %s: its certificate is not trusted: %w; name its authority with --git-ca-file", at, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("repository %s cannot be reached: no answer in time", at)
	case errors.As(err, &dns), errors.As(err, &op):
		return fmt.Errorf("repository %s cannot be reached: %w", at, err)
	case errors.Is(err, git.ErrExactSHA1NotSupported):
		return fmt.Errorf("repository %s gives no single commits: follow a branch or a tag", at)
	}
	return fmt.Errorf("repository %s: %w", at, err)
}

func (s *Source) howToEnter() string {
	if s.at.Protocol == "ssh" {
		return "name a key that may read it with --ssh-key, or add it to the SSH agent"
	}
	return "give a token with FLUMEN_GIT_TOKEN, --git-token-file or --git-token-command (and --git-user, if the server wants more than a token)"
}
