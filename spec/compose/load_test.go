package compose

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/spec"
)

// write makes files below a new directory: names and contents by turns.
func write(t testing.TB, files ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i := 0; i+1 < len(files); i += 2 {
		put(t, dir, files[i], files[i+1])
	}
	return dir
}

func put(t testing.TB, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func options(dir string, environ ...string) Options {
	o := Options{File: filepath.Join(dir, "flumen.yaml"), Environ: map[string]string{}}
	for i := 0; i+1 < len(environ); i += 2 {
		o.Environ[environ[i]] = environ[i+1]
	}
	return o
}

func mustLoad(t testing.TB, o Options) Loaded {
	t.Helper()
	l, err := Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const everything = `name: shop
env_file: vars.env
tiers:
  - name: a
    include: [{path: sub/a.yaml}]
  - name: b
    services:
      web:
        build: {context: ctx, dockerfile: Other}
        env_file: web.env
        label_file: web.labels
        configs: [conf]
        secrets: [key]
        volumes: ["./mounted:/m:ro", "./file:/f", "./gone:/g", "./sub:/writable"]
configs: {conf: {file: conf.txt}}
secrets: {key: {file: key.txt}}
`

func everyFile(t *testing.T) string {
	return write(t, "flumen.yaml", everything, "vars.env", "A=b", "web.env", "PASSWORD=hunter22", "web.labels", "l=m",
		"ctx/Other", "FROM scratch", "conf.txt", "conf", "key.txt", "key-content", "mounted/x", "x", "file", "f",
		"sub/a.yaml", "services: {a: {extends: {file: base.yaml, service: base}}}",
		"sub/base.yaml", "services: {base: {image: busybox}}")
}

func TestFilesAreAllWhoseChangeMatters(t *testing.T) {
	t.Parallel()
	dir := everyFile(t)
	got := mustLoad(t, options(dir)).Files
	var want []string
	for _, name := range []string{"conf.txt", "ctx", "ctx/Other", "file", "flumen.yaml", "gone", "key.txt", "mounted",
		"sub/.env", "sub/a.yaml", "sub/base.yaml", "vars.env", "web.env", "web.labels"} {
		want = append(want, filepath.Join(dir, name))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFilesAreKnownWhenLoadingFails(t *testing.T) {
	t.Parallel()
	dir := write(t, "flumen.yaml", "name: x\ninclude: [a.yaml]\n", "a.yaml", "services: [")
	l, err := Load(t.Context(), options(dir))
	if err == nil || !slices.Contains(l.Files, filepath.Join(dir, "a.yaml")) {
		t.Errorf("error %v, files %q", err, l.Files)
	}
}

func TestFailedLoadDesiresNothing(t *testing.T) {
	t.Parallel()
	l, err := Load(t.Context(), options(write(t, "flumen.yaml", "name: x\nservices: {a: {image: b, restart: never}}\n")))
	if err == nil || len(l.Desired.Tiers) != 0 {
		t.Errorf("error %v, desired %v", err, l.Desired)
	}
}

func TestMissingFileIsAFault(t *testing.T) {
	t.Parallel()
	_, err := Load(t.Context(), Options{File: "gone/flumen.yaml"})
	if got := faultsOf(err); len(got) != 1 || got[0].Error() != "gone/flumen.yaml: file gone/flumen.yaml does not exist" {
		t.Errorf("got %v", got)
	}
}

func TestEmptyFileIsAFault(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "# nothing\n", "- a\n", "text", "a: b\n---\nc: d\n"} {
		if _, err := Load(t.Context(), options(write(t, "flumen.yaml", content))); err == nil {
			t.Errorf("%q: no fault", content)
		}
	}
}

func TestFilesAreShownBesideTheGivenPath(t *testing.T) {
	dir := write(t, "deep/flumen.yaml", "name: x\ninclude: [sub/a.yaml]\n", "deep/sub/a.yaml", "services: {a: {imgae: b}}")
	t.Chdir(dir)
	_, err := Load(t.Context(), Options{File: "deep/flumen.yaml"})
	if got := faultsOf(err); len(got) == 0 || !strings.HasPrefix(got[0].Error(), "deep/sub/a.yaml:1:16: ") {
		t.Errorf("got %v", got)
	}
}

func TestProjectIsNamedAfterItsDirectory(t *testing.T) {
	t.Parallel()
	dir := write(t, "My Shop/flumen.yaml", "services: {a: {image: b}}")
	if got := mustLoad(t, options(filepath.Join(dir, "My Shop"))).Desired.Project; got != "myshop" {
		t.Errorf("got %q", got)
	}
}

func TestVariablesOfSensitiveNamesAreMarked(t *testing.T) {
	t.Parallel()
	dir := write(t, "flumen.yaml", "name: x\nservices: {a: {image: \"b:${TAG}\", command: [\"${DB_PASSWORD}\"]}}")
	l := mustLoad(t, options(dir, "TAG", "1", "DB_PASSWORD", "hunter22", "UNUSED", "x"))
	if got := fmt.Sprint(l.Variables); got != "map[DB_PASSWORD:*** TAG:1]" {
		t.Errorf("got %s", got)
	}
}

func TestSecretsAreEverySensitiveText(t *testing.T) {
	t.Parallel()
	dir := write(t, "flumen.yaml", `name: shop
services:
  web:
    image: busybox
    environment: {API_TOKEN: from-env, SHORT_KEY: abc, PASSWORD_FILE: /run/secrets/pw, DB_PASSWORD: "${PW}", SERVICE_TOKEN: web, IMAGE_KEY: busybox}
    secrets: [file, env]
secrets: {file: {file: pw}, env: {environment: FROM_ENV}}
`, "pw", "from-file\n")
	got := mustLoad(t, options(dir, "PW", "from-variable", "FROM_ENV", "secret-content")).Secrets
	if diff := cmp.Diff([]string{"secret-content", "from-variable", "from-file", "from-env"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDefaultsOfSensitiveVariablesAreSecrets(t *testing.T) {
	t.Parallel()
	dir := write(t, "flumen.yaml", `services: {a: {image: b, command: ["--key=${API_KEY:-changeme}"]}}`)
	if got := mustLoad(t, options(dir)).Secrets; !slices.Equal(got, []string{"changeme"}) {
		t.Errorf("got %q", got)
	}
}

func TestFaultsDoNotShowSecrets(t *testing.T) {
	t.Parallel()
	dir := write(t, "flumen.yaml", `name: shop
services:
  web:
    image: busybox
    ports: ["${DB_PASSWORD}:80"]
    restart: ${DB_PASSWORD}
`)
	_, err := Load(t.Context(), options(dir, "DB_PASSWORD", "canary-value"))
	if err == nil || strings.Contains(err.Error(), "canary-value") || !strings.Contains(err.Error(), spec.Masked) {
		t.Errorf("got %v", err)
	}
}

func TestRevisionFollowsWhatWasRead(t *testing.T) {
	t.Parallel()
	change := map[string]func(t *testing.T, dir string, o *Options){
		"the file":         func(t *testing.T, dir string, _ *Options) { put(t, dir, "flumen.yaml", everything+"# more\n") },
		"an included file": func(t *testing.T, dir string, _ *Options) { put(t, dir, "sub/a.yaml", "services: {a: {image: other}}") },
		"an env file":      func(t *testing.T, dir string, _ *Options) { put(t, dir, "web.env", "PASSWORD=hunter23") },
		"a mounted file":   func(t *testing.T, dir string, _ *Options) { put(t, dir, "file", "changed") },
		"a mounted tree":   func(t *testing.T, dir string, _ *Options) { put(t, dir, "mounted/y", "") },
		"a config":         func(t *testing.T, dir string, _ *Options) { put(t, dir, "conf.txt", "changed") },
		"a secret":         func(t *testing.T, dir string, _ *Options) { put(t, dir, "key.txt", "changed") },
		"a build context":  func(t *testing.T, dir string, _ *Options) { put(t, dir, "ctx/main.go", "") },
		"the project":      func(_ *testing.T, _ string, o *Options) { o.Project = "other" },
	}
	for name, change := range change {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := everyFile(t)
			o := options(dir)
			before := mustLoad(t, o).Desired.Revision.ID
			change(t, dir, &o)
			if after := mustLoad(t, o).Desired.Revision.ID; after == before {
				t.Error("the revision is still the same")
			}
		})
	}
}

func TestRevisionIsThatOfTheContent(t *testing.T) {
	t.Parallel()
	a, b := everyFile(t), everyFile(t)
	one, again := mustLoad(t, options(a)).Desired.Revision, mustLoad(t, options(a, "UNUSED", "x")).Desired.Revision
	if one != again || one.ID == "" {
		t.Errorf("%v, then %v", one, again)
	}
	if other := mustLoad(t, options(b)).Desired.Revision; other.ID == one.ID {
		t.Error("what is mounted lies elsewhere, and the revision is the same")
	}
}

func TestLoadIsDeterministic(t *testing.T) {
	t.Parallel()
	dir := everyFile(t)
	first := mustLoad(t, options(dir))
	for range 10 {
		again := mustLoad(t, options(dir))
		if diff := cmp.Diff(describeLoaded(first, nil), describeLoaded(again, nil)); diff != "" {
			t.Fatalf("-first +again:\n%s", diff)
		}
	}
}

func TestRootFileValidates(t *testing.T) {
	t.Parallel()
	o := Options{File: "../../flumen.yaml", Environ: map[string]string{"COMPOSE_PROFILES": "*"}}
	for _, name := range []string{"POSTGRES_PASSWORD", "MINIO_ROOT_PASSWORD", "HIVE_DB_PASSWORD", "SUPERSET_DB_PASSWORD",
		"SUPERSET_SECRET_KEY", "SUPERSET_ADMIN_PASSWORD", "JUPYTER_TOKEN", "HIVE_S3_SECRET", "SPARK_S3_SECRET", "JUPYTER_S3_SECRET", "TRINO_S3_SECRET"} {
		o.Environ[name] = "canary" + name
	}
	l := mustLoad(t, o)
	var tiers []string
	for _, tier := range l.Desired.Tiers {
		tiers = append(tiers, tier.Name)
	}
	if diff := cmp.Diff([]string{"foundation", "data-platform", "analytics", "sql"}, tiers); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, w := range l.Warnings {
		if strings.Contains(w.Message, "variable") {
			t.Errorf("a variable beside the secrets has no default: %v", w)
		}
	}
	for _, s := range spec.Resources[*spec.Service](l.Desired) {
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %d on %q", s.Ref(), p.Target, p.HostIP)
			}
		}
	}
}
