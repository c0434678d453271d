package docker

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"

	"github.com/docker/docker/api/types/container"
)

// localhost is where an engine of this machine publishes ports.
const localhost = "127.0.0.1"

// Addresses gives those at which a port of a service of a project may be reached from here:
// where it is published, then, if the engine is one of this machine, those of its containers.
// There are none while it does not run.
func (t *Target) Addresses(ctx context.Context, project, service string, port uint16) ([]string, error) {
	of := ofProject(project)
	of.Add("label", composeService+"="+service)
	of.Add("label", composeOneOff+"=False") // what docker compose run starts serves nobody
	of.Add("status", string(container.StateRunning))
	running, err := t.engine.ContainerList(ctx, container.ListOptions{Filters: of})
	if err != nil {
		return nil, fmt.Errorf("look for the containers of service %s: %w", service, err)
	}
	host, err := hostOf(t.engine.DaemonHost())
	if err != nil {
		return nil, err
	}
	var published, inside []string
	for _, c := range running {
		published = append(published, publishedAt(c, port, host)...)
		inside = append(inside, insideOf(c, port)...)
	}
	if !local(t.engine.DaemonHost()) {
		inside = nil
	}
	if all := append(published, inside...); len(all) > 0 || len(running) == 0 {
		return all, nil
	}
	return nil, fmt.Errorf("port %d of service %s cannot be reached from here: publish it, or give the store an endpoint", port, service)
}

// hostOf is the machine on which an engine publishes ports, as far as its address tells.
func hostOf(engine string) (string, error) {
	if local(engine) {
		return localhost, nil
	}
	u, err := url.Parse(engine)
	if err != nil || u.Scheme != "tcp" {
		return "", fmt.Errorf("the engine is reached through a tunnel (%s), so what it runs cannot be reached from here: give the store an endpoint", engine)
	}
	return u.Hostname(), nil
}

// publishedAt gives the host's addresses of a container's port, but for those that only
// another machine can reach.
func publishedAt(c container.Summary, port uint16, host string) []string {
	var all []string
	if c.HostConfig.NetworkMode == "host" {
		all = append(all, net.JoinHostPort(host, strconv.Itoa(int(port))))
	}
	for _, p := range c.Ports {
		if p.PrivatePort != port || p.PublicPort == 0 || p.Type != "tcp" {
			continue
		}
		at := host
		if ip := net.ParseIP(p.IP); ip != nil && !ip.IsUnspecified() {
			if ip.IsLoopback() && host != localhost {
				continue
			}
			at = p.IP
		}
		if address := net.JoinHostPort(at, strconv.Itoa(int(p.PublicPort))); !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// insideOf gives the addresses of a container's port on the networks that it is on.
func insideOf(c container.Summary, port uint16) []string {
	if c.NetworkSettings == nil {
		return nil
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(c.NetworkSettings.Networks)) {
		if n := c.NetworkSettings.Networks[name]; n != nil && n.IPAddress != "" {
			all = append(all, net.JoinHostPort(n.IPAddress, strconv.Itoa(int(port))))
		}
	}
	return all
}
