package enginetest

import (
	"os"
	"testing"
)

// Browser gives the Chromium in which a page is looked at. Where the system has none that could
// be installed, as .ci/browser has said, the variable is set and empty, and the test skips.
func Browser(t testing.TB) string {
	t.Helper()
	path, looked := os.LookupEnv("FLUMEN_TEST_BROWSER")
	switch {
	case path != "":
		return path
	case looked:
		t.Skip("this system has no Chromium that a test can run")
	}
	Lacks(t, "Chromium, which FLUMEN_TEST_BROWSER names")
	return ""
}
