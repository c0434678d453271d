package docker

import (
	"errors"
	"fmt"
	"os"

	"github.com/distribution/reference"
	cliconfig "github.com/docker/cli/cli/config"
	"github.com/docker/docker/api/types/registry"
)

// dockerHub is the key under which Docker's configuration keeps the credentials of its
// own registry.
const dockerHub = "https://index.docker.io/v1/"

// credentials reads Docker's configuration file and asks its credential helpers. They
// are read at each use: a person may log in while the agent runs.
type credentials struct {
	dir func() string
}

func dockerConfigDir() string { return configDir(os.Getenv) }

// of gives what to show the registry of a reference, encoded as the engine wants it, or
// "" for nothing.
func (c credentials) of(named reference.Named) (string, error) {
	file, err := cliconfig.Load(c.dir())
	if err != nil {
		return "", fmt.Errorf("read Docker's configuration: %w", err)
	}
	auth, err := file.GetAuthConfig(registryKey(named))
	if err != nil {
		return "", fmt.Errorf("get the credentials for %s: %w", reference.Domain(named), err)
	}
	if auth.Username == "" && auth.IdentityToken == "" && auth.RegistryToken == "" {
		return "", nil
	}
	return registry.EncodeAuthConfig(registry.AuthConfig(auth))
}

// all gives everything there is, by registry, for a build that may pull from any.
func (c credentials) all() (map[string]registry.AuthConfig, error) {
	file, err := cliconfig.Load(c.dir())
	if err != nil {
		return nil, fmt.Errorf("read Docker's configuration: %w", err)
	}
	auths, err := file.GetAllCredentials()
	if err != nil {
		return nil, fmt.Errorf("get the credentials of the registries: %w", err)
	}
	known := map[string]registry.AuthConfig{}
	for host, auth := range auths {
		known[host] = registry.AuthConfig(auth)
	}
	return known, nil
}

// withProxies adds the proxies of Docker's configuration to a build's arguments, as the
// docker command does.
func (c credentials) withProxies(host string, args map[string]*string) (map[string]*string, error) {
	file, err := cliconfig.Load(c.dir())
	if err != nil {
		return nil, fmt.Errorf("read Docker's configuration: %w", err)
	}
	return file.ParseProxyConfig(host, args), nil
}

func registryKey(named reference.Named) string {
	if domain := reference.Domain(named); domain != "docker.io" {
		return domain
	}
	return dockerHub
}

// withCredentialFault adds to what failed that there were no credentials because they
// could not be had: public images do without, so it is no failure by itself.
func withCredentialFault(err, fault error) error {
	if err == nil || fault == nil {
		return err
	}
	return errors.Join(err, fault)
}
