package plan

import (
	"strings"

	"github.com/flumendata/flumen-agent/drift"
)

// updatable tells whether the engine can change all of these fields while the
// container runs. A limit that is to go away cannot: the engine takes 0 for "leave
// it as it is".
func updatable(fields []drift.Field) bool {
	for _, f := range fields {
		switch f.Name {
		case "name", "restart", "pids_limit":
		case "cpus", "mem_limit", "memswap_limit":
			if f.Want.IsZero() {
				return false
			}
		default:
			if !strings.HasPrefix(f.Name, "network.") {
				return false
			}
		}
	}
	return true
}
