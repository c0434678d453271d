package enginetest

import (
	"os"
	"testing"
)

// MCVariable names the environment variable with the path of mc, MinIO's own client: it does
// by hand what the agent has to notice, as another client than the agent's own.
const MCVariable = "FLUMEN_TEST_MC"

// Program gives the path of a program that tests run, from an environment variable.
func Program(t testing.TB, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		Lacks(t, "a program whose path is in "+variable)
	}
	return path
}
