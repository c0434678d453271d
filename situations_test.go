package flumen_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// quoted is what docs/situations.md names: a test, or the file of a script.
var quoted = regexp.MustCompile("`(Test\\w+|[\\w/.-]+\\.txtar)`")

func TestEachSituationNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("docs/situations.md")
	if err != nil {
		t.Fatal(err)
	}
	there := tests(t)
	situations := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| situation ") {
			continue
		}
		situations++
		named := quoted.FindAllStringSubmatch(line, -1)
		if len(named) == 0 {
			t.Errorf("no test shows this: %s", line)
		}
		for _, n := range named {
			if _, err := os.Stat(n[1]); !there[n[1]] && err != nil {
				t.Errorf("%s is not there", n[1])
			}
		}
	}
	if situations == 0 {
		t.Error("no situations found")
	}
}

// tests are the names of all tests of the module.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
