package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	cliconfig "github.com/docker/cli/cli/config"
	clicontext "github.com/docker/cli/cli/context"
	dockercontext "github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
)

// The oldest engine the agent works with.
const (
	minAPI    = "1.41"
	minEngine = "20.10"
)

// greetTimeout is how long an engine may take to say hello: ssh has to log in first.
const greetTimeout = 30 * time.Second

// sshTries is how often an ssh that ends at once is started for its reason: when it hangs
// up before the greeting is written, what it said is lost.
const sshTries = 10

// defaultContext is the name of the context that is none: the engine of this machine.
const defaultContext = "default"

// address is where an engine is, and where that was taken from.
type address struct {
	endpoint dockercontext.Endpoint
	from     string // "DOCKER_HOST", "the Docker context lab", "the default"
}

func (a address) String() string { return fmt.Sprintf("%s (from %s)", a.endpoint.Host, a.from) }

// Connect finds the engine as the docker command does, by DOCKER_HOST, DOCKER_CONTEXT or
// the current context of Docker's configuration, in this order, and greets it. The API
// version is negotiated unless DOCKER_API_VERSION names one.
func Connect(ctx context.Context, getenv func(string) string) (*client.Client, error) {
	at, err := locate(getenv)
	if err != nil {
		return nil, err
	}
	engine, err := at.client(getenv("DOCKER_API_VERSION"))
	if err != nil {
		return nil, fmt.Errorf("use the engine at %s: %w", at, err)
	}
	if err := at.greet(ctx, engine); err != nil {
		engine.Close()
		return nil, err
	}
	return engine, nil
}

// locate decides which engine is meant.
func locate(getenv func(string) string) (address, error) {
	if host := getenv("DOCKER_HOST"); host != "" {
		return hostAddress(host, "DOCKER_HOST", getenv)
	}
	name, from := getenv("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
	if name == "" {
		file, err := cliconfig.Load(configDir(getenv))
		if err != nil {
			return address{}, fmt.Errorf("read Docker's configuration: %w", err)
		}
		name, from = file.CurrentContext, file.Filename
	}
	if name == "" || name == defaultContext {
		return hostAddress(client.DefaultDockerHost, "the default", getenv)
	}
	return contextAddress(name, from, configDir(getenv))
}

// configDir is where Docker keeps its configuration.
func configDir(getenv func(string) string) string {
	return cmp.Or(getenv("DOCKER_CONFIG"), filepath.Join(home(getenv), ".docker"))
}

func home(getenv func(string) string) string {
	if dir := getenv("HOME"); dir != "" {
		return dir
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return string(filepath.Separator) // as a service without HOME: nothing is configured there
	}
	return dir
}

// hostAddress is the engine at host, with TLS as the environment says.
func hostAddress(host, from string, getenv func(string) string) (address, error) {
	at := address{from: from}
	at.endpoint.Host = host
	verify, dir := getenv("DOCKER_TLS_VERIFY") != "", getenv("DOCKER_CERT_PATH")
	if local(host) || (!verify && dir == "") {
		return at, nil
	}
	dir = cmp.Or(dir, configDir(getenv))
	at.endpoint.SkipTLSVerify = !verify
	data, err := tlsFiles(dir)
	if err != nil {
		return address{}, fmt.Errorf("read the TLS files of the engine at %s: %w; DOCKER_CERT_PATH names the directory of ca.pem, cert.pem and key.pem", at, err)
	}
	at.endpoint.TLSData = data
	return at, nil
}

// contextAddress is the engine of one of Docker's contexts.
func contextAddress(name, from, dir string) (address, error) {
	s := store.New(filepath.Join(dir, "contexts"), contextTypes())
	meta, err := s.GetMetadata(name)
	if err != nil {
		return address{}, fmt.Errorf("use the Docker context %q (from %s): %w; docker context ls lists those there are", name, from, err)
	}
	endpoint, err := dockercontext.EndpointFromContext(meta)
	if err != nil {
		return address{}, fmt.Errorf("use the Docker context %q (from %s): %w", name, from, err)
	}
	full, err := dockercontext.WithTLSData(s, name, endpoint)
	if err != nil {
		return address{}, fmt.Errorf("read the TLS files of the Docker context %q: %w", name, err)
	}
	full.Host = cmp.Or(full.Host, client.DefaultDockerHost)
	return address{full, fmt.Sprintf("the Docker context %q", name)}, nil
}

// contextTypes tells the store what to read an engine's endpoint into; the rest of a
// context is of no interest.
func contextTypes() store.Config {
	return store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter(dockercontext.DockerEndpoint, func() any { return &dockercontext.EndpointMeta{} }),
	)
}

