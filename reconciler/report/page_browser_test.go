package report_test

import (
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// frame shows a page at a width that a browser's window does not have, and says in its own
// title how wide the page would like to be.
const frame = `<!DOCTYPE html><title>?</title><body style="margin:0">
<iframe style="border:0;width:%[1]dpx;height:%[2]dpx" srcdoc="%[3]s"
 onload="document.title = this.contentDocument.documentElement.scrollWidth + ' wide'"></iframe>`

// TestPageFitsAPhoneAndADesk measures the page in a browser, and leaves pictures of it in
// the artefacts (go test -artifacts).
func TestPageFitsAPhoneAndADesk(t *testing.T) {
	browser := enginetest.Browser(t)
	text, _ := pageOf(t, lakehouse(t))
	for name, look := range map[string]struct{ width, height, scheme int }{
		"phone-light": {390, 3400, 1}, "phone-dark": {390, 3400, 0}, "desk-light": {1280, 2000, 1}, "desk-dark": {1280, 2000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			shown := filepath.Join(t.TempDir(), "frame.html")
			if err := os.WriteFile(shown, fmt.Appendf(nil, frame, look.width, look.height, html.EscapeString(text)), 0o600); err != nil {
				t.Fatal(err)
			}
			in := func(args ...string) string {
				args = append(args, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars",
					"--user-data-dir="+t.TempDir(), fmt.Sprintf("--blink-settings=preferredColorScheme=%d", look.scheme),
					fmt.Sprintf("--window-size=%d,%d", look.width, look.height), "file://"+shown)
				out, err := exec.CommandContext(t.Context(), browser, args...).Output()
				if err != nil {
					t.Fatal(err)
				}
				return string(out)
			}
			in("--screenshot=" + filepath.Join(t.ArtifactDir(), name+".png"))
			if dom := in("--dump-dom"); !strings.Contains(dom, fmt.Sprintf("<title>%d wide</title>", look.width)) {
				t.Errorf("the page does not fit %d pixels: %s", look.width, dom[:min(len(dom), 80)])
			}
		})
	}
}
