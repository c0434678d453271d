package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// checkout is a folder as a user has it who runs make lakehouse.
type checkout struct {
	*testing.T
	dir, project, host string
	env                []string // more variables of the environment
}

func newCheckout(t *testing.T) checkout {
	engine := enginetest.Connect(t, enginetest.Hosts(t)[0])
	c := checkout{t, t.TempDir(), enginetest.Project(t, engine), engine.DaemonHost(), nil}
	if err := os.Mkdir(filepath.Join(c.dir, ".ci"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".env.example", ".ci/lakehouse"} {
		content, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// environ is this process's, with what the script is told.
func (c checkout) environ() []string {
	return slices.Concat(os.Environ(), []string{"DOCKER_HOST=" + c.host, "FLUMEN_PROJECT=" + c.project}, c.env)
}

// prepare makes .env and the data folders.
func (c checkout) prepare() (int, string) {
	c.Helper()
	return run(c.T, c.environ(), filepath.Join(c.dir, ".ci/lakehouse"), "--prepare")
}

func (c checkout) mustPrepare() string {
	c.Helper()
	if code, out := c.prepare(); code != 0 {
		c.Fatalf("exit code %d\n%s", code, out)
	}
	content, err := os.ReadFile(filepath.Join(c.dir, ".env"))
	if err != nil {
		c.Fatal(err)
	}
	return string(content)
}

func TestLakehouseSecretsAreMadeOnce(t *testing.T) {
	c := newCheckout(t)
	made := c.mustPrepare()
	seen := map[string]bool{}
	for _, name := range lakehouseSecrets(t) {
		secret := regexp.MustCompile("(?m)^" + name + "=([A-Za-z0-9]{24})$").FindStringSubmatch(made)
		if secret == nil || seen[secret[1]] {
			t.Errorf("%s is not a secret of its own in:\n%s", name, made)
			continue
		}
		seen[secret[1]] = true
	}
	info, err := os.Stat(filepath.Join(c.dir, ".env"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("its mode is %v (%v)", info.Mode(), err)
	}
	if again := c.mustPrepare(); again != made {
		t.Errorf("it was made again:\n%s", again)
	}
}

func TestLakehouseFoldersBelongToTheServices(t *testing.T) {
	c := newCheckout(t)
	env := c.mustPrepare()
	for _, name := range []string{"minio", "notebooks"} {
		info, err := os.Stat(filepath.Join(c.dir, "data", name))
		if err != nil {
			t.Fatal(err)
		}
		owner := info.Sys().(*syscall.Stat_t)
		if owner.Uid == 0 || !strings.Contains(env, "DATA_UID="+strconv.Itoa(int(owner.Uid))+"\n") || !strings.Contains(env, "DATA_GID="+strconv.Itoa(int(owner.Gid))+"\n") {
			t.Errorf("%s belongs to %d:%d, and the file says:\n%s", name, owner.Uid, owner.Gid, env)
		}
	}
}

func TestLakehouseSecretsAreNotMadeForOldData(t *testing.T) {
	for what, keep := range map[string]func(c checkout){
		"data folder": func(c checkout) { c.mustPrepare() },
		"volume": func(c checkout) {
			environ := append(os.Environ(), "DOCKER_HOST="+c.host)
			code, out := run(c.T, environ, "docker", "volume", "create", "--label", "com.docker.compose.project="+c.project, c.project+"_postgres_data")
			if code != 0 {
				c.Fatal(out)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCheckout(t)
			keep(c)
			if err := os.Remove(filepath.Join(c.dir, ".env")); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if code, out := c.prepare(); code != 1 || !strings.Contains(out, "Put .env back") {
				t.Errorf("exit code %d\n%s", code, out)
			}
			if _, err := os.Stat(filepath.Join(c.dir, ".env")); err == nil {
				t.Error("there are new secrets now")
			}
		})
	}
}

// No drive of Windows is at hand, so stat says what it says of one.
func TestLakehouseDataIsNotPutOnADriveOfWindows(t *testing.T) {
	c := newCheckout(t)
	bin := t.TempDir()
	const stat = "#!/bin/sh\n[ \"$1\" != -f ] || { echo v9fs; exit; }\nPATH=${PATH#*:} exec stat \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "stat"), []byte(stat), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	if code, out := c.prepare(); code != 1 || !strings.Contains(out, "lies on a drive of Windows (v9fs)") || !strings.Contains(out, "Set DATA_DIR") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
