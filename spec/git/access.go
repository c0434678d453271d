package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"github.com/skeema/knownhosts"
	xssh "golang.org/x/crypto/ssh"
)

const (
	// tokenTime is how long a command may take to print a token.
	tokenTime = 30 * time.Second
	// tokenLasts is how long its answer is used: tokens of forges last an hour.
	tokenLasts = 5 * time.Minute
	// dialTime is how long an SSH server may take to let somebody in.
	dialTime = 30 * time.Second
)

// credentials gives what a remote asks for. It remembers what a command has printed.
type credentials struct {
	access  Access
	hide    func(secret string)
	at      *transport.Endpoint
	token   string
	expires time.Time
}

// method gives the authentication for a call, or nil where none is needed.
func (c *credentials) method(ctx context.Context) (transport.AuthMethod, error) {
	switch c.at.Protocol {
	case "http", "https":
		return c.basic(ctx)
	case "ssh":
		return c.ssh()
	}
	return nil, nil
}

func (c *credentials) basic(ctx context.Context) (transport.AuthMethod, error) {
	password, err := c.password(ctx)
	if err != nil || password == "" {
		return nil, err
	}
	c.hide(password)
	return &http.BasicAuth{Username: cmp.Or(c.access.User, c.at.User, "git"), Password: password}, nil
}

func (c *credentials) password(ctx context.Context) (string, error) {
	switch {
	case c.access.Token != "":
		return c.access.Token, nil
	case c.access.TokenFile != "":
		return readSecret(c.access.TokenFile, "git token")
	case c.access.TokenCommand == "":
		return c.at.Password, nil
	}
	if c.token != "" && time.Now().Before(c.expires) {
		return c.token, nil
	}
	token, err := run(ctx, c.access.TokenCommand)
	if err != nil {
		return "", fmt.Errorf("the command for the git token: %w", err)
	}
	c.token, c.expires = token, time.Now().Add(tokenLasts)
	return token, nil
}

func readSecret(file, what string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("the file of the %s: %w", what, err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", fmt.Errorf("the file of the %s, %s, is empty", what, file)
	}
	return secret, nil
}

// run gives what a command prints. What it says on standard error is for the error alone.
func run(ctx context.Context, line string) (string, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return "", errors.New("there is none")
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer within %s", tokenTime)
		}
		return "", fmt.Errorf("%s: %w%s", words[0], err, lastLine(fault.String()))
	}
	token := strings.TrimSpace(out.String())
	if token == "" {
		return "", fmt.Errorf("%s printed nothing", words[0])
	}
	return token, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return ": " + last
	}
	return ""
}

// ssh gives a key, and checks that the server is the one that is known.
func (c *credentials) ssh() (transport.AuthMethod, error) {
	user := cmp.Or(c.access.User, c.at.User, "git")
	var files []string
	if c.access.KnownHosts != "" {
		files = append(files, c.access.KnownHosts)
	}
	hosts, err := ssh.NewKnownHostsDb(files...)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w; write the server's key into a file (ssh-keyscan HOST prints it: compare it with what the server's owner says) and name that with --known-hosts", err)
	}
	keys, err := c.keys(user, ssh.HostKeyCallbackHelper{HostKeyCallback: hosts.HostKeyCallback()})
	if err != nil {
		return nil, err
	}
	return &known{AuthMethod: keys, hosts: hosts, host: net.JoinHostPort(c.at.Host, strconv.Itoa(cmp.Or(c.at.Port, ssh.DefaultPort)))}, nil
}

func (c *credentials) keys(user string, check ssh.HostKeyCallbackHelper) (ssh.AuthMethod, error) {
	file := c.access.Key
	if file == "" {
		if os.Getenv("SSH_AUTH_SOCK") != "" {
			keys, err := ssh.NewSSHAgentAuth(user)
			if err != nil {
				return nil, fmt.Errorf("SSH agent: %w", err)
			}
			keys.HostKeyCallbackHelper = check
			return keys, nil
		}
		if file = usersKey(); file == "" {
			return nil, errors.New("no SSH key: name one with --ssh-key, or start an SSH agent")
		}
	}
	passphrase := c.access.Passphrase
	if c.access.PassphraseFile != "" {
		var err error
		if passphrase, err = readSecret(c.access.PassphraseFile, "SSH passphrase"); err != nil {
			return nil, err
		}
		c.hide(passphrase)
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("SSH key %s does not exist", file)
	}
	if err != nil {
		return nil, fmt.Errorf("SSH key: %w", err)
	}
	var missing *xssh.PassphraseMissingError
	if _, err := xssh.ParseRawPrivateKey(text); errors.As(err, &missing) && passphrase == "" {
		return nil, fmt.Errorf("SSH key %s needs a passphrase: give it with --ssh-passphrase-file or FLUMEN_SSH_PASSPHRASE", file)
	}
	keys, err := ssh.NewPublicKeys(user, text, passphrase)
	if err != nil {
		return nil, fmt.Errorf("SSH key %s: %w", file, err)
	}
	keys.HostKeyCallbackHelper = check
	return keys, nil
}

// usersKey is the key that the ssh command would take.
func usersKey() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		file := filepath.Join(home, ".ssh", name)
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

// known is an SSH authentication with a server whose key is known. It asks for the kind
// of key that is known of the host, or the server might show another.
type known struct {
	ssh.AuthMethod
	hosts *knownhosts.HostKeyDB
	host  string
}

func (k *known) ClientConfig() (*xssh.ClientConfig, error) {
	config, err := k.AuthMethod.ClientConfig()
	if err != nil {
		return nil, err
	}
	config.HostKeyAlgorithms = k.hosts.HostKeyAlgorithms(k.host)
	config.Timeout = dialTime
	return config, nil
}
