package sketch

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// setService sets one attribute of a service.
func (d *drawing) setService(s *spec.Service, key, value string) error {
	if variable, ok := strings.CutPrefix(key, "env."); ok {
		s.Environment[variable] = spec.Plain(value)
		return nil
	}
	if variable, ok := strings.CutPrefix(key, "secret."); ok {
		s.Environment[variable] = spec.Sensitive(value)
		return nil
	}
	switch key {
	case "image":
		s.Image = value
	case "name":
		s.Container = value
	case "restart":
		s.Restart = value
	case "command":
		s.Command = strings.Split(value, ",")
	case "cpus":
		cores, err := strconv.ParseFloat(value, 64)
		s.NanoCPUs = int64(cores * 1e9)
		return err
	case "mem":
		return scan(value, &s.Memory)
	case "pids":
		return scan(value, &s.PidsLimit)
	case "job":
		s.Job = true
	case "restart-unhealthy":
		s.RestartUnhealthy = true
	case "file":
		path, digest, _ := strings.Cut(value, ":")
		s.Mounts = append(s.Mounts, spec.Mount{Type: spec.MountBind, Target: path, Source: "/conf" + path, ReadOnly: true, Digest: digest})
	default:
		return d.placeService(s, key, value)
	}
	return nil
}

// placeService sets where a service runs and whom it needs.
func (d *drawing) placeService(s *spec.Service, key, value string) error {
	name, rest, _ := strings.Cut(value, ":")
	switch key {
	case "net":
		s.Networks = append(s.Networks, spec.Attachment{Network: name, Name: d.networkName(name), IPv4: rest})
	case "inside":
		s.NetworkMode = "service:" + value
		s.Depends = append(s.Depends, spec.Dep{Ref: spec.InstanceRef(value, 1), Until: spec.Started, Shares: true})
	case "volume":
		target, mode, _ := strings.Cut(rest, ":")
		s.Mounts = append(s.Mounts, spec.Mount{
			Type: spec.MountVolume, Volume: name, Source: d.want.Project + "_" + name, Target: target, ReadOnly: mode == "ro",
		})
	case "port":
		at := strings.LastIndex(value, ":")
		host, published := "", value[:max(at, 0)]
		if i := strings.LastIndex(published, ":"); i >= 0 {
			host, published = published[:i], published[i+1:]
		}
		target, err := strconv.ParseUint(value[at+1:], 10, 16)
		s.Ports = append(s.Ports, spec.Port{Target: uint16(target), Protocol: "tcp", HostIP: host, Published: published})
		return err
	case "needs":
		until, restarts := strings.CutSuffix(rest, "+restart")
		phase, ok := map[string]spec.Phase{"started": spec.Started, "ready": spec.Ready, "done": spec.Done}[until]
		if !ok {
			return fmt.Errorf("no such phase: %s", until)
		}
		s.Depends = append(s.Depends, spec.Dep{Ref: spec.InstanceRef(name, 1), Until: phase, Restarts: restarts})
	default:
		return fmt.Errorf("a service has no %s", key)
	}
	return nil
}

func (d *drawing) networkName(key string) string {
	if n, ok := d.want.Find(spec.Ref{Kind: spec.KindNetwork, Name: key}).(*spec.Network); ok {
		return n.Name
	}
	return d.want.Project + "_" + key
}

func scan(text string, n *int64) (err error) {
	*n, err = strconv.ParseInt(text, 0, 64)
	return err
}
