package docker

import (
	"fmt"
	"net"
)

// Reach tells how what an engine runs can be reached from here.
type Reach struct{ host string }

// ReachOf looks where the engine is that Connect would find. It calls nothing.
func ReachOf(getenv func(string) string) (Reach, error) {
	at, err := locate(getenv)
	return Reach{at.endpoint.Host}, err
}

// Barred says why a port of a service cannot be reached, or "" where it may be: published are
// the addresses of the host at which it is to be published.
func (r Reach) Barred(published []string) string {
	host, err := hostOf(r.host)
	switch {
	case err != nil:
		return fmt.Sprintf("the engine is reached through a tunnel (%s)", r.host)
	case local(r.host) || host == localhost && len(published) > 0:
		return ""
	}
	for _, address := range published {
		if ip := net.ParseIP(address); ip == nil || !ip.IsLoopback() {
			return ""
		}
	}
	return fmt.Sprintf("the engine is on another machine (%s), and the port is not published for others", host)
}
