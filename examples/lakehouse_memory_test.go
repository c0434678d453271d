package examples

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/go-units"
)

// mostAtRest is how many bytes of memory all of it together may take while nobody asks it anything.
const mostAtRest = 4 * units.GiB

// itRestsInFourGiB, every profile on, after each system was asked: the sum of what docker stats
// tells of each service, which leaves out files that the kernel can forget. There is no drift then.
func itRestsInFourGiB(t *testing.T, l *lakehouse) {
	l.converges("sql")
	l.exits(0, "drift")
	l.nobodyAsksSpark()
	var sum int64
	used := l.memory(slices.Concat(theTiers...))
	for _, service := range slices.Sorted(maps.Keys(used)) {
		t.Logf("%-14s %5d MiB", service, used[service]/units.MiB)
		sum += used[service]
	}
	t.Logf("%-14s %5d MiB", "together", sum/units.MiB)
	if sum > mostAtRest {
		t.Errorf("at rest it takes %s", units.BytesSize(float64(sum)))
	}
}

// memory is what each service has of it, in bytes.
func (l *lakehouse) memory(services []string) map[string]int64 {
	l.t.Helper()
	ask := []string{"stats", "--no-stream", "--format", "{{.MemUsage}}"}
	for _, service := range services {
		ask = append(ask, l.container(service))
	}
	told := strings.Split(l.docker(ask...), "\n")
	if len(told) != len(services) {
		l.t.Fatalf("of %v docker stats tells %q", services, told)
	}
	used := map[string]int64{}
	for i, service := range services {
		of, _, _ := strings.Cut(told[i], " / ")
		bytes, err := units.RAMInBytes(of)
		if err != nil || bytes == 0 {
			l.t.Fatalf("%s has %q of memory (%v)", service, of, err)
		}
		used[service] = bytes
	}
	return used
}

// nobodyAsksSpark any more: what a driver has had goes a little after it.
func (l *lakehouse) nobodyAsksSpark() {
	l.t.Helper()
	var master struct {
		ActiveApps []struct{ Name string }
	}
	if !within(15*time.Minute, 500*time.Millisecond, func() bool {
		master.ActiveApps = nil
		request, err := http.NewRequestWithContext(l.t.Context(), http.MethodGet, l.base("SPARK_UI")+"/json/", nil)
		if err == nil {
			err = fetchJSON(l.web(), request, &master)
		}
		if err != nil {
			l.t.Fatal(err)
		}
		return len(master.ActiveApps) == 0
	}) {
		l.t.Fatalf("the master still runs %v", master.ActiveApps)
	}
}
