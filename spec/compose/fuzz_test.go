package compose

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"
)

// FuzzLoad: whatever a file says, Load gives a desired state or faults with their
// places; it neither panics nor hangs.
func FuzzLoad(f *testing.F) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range cases {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Data)
	}
	f.Add([]byte("a: &a [*a]\nservices: {x: *a}"))
	f.Add([]byte("a: &a {<<: *a}\nservices: *a"))
	f.Add([]byte("include: [flumen.yaml]\nservices: {a: {extends: {file: flumen.yaml, service: a}}}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		file := filepath.Join(dir, "flumen.yaml")
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		loaded, err := Load(t.Context(), Options{File: file, Environ: map[string]string{"A": "b", "TOKEN": "hunter22"}})
		for _, one := range faultsOf(err) {
			if f, ok := one.(*Fault); !ok || f.File == "" || f.Message == "" {
				t.Errorf("a fault without a place or words: %#v", one)
			}
		}
		if err == nil && (len(loaded.Desired.Tiers) == 0 || loaded.Desired.Revision.ID == "") {
			t.Error("neither faults nor a desired state")
		}
	})
}
