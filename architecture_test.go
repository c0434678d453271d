// Package flumen_test holds the shape of the whole module: who may import whom, which
// package is the door of which library, and which packages are pure.
package flumen_test

import (
	"cmp"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/flumendata/flumen-agent"

// room is one package, as go list sees it. Tests are not part of it: they may import
// what they like.
type room struct {
	Dir, ImportPath, Name string
	GoFiles, Imports      []string
}

// name is the package's path within the module.
func (r room) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(r.ImportPath, module), "/")
}

// rooms lists the module's packages that have more than tests.
func rooms(t *testing.T) []room {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=Dir,ImportPath,Name,GoFiles,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []room
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var r room
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if len(r.GoFiles) > 0 {
			all = append(all, r)
		}
	}
	return all
}

// pure are the packages that take values and give values.
var pure = []string{"spec", "drift", "reconciler/plan", "reconciler/report", "reconciler/delta/proof"}

// mayImport says which of our own packages each may import. What is not listed may
// import nothing of ours.
var mayImport = map[string][]string{
	"spec/compose":               {"spec", "spec/sealed"},
	"spec/git":                   {"spec", "spec/git/signature"},
	"drift":                      {"spec"},
	"drift/sketch":               {"spec", "drift"},
	"reconciler/plan":            {"spec", "drift"},
	"reconciler/report":          {"spec", "drift", "reconciler/plan"},
	"reconciler":                 {"spec", "drift", "reconciler/plan", "reconciler/report", "reconciler/state"},
	"reconciler/state":           {"spec", "reconciler/plan", "reconciler/report"},
	"reconciler/status":          {"spec", "drift", "reconciler/report"},
	"reconciler/notify":          {"spec", "drift", "reconciler/plan", "reconciler/report"},
	"reconciler/forge":           {"spec", "reconciler/report", "reconciler/notify"},
	"reconciler/trace":           {"reconciler/report"},
	"reconciler/control":         {"reconciler"},
	"reconciler/docker":          {"spec", "drift", "reconciler/plan"},
	"reconciler/memory":          {"spec", "drift", "reconciler/plan"},
	"reconciler/s3":              {"spec", "drift", "reconciler/plan"},
	"reconciler/delta/proof":     {"spec", "reconciler/plan"},
	"reconciler/delta":           {"spec", "reconciler/delta/proof"},
	"reconciler/delta/metastore": {"reconciler/delta/proof"},
	"reconciler/targettest":      {"spec", "drift", "reconciler/plan"},
	"cmd/flumen-agent": {
		"spec", "spec/command", "spec/compose", "spec/file", "spec/git", "spec/sealed", "drift", "drift/schedule",
		"reconciler", "reconciler/plan", "reconciler/report", "reconciler/state", "reconciler/docker", "reconciler/s3",
		"reconciler/status", "reconciler/webhook", "reconciler/notify", "reconciler/control", "reconciler/forge", "reconciler/trace", "reconciler/delta", "reconciler/delta/folder", "reconciler/delta/metastore", "reconciler/delta/proof",
	},
}

func TestImportsFollowTheArrows(t *testing.T) {
	for _, r := range rooms(t) {
		for _, imported := range r.Imports {
			ours, ok := strings.CutPrefix(imported, module+"/")
			if ok && !slices.Contains(mayImport[r.name()], ours) {
				t.Errorf("%s imports %s", r.name(), ours)
			}
		}
	}
}

// doors names, for each library, the packages that may import it. What lies below a
// door goes through it too.
var doors = map[string][]string{
	"github.com/compose-spec/compose-go": {"spec/compose"},
	"go.yaml.in/yaml":                    {"spec/compose", "spec/sealed"},
	"filippo.io/age":                     {"spec/sealed"},
	"gopkg.in/yaml.v3":                   {"spec/compose"},
	"github.com/go-git/go-git":           {"spec/git"},
	"github.com/go-git/go-billy":         {"spec/git"},
	"github.com/skeema/knownhosts":       {"spec/git"},
	"golang.org/x/crypto":                {"spec/git"},
	"golang.org/x/net/proxy":             {"spec/git"},
	"github.com/ProtonMail/go-crypto":    {"spec/git/signature"},
	"github.com/fsnotify/fsnotify":       {"spec/file"},
	"github.com/robfig/cron":             {"drift/schedule"},
	"github.com/docker/docker":           {"reconciler/docker"},
	"github.com/docker/cli":              {"reconciler/docker"},
	"github.com/docker/go-connections":   {"reconciler/docker"},
	"github.com/minio/minio-go":          {"reconciler/s3"},
	"github.com/parquet-go/parquet-go":   {"reconciler/delta"},
	"github.com/klauspost/compress":      {"reconciler/delta"},
	"golang.org/x/sys":                   {"reconciler/delta/folder"},
	"modernc.org/sqlite":                 {"reconciler/state"},
	"github.com/prometheus":              {"reconciler/status"},
	"go.opentelemetry.io":                {"reconciler/trace"},
	"golang.org/x/time":                  {"reconciler/webhook", "reconciler/control"},
	"github.com/nicholas-fedor/shoutrrr": {"reconciler/notify"},
	"github.com/spf13/cobra":             {"cmd"},
	"github.com/hashicorp/go-multierror": {"spec/compose", "reconciler/report", "cmd"},
}

