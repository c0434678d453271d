package git

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzSplitCommit(f *testing.F) {
	f.Add("tree 1\ngpgsig -----BEGIN\n a\n -----END\n\nmessage\n")
	f.Add("tree 1\ngpgsig x\ngpgsig y\n\n")
	f.Add("gpgsig x")
	f.Fuzz(func(t *testing.T, raw string) {
		text, armored, err := splitCommit([]byte(raw))
		if err != nil {
			return
		}
		if armored == "" && !strings.Contains("\n"+raw, "\n"+signatureHeader) && string(text) != raw {
			t.Errorf("a text without a signature changed: %q to %q", raw, text)
		}
		// What was signed has no signature left in its header: nothing hides there.
		header, _, _ := bytes.Cut(append([]byte("\n"), text...), []byte("\n\n"))
		if bytes.Contains(header, []byte("\n"+signatureHeader)) {
			t.Errorf("a signature is left in %q", text)
		}
	})
}
