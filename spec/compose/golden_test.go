package compose

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-multierror"
	"golang.org/x/tools/txtar"

	"github.com/flumendata/flumen-agent/spec"
)

var update = flag.Bool("update", false, "rewrite the wanted texts of testdata")

// TestGolden loads every case of testdata and holds what comes of it against
// what is written at its end. A case may say in its comment, one a line:
// "env NAME=value", "profile NAME", "project NAME", "strict".
func TestGolden(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			golden(t, name)
		})
	}
}

func golden(t *testing.T, name string) {
	a, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dir, want := unpack(t, a)
	loaded, err := Load(t.Context(), caseOptions(a.Comment, dir))
	got := strings.ReplaceAll(describeLoaded(loaded, err), dir+string(filepath.Separator), "")
	got = strings.ReplaceAll(got, dir, ".")
	if *update {
		rewrite(t, name, a, got)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got (go test ./spec/compose -update rewrites):\n%s", diff)
	}
}

// unpack writes the files of a case; "want" is no file.
func unpack(t *testing.T, a *txtar.Archive) (dir, want string) {
	dir = t.TempDir()
	for _, f := range a.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := filepath.WalkDir(dir, plainModes); err != nil {
		t.Fatal(err)
	}
	return dir, want
}

// plainModes undoes the umask: modes are part of digests.
func plainModes(path string, entry fs.DirEntry, err error) error {
	if err != nil || !entry.IsDir() {
		return errors.Join(err, os.Chmod(path, 0o644))
	}
	return os.Chmod(path, 0o755)
}

func caseOptions(comment []byte, dir string) Options {
	o := Options{File: filepath.Join(dir, "flumen.yaml"), Environ: map[string]string{}}
	for line := range strings.Lines(string(comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "env":
			key, value, _ := strings.Cut(rest, "=")
			o.Environ[key] = value
		case "profile":
			o.Profiles = append(o.Profiles, rest)
		case "project":
			o.Project = rest
		case "strict":
			o.Strict = true
		}
	}
	return o
}