func TestEachLibraryHasOneDoor(t *testing.T) {
	for _, r := range rooms(t) {
		for _, imported := range r.Imports {
			for library, through := range doors {
				if within(imported, library) && !slices.ContainsFunc(through, func(door string) bool { return within(r.name(), door) }) {
					t.Errorf("%s imports %s: the door of that library is %s", r.name(), imported, strings.Join(through, ", "))
				}
			}
		}
	}
}

// within tells whether a path is that folder or lies in it.
func within(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

// pureImports are what pure packages may import besides each other: nothing here can
// reach a clock, a file, a network or chance.
var pureImports = []string{
	"cmp", "crypto/sha256", "embed", "encoding/binary", "encoding/hex", "encoding/json", "encoding/xml", "errors", "fmt", "hash", "html/template", "io", "iter", "maps", "math",
	"net/netip", "regexp", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8", "unique", "bytes", "path",
	"github.com/hashicorp/go-multierror", "golang.org/x/text/unicode/norm",
}

// impure are functions of otherwise pure packages that reach outside.
var impure = map[string][]string{
	"time":     {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "LoadLocation", "Local"},
	"fmt":      {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"template": {"ParseFiles", "ParseGlob", "ParseFS"},
}

func TestPureRoomsReachNothingOutside(t *testing.T) {
	for _, r := range rooms(t) {
		if !slices.Contains(pure, r.name()) {
			continue
		}
		for _, imported := range r.Imports {
			if !within(imported, module) && !slices.Contains(pureImports, imported) {
				t.Errorf("%s imports %s, which is not known to be pure", r.name(), imported)
			}
		}
		eachFile(t, r, func(fset *token.FileSet, f *ast.File) {
			for _, use := range impureUses(f) {
				t.Errorf("%s: %s reaches outside, and %s is pure: take what it gives as an argument", fset.Position(use.Pos()), nameOf(use), r.name())
			}
		})
	}
}

func impureUses(f *ast.File) []*ast.SelectorExpr {
	var uses []*ast.SelectorExpr
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && slices.Contains(impure[x.Name], s.Sel.Name) {
				uses = append(uses, s)
			}
		}
		return true
	})
	return uses
}

func nameOf(s *ast.SelectorExpr) string { return s.X.(*ast.Ident).Name + "." + s.Sel.Name }

// eachFile parses the files of a package that are not tests.
func eachFile(t *testing.T, r room, do func(*token.FileSet, *ast.File)) {
	t.Helper()
	for _, name := range r.GoFiles {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(r.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		do(fset, f)
	}
}

func TestPackagesAreNamedAfterWhatTheyKnow(t *testing.T) {
	for _, r := range rooms(t) {
		for _, part := range strings.Split(r.name(), "/") {
			if slices.Contains([]string{"internal", "pkg", "util", "utils", "common", "types", "helpers", "manager"}, part) {
				t.Errorf("%s: a folder called %s says nothing", r.name(), part)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, r := range rooms(t) {
		var docs []string
		eachFile(t, r, func(_ *token.FileSet, f *ast.File) {
			if f.Doc != nil {
				docs = append(docs, f.Doc.Text())
			}
		})
		begins := "Package " + r.Name + " "
		if r.Name == "main" {
			begins = "Command " + path.Base(r.name()) + " "
		}
		switch {
		case len(docs) != 1:
			t.Errorf("%s has %d package comments, want one", cmp.Or(r.name(), module), len(docs))
		case !strings.HasPrefix(docs[0], begins):
			t.Errorf("%s: its package comment does not begin with %q", r.name(), begins)
		}
	}
}
