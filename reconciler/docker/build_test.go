package docker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// base is an image with a shell, which the engines of tests have.
const base = "debian:trixie-slim"

// builds is the images of one project on one engine, with a build context.
type builds struct {
	*testing.T
	*images
	project string
	context string
}

func eachBuilds(t *testing.T, test func(b builds)) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		t.Parallel()
		test(newBuilds(t, engine))
	})
}

// newBuilds leaves no image behind, also none that lost its name.
func newBuilds(t *testing.T, engine *client.Client) builds {
	b := builds{t, anonymous(t, engine), "", t.TempDir()}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		all, err := engine.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelBuildProject+"="+b.project))})
		if err != nil {
			t.Error(err)
		}
		for _, one := range all {
			_, _ = engine.ImageRemove(ctx, one.ID, image.RemoveOptions{Force: true, PruneChildren: true})
		}
	})
	b.project = enginetest.Project(t, engine) // whose containers go first
	b.images.project.Store(&b.project)
	return b
}

func (b builds) write(name, content string) {
	b.Helper()
	path := filepath.Join(b.context, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		b.Fatal(err)
	}
}

// image is one that is built from the context, and is gone after the test.
func (b builds) image(digest string) *spec.Image {
	name := b.project + "/app:1"
	forget(b.T, b.engine, name)
	return &spec.Image{Name: name, Build: &spec.Build{Context: b.context, Dockerfile: filepath.Join(b.context, "Dockerfile"), Digest: digest}}
}

// drift is what plan would be told.
func (b builds) drift(want spec.Desired) drift.Drift {
	b.Helper()
	found, blind := b.observe(b.Context(), want)
	return drift.Compare(want, drift.Observed{Found: found, Blind: blind})
}

func (b builds) mustBuild(want *spec.Image) image.InspectResponse {
	b.Helper()
	if err := b.apply(b.Context(), plan.Create{Want: want}, silent{}); err != nil {
		b.Fatalf("%v\n%s", err, output(err))
	}
	info, err := b.engine.ImageInspect(b.Context(), want.Name)
	if err != nil {
		b.Fatal(err)
	}
	return info
}

// output is the log that comes with an error.
func output(err error) string {
	var failure *plan.Failure
	if errors.As(err, &failure) {
		return strings.Join(failure.Log, "\n")
	}
	return ""
}

// run gives the output of a container of an image.
func (b builds) run(name string) string {
	b.Helper()
	made, err := b.engine.ContainerCreate(b.Context(), &container.Config{Image: name, Labels: map[string]string{composeProject: b.project}}, nil, nil, nil, "")
	if err != nil {
		b.Fatal(err)
	}
	ended, failed := b.engine.ContainerWait(b.Context(), made.ID, container.WaitConditionNextExit)
	if err := b.engine.ContainerStart(b.Context(), made.ID, container.StartOptions{}); err != nil {
		b.Fatal(err)
	}
	select {
	case <-ended:
	case err := <-failed:
		b.Fatal(err)
	}
	logs, err := b.engine.ContainerLogs(b.Context(), made.ID, container.LogsOptions{ShowStdout: true})
	if err != nil {
		b.Fatal(err)
	}
	defer logs.Close()
	var out strings.Builder
	if _, err := stdcopy.StdCopy(&out, &out, logs); err != nil {
		b.Fatal(err)
	}
	return out.String()
}

func TestABuiltImageCarriesItsDigestAndTheUsersLabels(t *testing.T) {
	eachBuilds(t, func(b builds) {
		b.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
		want := b.image("sha256:one")
		want.Build.Labels = map[string]string{"owner": "data"}
		labels := b.mustBuild(want).Config.Labels
		for name, value := range map[string]string{"owner": "data", labelBuild: "sha256:one", labelBuildImage: want.Name, labelBuildProject: b.project} {
			if labels[name] != value {
				b.Errorf("label %s is %q, not %q", name, labels[name], value)
			}
		}
		if labels[labelProject] != "" {
			b.Error("a container that a person runs from it would look like the project's")
		}
	})
}

func TestAnImageIsBuiltAnewOnlyWhenItsDigestChanges(t *testing.T) {
	eachBuilds(t, func(b builds) {
		b.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
		first := b.image("sha256:one")
		b.mustBuild(first)
		if d := b.drift(wanting(b.project, first)); !d.InSync() {
			b.Errorf("drift after the build: %v", d)
		}
		d := b.drift(wanting(b.project, b.image("sha256:two")))
		if len(d) != 1 || d[0].Verdict != drift.Changed || d[0].Fields[0].Name != "build" {
			b.Errorf("drift of another digest: %v", d)
		}
	})
}