func rewrite(t *testing.T, name string, a *txtar.Archive, got string) {
	files := a.Files[:0]
	for _, f := range a.Files {
		if f.Name != "want" {
			files = append(files, f)
		}
	}
	a.Files = append(files, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

func describeLoaded(l Loaded, err error) string {
	var b bytes.Buffer
	for _, f := range faultsOf(err) {
		fmt.Fprintln(&b, "fault:", f)
	}
	for _, f := range l.Warnings {
		fmt.Fprintln(&b, "warning:", f)
	}
	if err == nil {
		writeDesired(&b, l.Desired)
	}
	return b.String()
}

func faultsOf(err error) []error {
	var all *multierror.Error
	if errors.As(err, &all) {
		return all.Errors
	}
	return nil
}

func writeChecks(b *bytes.Buffer, d spec.Desired) {
	if c := d.Checks; c.Schedule != "" || c.NoHeal {
		fmt.Fprintf(b, "checks %q, heal %v\n", c.Schedule, !c.NoHeal)
		fmt.Fprintf(b, "reports in %s as %v for %s\n", filepath.Base(c.Reports.Dir), c.Reports.Formats, c.Reports.Keep)
	}
	for _, i := range d.Checks.Ignore {
		fmt.Fprintf(b, "ignored: %v of %s\n", i.Fields, i.Ref)
	}
	for _, w := range d.Windows {
		fmt.Fprintf(b, "window: deny %v, %q in %q for %s %s\n", w.Deny, w.Begins, w.Timezone, w.Lasts, w.Reason)
	}
	for _, c := range d.Consents {
		fmt.Fprintf(b, "may be removed: %s, before %s\n", c.Remove, c.Until.Format(time.DateOnly))
	}
}

func writeRetention(b *bytes.Buffer, r spec.Retention) {
	if len(r.Discover) == 0 {
		return
	}
	fmt.Fprintf(b, "retention at %q in %q for %s, metastore %q\n", r.Schedule, r.Timezone, spec.Span(r.Window), r.Metastore)
	if s := r.Spark; s.Service != nil {
		fmt.Fprintf(b, "  spark by %s of %s, for %s: %v\n", s.Service.Container, s.Service.Image, s.Timeout, s.Service.Fields().Names())
	}
	for _, w := range r.Quiet {
		fmt.Fprintf(b, "  quiet: deny %v, %q in %q for %s\n", w.Deny, w.Begins, w.Timezone, w.Lasts)
	}
	fmt.Fprintf(b, "  %s\n", r)
	for _, rule := range r.Rules {
		fmt.Fprintf(b, "  %s\n", rule)
	}
}

func writeDesired(b *bytes.Buffer, d spec.Desired) {
	fmt.Fprintln(b, "project", d.Project)
	for _, ref := range d.Inactive {
		fmt.Fprintln(b, "left alone:", ref)
	}
	writeChecks(b, d)
	for _, s := range d.Stores {
		if s.Path != "" {
			fmt.Fprintf(b, "store %s: folder %s\n", s.Name, s.Path)
			continue
		}
		fmt.Fprintf(b, "store %s: service %q port %d, endpoint %q, secure %t, region %q, keys %q %q, ca %t, timeout %s, retries %d\n",
			s.Name, s.Service, s.Port, s.Endpoint, s.Secure, s.Region, s.AccessKey, s.SecretKey, s.CA != "", s.Timeout, s.Retries)
	}
	writeRetention(b, d.Retention)
	for _, t := range d.Tiers {
		fmt.Fprintf(b, "\ntier %s (%s)\n", t.Name, t.Timeout)
		for _, r := range t.Resources {
			fmt.Fprintf(b, "\n%s\n", r.Ref())
			for _, dep := range r.After() {
				if dep.Ref.Kind == spec.KindService {
					fmt.Fprintf(b, "  after %s %s%s\n", dep.Ref, dep.Until, flags(dep))
				}
			}
			writeDetails(b, r)
			fields := r.Fields()
			for _, name := range fields.Names() {
				fmt.Fprintf(b, "  %s = %s\n", name, fields[name])
			}
		}
	}
}

// writeDetails shows what a resource has beside its fields.
func writeDetails(b *bytes.Buffer, r spec.Resource) {
	switch r := r.(type) {
	case *spec.Service:
		if r.Job {
			fmt.Fprintln(b, "  job")
		}
		if r.RestartUnhealthy || r.IgnoreFileChanges || r.NoRollback {
			fmt.Fprintf(b, "  restart-unhealthy %t, ignore-file-changes %t, no-rollback %t\n", r.RestartUnhealthy, r.IgnoreFileChanges, r.NoRollback)
		}
		for _, f := range r.Files {
			fmt.Fprintf(b, "  copies %s mode %o owner %q:%q content %q\n", f.Target, f.Mode, f.UID, f.GID, f.Content)
		}
	case *spec.Image:
		fmt.Fprintf(b, "  pull %s\n", r.Pull)
	case *spec.Network:
		fmt.Fprintf(b, "  called %s, external %t\n", r.Name, r.External)
	case *spec.Volume:
		fmt.Fprintf(b, "  called %s, external %t\n", r.Name, r.External)
	case *spec.Bucket:
		fmt.Fprintf(b, "  called %s in store %s\n", r.Name, r.Store.Name)
		if r.Exact {
			fmt.Fprintln(b, "  exact")
		}
		if !r.OpenUntil.IsZero() {
			fmt.Fprintf(b, "  may be opened before %s\n", r.OpenUntil.Format(time.DateOnly))
		}
	case *spec.Access:
		fmt.Fprintf(b, "  user %s of store %s\n", r.User, r.Store.Name)
	}
}

func flags(d spec.Dep) string {
	s := ""
	if d.Shares {
		s += " shares"
	}
	if d.Restarts {
		s += " restarts"
	}
	return s
}
