package docker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"github.com/docker/docker/api/types/container"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// ports finds host ports that somebody else holds. Of a range one that is free will do.
func (s survey) ports(want *spec.Service) (all []plan.Obstacle) {
	for _, p := range want.Ports {
		var taken []string
		low, high := portRange(p.Published)
		for n := low; n <= high && n > 0; n++ {
			holder := s.holder(p, uint16(n))
			if holder == "" {
				taken = nil
				break
			}
			taken = append(taken, fmt.Sprintf("host port %d/%s is held by %s", n, p.Protocol, holder))
		}
		if len(taken) > 0 {
			all = append(all, plan.Obstacle{Rule: rulePort, Reason: taken[0] + ": stop that, or publish another port"})
		}
	}
	return all
}

// portRange reads "8080" and "8000-8010"; "" is none.
func portRange(published string) (low, high int) {
	from, to, isRange := strings.Cut(published, "-")
	low, err := strconv.Atoi(from)
	if err != nil {
		return 0, 0
	}
	if !isRange {
		return low, low
	}
	high, err = strconv.Atoi(to)
	if err != nil {
		return 0, 0
	}
	return low, high
}

// holder says who holds a port of the host, or "". What the plan itself acts on does not
// count, nor does the engine's process that holds the port for it.
func (s survey) holder(p spec.Port, number uint16) string {
	for _, c := range s.containers {
		if !publishes(c, p, number) {
			continue
		}
		if s.changing[c.ID] {
			return ""
		}
		return "container " + nameOf(c)
	}
	if !s.here || !inUse(p, number) {
		return ""
	}
	return process(p.Protocol, number)
}

func publishes(c container.Summary, p spec.Port, number uint16) bool {
	for _, have := range c.Ports {
		if have.PublicPort == number && have.Type == p.Protocol && overlap(have.IP, p.HostIP) {
			return true
		}
	}
	return false
}

// overlap tells whether two addresses cannot have the same port; "" is every address.
func overlap(a, b string) bool {
	return a == b || everyAddress(a) || everyAddress(b)
}

func everyAddress(text string) bool {
	address, err := netip.ParseAddr(text)
	return err != nil || address.IsUnspecified()
}

// inUse tries to have the port itself.
func inUse(p spec.Port, number uint16) bool {
	address := net.JoinHostPort(p.HostIP, strconv.Itoa(int(number)))
	var held interface{ Close() error }
	var err error
	switch p.Protocol {
	case "tcp":
		held, err = net.Listen("tcp", address)
	case "udp":
		held, err = net.ListenPacket("udp", address)
	default:
		return false
	}
	if err == nil {
		held.Close()
	}
	return errors.Is(err, syscall.EADDRINUSE)
}