func TestAnImageThatSomebodyElseBuiltIsBuiltAnew(t *testing.T) {
	eachBuilds(t, func(b builds) {
		want := b.image("sha256:one")
		if err := b.engine.ImageTag(b.Context(), base, want.Name); err != nil {
			b.Fatal(err)
		}
		d := b.drift(wanting(b.project, want))
		if len(d) != 1 || d[0].Verdict != drift.Changed {
			b.Errorf("drift: %v", d)
		}
	})
}

func TestDockerignoreKeepsFilesOutOfTheBuild(t *testing.T) {
	eachBuilds(t, func(b builds) {
		b.write("Dockerfile", "FROM "+base+"\nCOPY . /context\nCMD [\"find\", \"/context\", \"-type\", \"f\"]\n")
		b.write(".dockerignore", "*.log\n!kept.log\nsecret\nDockerfile\n.dockerignore\n")
		for _, name := range []string{"a.txt", "b.log", "kept.log", "secret/key"} {
			b.write(name, name)
		}
		want := b.image("sha256:one")
		b.mustBuild(want)
		got := strings.Fields(b.run(want.Name))
		slices.Sort(got)
		if want := []string{"/context/a.txt", "/context/kept.log"}; !slices.Equal(got, want) {
			b.Errorf("in the image: %v, not %v", got, want)
		}
	})
}

func TestAnIgnoreFileCalledAfterTheDockerfileGoesBefore(t *testing.T) {
	eachBuilds(t, func(b builds) {
		b.write("Dockerfile", "FROM "+base+"\nCOPY *.txt /context/\nCMD [\"ls\", \"/context\"]\n")
		b.write(".dockerignore", "a.txt\n")
		b.write("Dockerfile.dockerignore", "b.txt\n")
		b.write("a.txt", "")
		b.write("b.txt", "")
		want := b.image("sha256:one")
		b.mustBuild(want)
		if got := b.run(want.Name); got != "a.txt\n" {
			b.Errorf("in the image: %q", got)
		}
	})
}

