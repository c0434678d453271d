package compose

import (
	"strings"
	"testing"
	"time"
)

// TestAliasesOfAliasesDoNotHang: nine levels of ten aliases each would be a
// thousand million nodes.
func TestAliasesOfAliasesDoNotHang(t *testing.T) {
	t.Parallel()
	var list, merge strings.Builder
	list.WriteString("x-0: &x0 [a]\n")
	merge.WriteString("x-0: &x0 {a: b}\n")
	for i := 1; i < 10; i++ {
		before, name := string(rune('0'+i-1)), string(rune('0'+i))
		list.WriteString("x-" + name + ": &x" + name + " [" + strings.Repeat("*x"+before+", ", 10) + "]\n")
		merge.WriteString("x-" + name + ": &x" + name + " {<<: [" + strings.Repeat("*x"+before+", ", 10) + "]}\n")
	}
	for name, content := range map[string]string{
		"lists":               list.String() + "services: {a: {image: b, command: *x9}}\n",
		"merges":              merge.String() + "services: {a: {image: b, environment: *x9}}\n",
		"a list in itself":    "services: {a: {image: b, command: &a [*a]}}\n",
		"a mapping in itself": "services: &a {a: *a}\n",
		"a merge of itself":   "services: {a: &a {image: b, <<: *a}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := Load(t.Context(), options(write(t, "flumen.yaml", "name: x\n"+content)))
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v: %v", took, err)
			}
		})
	}
}

func TestMergedKeysStandWhereTheyAreWritten(t *testing.T) {
	t.Parallel()
	dir := write(t, "flumen.yaml", `name: x
x-base: &base
  image: busybox
  restart: sometimes
services:
  a:
    <<: *base
    command: "true"
`)
	_, err := Load(t.Context(), options(dir))
	if got := faultsOf(err); len(got) != 1 || !strings.Contains(got[0].Error(), "flumen.yaml:4:3: ") {
		t.Errorf("got %v", got)
	}
}