// client makes the client; version "" negotiates.
func (a address) client(version string) (*client.Client, error) {
	opts, err := a.endpoint.ClientOpts()
	if err != nil {
		return nil, err
	}
	return client.NewClientWithOpts(append(opts, client.WithVersion(version))...)
}

// greet finds out whether the engine answers, and whether it is new enough.
func (a address) greet(ctx context.Context, engine *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	ping, err := engine.Ping(ctx)
	for tries := 1; hungUp(err) && tries < sshTries; tries++ {
		ping, err = engine.Ping(ctx)
	}
	if err != nil {
		return a.silent(err)
	}
	engine.NegotiateAPIVersionPing(ping)
	return a.recent(ctx, engine, ping)
}

// hungUp tells an end of the line that came before the greeting was written.
func hungUp(err error) bool { return errors.Is(err, fs.ErrClosed) || errors.Is(err, syscall.EPIPE) }

// recent refuses an engine, or a choice of version, that is too old.
func (a address) recent(ctx context.Context, engine *client.Client, ping types.Ping) error {
	if ping.APIVersion == "" {
		return fmt.Errorf("what answers at %s is not a Docker engine: check the address", a)
	}
	if versions.LessThan(ping.APIVersion, minAPI) {
		return fmt.Errorf("the engine at %s is %s, the agent needs API %s (Docker %s) or newer: update Docker on that machine",
			a, engineVersion(ctx, engine, ping.APIVersion), minAPI, minEngine)
	}
	if chosen := engine.ClientVersion(); versions.LessThan(chosen, minAPI) {
		return fmt.Errorf("DOCKER_API_VERSION asks for API %s, the agent needs %s or newer: unset it, and the version is negotiated", chosen, minAPI)
	}
	return nil
}

// engineVersion says what an engine is, as exactly as it tells.
func engineVersion(ctx context.Context, engine *client.Client, api string) string {
	server, err := engine.ServerVersion(ctx)
	if err != nil {
		return "API " + api
	}
	return fmt.Sprintf("API %s (Docker %s)", api, server.Version)
}

// silent explains an engine that does not answer, and says what to do.
func (a address) silent(err error) error {
	host := a.endpoint.Host
	advice := "check that it is started and listens there, with TLS if DOCKER_TLS_VERIFY is set"
	switch path, socket := strings.CutPrefix(host, "unix://"); {
	case socket && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the engine at %s does not let this user in: add the user to the group docker (sudo usermod -aG docker NAME, then log in again), or run as root", a)
	case socket && absent(path):
		return fmt.Errorf("there is no engine at %s: install Docker and start it (sudo systemctl start docker), or point DOCKER_HOST at one", a)
	case socket:
		advice = "start it (sudo systemctl start docker)"
	case strings.HasPrefix(host, "ssh://"):
		advice = fmt.Sprintf("check that `ssh %s docker version` works without asking for a password", strings.TrimPrefix(host, "ssh://"))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s", greetTimeout)
	}
	return fmt.Errorf("reach the engine at %s: %w; %s", a, err, advice)
}

func absent(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// local tells whether an engine's host is a socket of this machine.
func local(host string) bool {
	return strings.HasPrefix(host, "unix://") || strings.HasPrefix(host, "npipe://")
}

// tlsFiles reads the CA and the client's certificate and key; those that are not there
// are left out, as long as one is.
func tlsFiles(dir string) (*clicontext.TLSData, error) {
	paths := [3]string{}
	for i, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
		if path := filepath.Join(dir, name); !absent(path) {
			paths[i] = path
		}
	}
	if paths == [3]string{} {
		return nil, fmt.Errorf("%s holds none", dir)
	}
	return clicontext.TLSDataFromFiles(paths[0], paths[1], paths[2])
}
