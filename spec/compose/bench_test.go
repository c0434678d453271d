package compose

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkLoad reads a spec of 10, 50 and 100 services in five tiers.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{10, 50, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := options(write(b, "flumen.yaml", manyServices(n), "conf/a", "a"))
			mustLoad(b, o) // schemas are compiled once a process
			b.ReportAllocs()
			for b.Loop() {
				mustLoad(b, o)
			}
		})
	}
}

func manyServices(n int) string {
	var s strings.Builder
	s.WriteString("name: many\ntiers:\n")
	for i := range n {
		if i%(n/5) == 0 {
			fmt.Fprintf(&s, "  - name: t%d\n    services:\n", i)
		}
		fmt.Fprintf(&s, `
      s%d:
        image: busybox:${TAG:-1}
        command: [sleep, infinity]
        environment: {A: b, PASSWORD: "secret-%d", URL: "http://${HOST:-localhost}:80"}
        ports: ["127.0.0.1:%d:80"]
        volumes: ["data%d:/data", "./conf:/etc/conf:ro"]
        networks: [back]
        healthcheck: {test: [CMD, "true"], interval: 5s, retries: 3}
        labels: {team: data}
        restart: unless-stopped
        mem_limit: 64m
`, i, i, 10000+i, i%5)
		if i > 0 {
			fmt.Fprintf(&s, "        depends_on: {s%d: {condition: service_healthy}}\n", i-1)
		}
	}
	s.WriteString("networks: {back: {}}\nvolumes: {data0: {}, data1: {}, data2: {}, data3: {}, data4: {}}\n")
	return s.String()
}
