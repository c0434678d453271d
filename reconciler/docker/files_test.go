package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func config(target, text string) spec.File {
	return spec.File{Target: target, Content: spec.Plain(text), Mode: 0o444, Digest: digestOf(text)}
}

func secret(target, text string) spec.File {
	return spec.File{Target: target, Content: spec.Sensitive(text), Mode: 0o400, UID: "1000", GID: "2000", Digest: digestOf(text)}
}

func files(all ...spec.File) func(*spec.Service) {
	return func(s *spec.Service) { s.Files = all }
}

func TestFilesAreDeliveredWithModeAndOwner(t *testing.T) {
	eachWorld(t, func(w world) {
		one := w.service("one", files(config("/etc/app/app.conf", "x=1"), secret("/run/secrets/key", "hush")), func(s *spec.Service) {
			s.Command = []string{"cat", "/etc/app/app.conf", "/run/secrets/key", "/etc/app"}
		})
		w.mustConverge(w.desired(one))
		lines, err := w.target.Logs(w.Context(), one.Container, 10)
		if err != nil {
			w.Fatal(err)
		}
		want := []string{"/etc/app/app.conf -r--r--r-- 0:0 x=1", "/run/secrets/key -r-------- 1000:2000 hush"}
		if diff := cmp.Diff(want, lines[:2]); diff != "" {
			w.Error(diff)
		}
	})
}

func TestChangedFileReplacesWhatMountsItAndNothingElse(t *testing.T) {
	eachWorld(t, func(w world) {
		before := w.desired(w.service("one", files(config("/c", "1"), secret("/s", "a"))), w.service("two", files(config("/c", "1"))))
		w.mustConverge(before)
		after := w.desired(w.service("one", files(config("/c", "1"), secret("/s", "b"))), w.service("two", files(config("/c", "1"))))
		d := w.drift(after)
		if len(d) != 1 || len(d[0].Fields) != 1 || d[0].Fields[0].Name != "file./s" || !d[0].Fields[0].Have.IsSensitive() {
			w.Errorf("drift: %+v", d)
		}
		w.mustConverge(after)
	})
}

func TestRemovedFileIsDrift(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one", files(config("/c", "1"), secret("/s", "a")))))
		d, _ := w.drift(w.desired(w.service("one"))).Of(spec.InstanceRef("one", 1))
		if diff := cmp.Diff([]string{"file./c", "file./s"}, fieldNames(d.Fields)); diff != "" {
			w.Error(diff)
		}
	})
}

func TestNoLabelHoldsASecretOrItsPlainDigest(t *testing.T) {
	eachWorld(t, func(w world) {
		one := w.service("one", files(secret("/s", "canary-1")), func(s *spec.Service) {
			s.Environment = map[string]spec.Value{"DB_PASSWORD": spec.Sensitive("canary-2")}
		})
		w.mustConverge(w.desired(one))
		for name, value := range w.inspect(one.Container).Config.Labels {
			for _, hidden := range []string{"canary-1", "canary-2", digestOf("canary-1")} {
				if strings.Contains(value, hidden) {
					w.Errorf("label %s: %s", name, value)
				}
			}
		}
	})
}

func TestNoLabelHoldsThePlainDigestOfABoundSecret(t *testing.T) {
	eachWorld(t, func(w world) {
		path := filepath.Join(w.TempDir(), "token")
		if err := os.WriteFile(path, []byte("canary"), 0o600); err != nil {
			w.Fatal(err)
		}
		bound := func(digest string) func(*spec.Service) {
			return func(s *spec.Service) {
				s.Mounts = []spec.Mount{{Type: spec.MountBind, Target: "/run/secrets/token", Source: path, ReadOnly: true, Digest: digest, Secret: true}}
			}
		}
		w.mustConverge(w.desired(w.service("one", bound("sha256:canary"))))
		w.mustBeInSync(w.desired(w.service("one", bound("sha256:canary"))))
		if labels := w.inspect(w.project + "-one-1").Config.Labels; strings.Contains(labels[labelFiles], "canary") {
			w.Error(labels[labelFiles])
		}
		changed := w.desired(w.service("one", bound("sha256:another")))
		if d, _ := drift.Compare(changed, w.observe(changed)).Of(spec.InstanceRef("one", 1)); d.Verdict != drift.Changed || !d.Fields[0].Have.IsSensitive() {
			w.Errorf("%+v", d)
		}
	})
}

func TestIgnoredFileChangesAreNoDrift(t *testing.T) {
	eachWorld(t, func(w world) {
		ignore := func(s *spec.Service) { s.IgnoreFileChanges = true }
		w.mustConverge(w.desired(w.service("one", ignore, files(config("/c", "1")))))
		w.mustBeInSync(w.desired(w.service("one", ignore, files(config("/c", "2")))))
	})
}

func TestBoundFileContentIsCompared(t *testing.T) {
	eachWorld(t, func(w world) {
		path := filepath.Join(w.TempDir(), "app.conf")
		if err := os.WriteFile(path, []byte("1"), 0o600); err != nil {
			w.Fatal(err)
		}
		bind := func(digest string) func(*spec.Service) {
			return func(s *spec.Service) {
				s.Mounts = []spec.Mount{{Type: spec.MountBind, Source: path, Target: "/app.conf", ReadOnly: true, Digest: digest}}
			}
		}
		w.mustConverge(w.desired(w.service("one", bind(digestOf("1")))))
		d, _ := w.drift(w.desired(w.service("one", bind(digestOf("2"))))).Of(spec.InstanceRef("one", 1))
		if diff := cmp.Diff([]string{"file./app.conf"}, fieldNames(d.Fields)); diff != "" {
			w.Error(diff)
		}
	})
}

func TestFilesOfAnAdoptedContainerCountAsAtAdoption(t *testing.T) {
	eachWorld(t, func(w world) {
		w.composeNetwork()
		path := filepath.Join(w.TempDir(), "app.conf")
		if err := os.WriteFile(path, []byte("1"), 0o600); err != nil {
			w.Fatal(err)
		}
		bound := w.service("one", func(s *spec.Service) {
			s.Mounts = []spec.Mount{{Type: spec.MountBind, Source: path, Target: "/app.conf", ReadOnly: true}}
		})
		w.byCompose(bound, nil)
		file := config("/app.conf", "1")
		file.Source, file.Modified = path, time.Now().Add(-time.Hour)
		w.mustOnlySettle(w.desired(w.service("one", files(file))))

		file.Modified = time.Now().Add(time.Hour)
		d, _ := w.drift(w.desired(w.service("one", files(file)))).Of(bound.Ref())
		if d.Verdict != drift.Unseen {
			w.Errorf("a file that is newer than the container is %q: %v", d.Verdict, d.Fields)
		}
	})
}

func TestContainerWithFilesNeverHasItsNameWithoutThem(t *testing.T) {
	eachWorld(t, func(w world) {
		one := w.service("one", files(config("/c", "1")))
		want := w.desired(one)
		w.observe(want)
		network := want.Tiers[0].Resources[0]
		if err := w.target.createNetwork(w.Context(), network.(*spec.Network)); err != nil {
			w.Fatal(err)
		}
		drawing, err := w.target.plot(w.Context(), one, nil)
		if err != nil {
			w.Fatal(err)
		}
		// As a run does that is killed before it copies.
		if _, _, err := w.target.createContainer(w.Context(), one, one.Container+nextSuffix, drawing); err != nil {
			w.Fatal(err)
		}
		w.mustConverge(want)
		if diff := cmp.Diff([]string{one.Container}, w.names()); diff != "" {
			w.Error(diff)
		}
	})
}
