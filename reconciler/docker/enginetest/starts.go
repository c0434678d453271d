package enginetest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
)

// Starts listens for services of a project that start and become healthy. The function that it
// gives ends that, and tells it in the order in which it came, as in "start db".
func Starts(t testing.TB, engine client.APIClient, project string) func() []string {
	ctx, cancel := context.WithCancel(t.Context())
	said, failed := engine.Events(ctx, events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("label", "com.docker.compose.project="+project), filters.Arg("event", "start"), filters.Arg("event", "health_status"))})
	var all []string
	var listening sync.WaitGroup
	listening.Go(func() {
		for {
			select {
			case e := <-said:
				all = append(all, string(e.Action)+" "+e.Actor.Attributes["com.docker.compose.service"])
			case <-failed:
				return
			}
		}
	})
	return func() []string { cancel(); listening.Wait(); return all }
}

// InOrder expects of what Starts has told that every service of a group has started only after
// all of the group before it were healthy.
func InOrder(t testing.TB, seen []string, groups ...[]string) {
	t.Helper()
	at := func(what string) int {
		t.Helper()
		i := slices.Index(seen, what)
		if i < 0 {
			t.Fatalf("no %q in:\n%s", what, strings.Join(seen, "\n"))
		}
		return i
	}
	for i, group := range groups[1:] {
		for _, service := range group {
			for _, below := range groups[i] {
				if at("start "+service) < at(string(events.ActionHealthStatusHealthy)+" "+below) {
					t.Errorf("%s was started before %s was healthy:\n%s", service, below, strings.Join(seen, "\n"))
				}
			}
		}
	}
}
