package docker

import (
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
)

// explainPull says what a person can do about an image that could not be pulled.
func explainPull(named reference.Named, loggedIn bool, err error) error {
	host := reference.Domain(named)
	advice := map[registryFault]string{
		faultPlatform:    "it is not made for this platform: choose another tag, or another platform",
		faultRefused:     fmt.Sprintf("%s gives it to nobody without a login, or does not have it: check the name, and log in with docker login %s", host, host),
		faultNotFound:    fmt.Sprintf("%s has no such image: check the name and the tag", host),
		faultUnreachable: fmt.Sprintf("%s cannot be reached from the engine: check the name, the network and the engine's proxy, and try again", host),
	}
	if loggedIn {
		advice[faultRefused] = fmt.Sprintf("%s does not give it to the user of Docker's configuration, or does not have it: check the name and that user's rights, or log in anew with docker login %s", host, host)
	}
	if text := advice[faultOf(err)]; text != "" {
		return fmt.Errorf("%s (%w)", text, err)
	}
	return err
}

// explainBuild says what can be done about a build that failed before, or besides, its
// own steps.
func explainBuild(err error, source buildContext) error {
	if source.heredoc && strings.Contains(strings.ToLower(err.Error()), "unknown instruction") {
		return fmt.Errorf("%w; here-documents need Docker 23 or newer, or the line # syntax=docker/dockerfile:1", err)
	}
	if strings.Contains(err.Error(), "no active session") {
		return fmt.Errorf("%w; BuildKit cannot log in to a registry here: fetch the images that the Dockerfile names with docker pull, then try again", err)
	}
	switch faultOf(err) {
	case faultRefused:
		return fmt.Errorf("%w; check the names of its base images, and log in to their registry with docker login", err)
	case faultUnreachable:
		return fmt.Errorf("%w; check the network and the engine's proxy, and try again", err)
	}
	return err
}

// registryFault is why a registry did not give an image.
type registryFault int

const (
	faultOther registryFault = iota
	faultPlatform
	faultRefused
	faultNotFound
	faultUnreachable
)

// The words by which engines tell what a registry said: they answer most of it as a plain
// server error, or in the middle of a stream, where there is nothing else to go by. The
// first that fits counts.
var faultWords = []struct {
	fault registryFault
	words []string
}{
	{faultPlatform, []string{"no matching manifest", "no match for platform", "does not match the specified platform", "does not provide the specified platform", "cannot be used on this platform"}},
	{faultRefused, []string{"access denied", "no basic auth credentials", "unauthorized", "authentication required", "denied:", "authorization failed", "403 forbidden", "401 "}},
	{faultNotFound, []string{"manifest unknown", "name unknown", "not found"}},
	{faultUnreachable, []string{"dial tcp", "no such host", "connection refused", "i/o timeout", "tls handshake", "network is unreachable", "failed to do request", "client.timeout", "server gave http response", "x509:", "proxyconnect", "eof"}},
}

func faultOf(err error) registryFault {
	text := strings.ToLower(err.Error())
	for _, known := range faultWords {
		for _, word := range known.words {
			if strings.Contains(text, word) {
				return known.fault
			}
		}
	}
	switch {
	case cerrdefs.IsNotFound(err):
		return faultNotFound
	case cerrdefs.IsUnauthorized(err), cerrdefs.IsPermissionDenied(err):
		return faultRefused
	}
	return faultOther
}
