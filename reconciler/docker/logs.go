package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/flumendata/flumen-agent/spec"
)

// Logs gives the last lines that a container wrote, oldest first, without the secrets in
// its environment: the spec of today may know others.
func (t *Target) Logs(ctx context.Context, id string, lines int) ([]string, error) {
	c, err := t.engine.ContainerInspect(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("logs: %w", err)
	}
	r, err := t.engine.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(lines)})
	if err != nil {
		return nil, fmt.Errorf("logs of %s: %w", nameOfContainer(c), err)
	}
	defer r.Close()
	var text bytes.Buffer
	if c.Config.Tty {
		_, err = io.Copy(&text, r) // a terminal has one stream, and it is raw
	} else {
		_, err = stdcopy.StdCopy(&text, &text, r)
	}
	if err != nil {
		return nil, fmt.Errorf("read the logs of %s: %w", nameOfContainer(c), err)
	}
	return splitLines(masked(text.String(), c)), nil
}

// masked hides the secrets of a container. One that is a part of its name or its image's
// cannot be hidden.
func masked(text string, c container.InspectResponse) string {
	for _, secret := range secretsOf(readEnvironment(c.Config.Env)) {
		hidden := []string{secret.Reveal(), spec.URLPassword(secret.Reveal())}
		for _, one := range hidden {
			if len(one) >= leastSecret && !strings.Contains(c.Name+" "+c.Config.Image, one) {
				text = strings.ReplaceAll(text, one, spec.Masked)
			}
		}
	}
	return text
}

func splitLines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		all = append(all, strings.TrimRight(line, "\r\n"))
	}
	return all
}

func nameOfContainer(c container.InspectResponse) string { return strings.TrimPrefix(c.Name, "/") }