func TestADockerfileMayLieInTheSpecOrOutsideTheContext(t *testing.T) {
	eachBuilds(t, func(b builds) {
		const text = "FROM " + base + "\nCOPY . /context\nCMD [\"find\", \"/context\", \"-type\", \"f\"]\n"
		b.write("a.txt", "a")
		inline := b.image("sha256:one")
		inline.Build.Dockerfile, inline.Build.DockerfileInline = "", text
		b.mustBuild(inline)
		if got := b.run(inline.Name); got != "/context/a.txt\n" {
			b.Errorf("inline: %q", got)
		}
		outside := b.image("sha256:two")
		outside.Build.Dockerfile = filepath.Join(b.TempDir(), "Other")
		if err := os.WriteFile(outside.Build.Dockerfile, []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
		b.mustBuild(outside)
		if got := b.run(outside.Name); got != "/context/a.txt\n" {
			b.Errorf("outside: %q", got)
		}
	})
}

func TestABuildGetsItsArgsAndTarget(t *testing.T) {
	eachBuilds(t, func(b builds) {
		b.write("Dockerfile", "FROM "+base+" AS one\nARG WORD=default\nRUN echo $WORD > /word\nCMD [\"cat\", \"/word\"]\nFROM one\nCMD [\"echo\", \"the last stage\"]\n")
		want := b.image("sha256:one")
		want.Build.Target, want.Build.Args = "one", map[string]spec.Value{"WORD": spec.Plain("given")}
		b.mustBuild(want)
		if got := b.run(want.Name); got != "given\n" {
			b.Errorf("it says %q", got)
		}
	})
}

func TestABuildTellsItsSteps(t *testing.T) {
	eachBuilds(t, func(b builds) {
		for name, dockerfile := range map[string]string{
			"classic":  "FROM " + base + "\nRUN echo one\nRUN echo two\n",
			"buildkit": "FROM " + base + "\nRUN --mount=type=tmpfs,target=/x echo one\nRUN echo two\n",
		} {
			b.write("Dockerfile", dockerfile)
			want := b.image("sha256:" + name)
			want.Build.NoCache = true
			var p told
			if err := b.apply(b.Context(), plan.Create{Want: want}, &p); err != nil {
				b.Fatalf("%s: %v\n%s", name, err, output(err))
			}
			if !slices.ContainsFunc(p.doing, func(d doing) bool { return strings.Contains(d.what, "RUN echo two") && d.done > 0 && d.total >= 3 }) {
				b.Errorf("%s: %v", name, p.doing)
			}
		}
	})
}

func TestAFailingBuildNamesItsStepShowsTheEndOfItsOutputAndLeavesTheOldImage(t *testing.T) {
	eachBuilds(t, func(b builds) {
		b.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
		want := b.image("sha256:one")
		before := b.mustBuild(want)
		for name, dockerfile := range map[string]string{
			"classic":  "FROM " + base + "\nRUN seq 1000; echo the reason; exit 3\nRUN echo another step\n",
			"buildkit": "FROM " + base + "\nRUN --mount=type=tmpfs,target=/x seq 1000; echo the reason; exit 3\nRUN echo another step\n",
		} {
			b.write("Dockerfile", dockerfile)
			err := b.apply(b.Context(), plan.Replace{Want: want}, silent{})
			mustSay(t, err, "the build failed", "seq 1000; echo the reason; exit 3", "3")
			if !strings.Contains(output(err), "1000\nthe reason") || strings.Contains(output(err), "\n500\n") {
				b.Errorf("%s: the end of its output is not shown: %q", name, output(err))
			}
			after, err := b.engine.ImageInspect(b.Context(), want.Name)
			if err != nil || after.ID != before.ID {
				b.Errorf("%s: the image is %s, was %s (%v)", name, after.ID, before.ID, err)
			}
		}
	})
}

func TestAPrivateBaseImageIsPulledWithCredentials(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		r := newRegistry(t, engine, true)
		for name, instruction := range map[string]string{
			"classic":  "COPY Dockerfile /",
			"buildkit": "COPY --chmod=600 Dockerfile /",
		} {
			b := newBuilds(t, engine)
			b.write("Dockerfile", "FROM "+r.push(enginetest.Image(t, engine), name+":1")+"\n"+instruction+"\n")
			want := b.image("sha256:one")
			mustSay(t, b.apply(t.Context(), plan.Create{Want: want}, silent{}), "docker login")
			b.credentials.dir = r.dockerConfig(registryPassword)
			b.mustBuild(want)
		}
	})
}

func TestABuildGetsTheProxiesOfDockersConfiguration(t *testing.T) {
	eachBuilds(t, func(b builds) {
		b.credentials.dir = configOf(b.T, map[string]any{"proxies": map[string]any{"default": map[string]string{"noProxy": "lab.example"}}})
		b.write("Dockerfile", "FROM "+base+"\nRUN echo $NO_PROXY > /proxy\nCMD [\"cat\", \"/proxy\"]\n")
		want := b.image("sha256:one")
		b.mustBuild(want)
		if got := b.run(want.Name); got != "lab.example\n" {
			b.Errorf("it says %q", got)
		}
	})
}

func TestBuildsThatBeginAlikeShareTheirLayers(t *testing.T) {
	eachBuilds(t, func(b builds) {
		layers := make([][]string, 2)
		var both errgroup.Group
		for n := range layers {
			b.write(strconv.Itoa(n), "# The first step is another one each time it is done.\nFROM "+base+" AS one\nRUN \\\n  head -c 16 /dev/urandom > /random\nRUN echo "+strconv.Itoa(n)+" > /own\n")
			want := b.image("sha256:one")
			want.Name += strconv.Itoa(n)
			forget(b.T, b.engine, want.Name)
			want.Build.Dockerfile = filepath.Join(b.context, strconv.Itoa(n))
			want.Build.Context = b.TempDir()
			both.Go(func() error {
				if err := b.apply(b.Context(), plan.Create{Want: want}, silent{}); err != nil {
					return err
				}
				info, err := b.engine.ImageInspect(b.Context(), want.Name)
				layers[n] = info.RootFS.Layers
				return err
			})
		}
		if err := both.Wait(); err != nil {
			b.Fatal(err)
		}
		last := len(layers[0]) - 1
		if len(layers[1]) != len(layers[0]) || !slices.Equal(layers[0][:last], layers[1][:last]) || layers[0][last] == layers[1][last] {
			b.Errorf("the layers are\n%s\n%s", strings.Join(layers[0], "\n"), strings.Join(layers[1], "\n"))
		}
	})
}
