package compose

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/tools/txtar"
)

const composeSchemaURL = "https://raw.githubusercontent.com/compose-spec/compose-spec/main/schema/compose-spec.json"

// editorSchema is the schema that editors use, with Compose's own as it is built in.
func editorSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	ours, err := os.ReadFile("../flumen.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for url, text := range map[string]string{composeSchemaURL: schema.Schema, "flumen.schema.json": string(ours)} {
		content, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(url, content); err != nil {
			t.Fatal(err)
		}
	}
	compiled, err := compiler.Compile("flumen.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func plainYAML(t *testing.T, content []byte) any {
	t.Helper()
	d, err := parseDocument("flumen.yaml", "flumen.yaml", content)
	if err != nil {
		t.Fatal(err)
	}
	p := plainer{doc: d, left: maxNodes}
	return p.value(d.roots[0], nil)
}

func TestEditorSchemaAcceptsWhatLoads(t *testing.T) {
	t.Parallel()
	compiled := editorSchema(t)
	root, err := os.ReadFile("../../flumen.yaml")
	if err != nil {
		t.Fatal(err)
	}
	specs := map[string][]byte{"flumen.yaml": root}
	cases, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range cases {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(filepath.Base(name), "fault-") {
			specs[name] = a.Files[0].Data
		}
	}
	for name, content := range specs {
		if err := compiled.Validate(plainYAML(t, content)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEditorSchemaIsStrictAboutOurOwnKeys(t *testing.T) {
	t.Parallel()
	compiled := editorSchema(t)
	for _, content := range []string{
		"volumnes: {}",
		"tiers: []",
		"tiers: [{name: a}]",
		"tiers: [{services: {}}]",
		"tiers: [{name: remove, services: {}}]",
		"tiers: [{name: a, services: {}, timeout: soon}]",
		"tiers: [{name: a, services: {}, timout: 5m}]",
		"tiers: [{name: a, services: {}}]\nservices: {}",
		"services: {a: {x-flumen: {heel: restart}}}",
		"services: {a: {x-flumen: {heal: sometimes}}}",
		"services: {a: {imgae: x}}",
		"configs: {a: {content: x, x-flumen: {interpolated: true}}}",
		"secrets: {a: {x-flumen: {command: vault}}}",
		"secrets: {a: {x-flumen: {comand: [vault]}}}",
		"buckets: {a: {versionning: enabled}}",
		"retention: {rules: [{mode: remove}]}",
		"drift: {heal: perhaps}",
		"consent: [{remove: volume/x}]",
		`windows: [{allow: "0 1 * * *"}]`,
		`windows: [{allow: "0 1 * * *", deny: "0 2 * * *", duration: 1h}]`,
	} {
		if compiled.Validate(plainYAML(t, []byte(content))) == nil {
			t.Errorf("accepted: %s", content)
		}
	}
}

// TestEditorSchemaKnowsTheKeysThatAreRead holds the schema for editors against
// the types that are decoded.
func TestEditorSchemaKnowsTheKeysThatAreRead(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../flumen.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range ownNames(rootShape(), 0) {
		if !strings.Contains(string(content), `"`+name+`"`) {
			t.Errorf("%s is not in flumen.schema.json", name)
		}
	}
}

// ownNames are all keys that flumen.yaml has and Compose has not.
func ownNames(s *shape, depth int) []string {
	if s == nil || depth > 0 && s == composeShape() {
		return nil
	}
	var names []string
	for name, next := range s.keys {
		if composeShape().keys[name] == next {
			continue
		}
		names = append(append(names, name), ownNames(next, depth+1)...)
	}
	return append(append(names, ownNames(s.any, depth+1)...), ownNames(s.items, depth+1)...)
}
