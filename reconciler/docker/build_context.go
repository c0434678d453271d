package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/go-archive"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/flumendata/flumen-agent/spec"
)

// What a context is sent with.
const (
	ignoreFile = ".dockerignore"
	// strayDockerfile is what a Dockerfile that is not in the context is called in it.
	// The name never changes, or COPY . would find the build cache stale each time.
	strayDockerfile = ".flumen.Dockerfile"
)

// buildContext is what a build starts from, read but not sent yet.
type buildContext struct {
	dir        string
	excluded   []string
	dockerfile string // its name in the context
	text       []byte // the Dockerfile's
	added      []byte // the same, if it is not in the directory
	dialect
}

func readContext(b *spec.Build) (buildContext, error) {
	text, err := dockerfileText(b)
	if err != nil {
		return buildContext{}, err
	}
	ignored, err := ignorePatterns(b)
	if err != nil {
		return buildContext{}, err
	}
	c := buildContext{dir: b.Context, text: text, dialect: readDialect(text, b.Args)}
	if name, inside := insideContext(b); inside {
		c.dockerfile = name
	} else {
		c.dockerfile, c.added = strayDockerfile, text
	}
	c.excluded = sendAnyway(ignored, ignoreFile, c.dockerfile)
	return c, nil
}

// open begins a stream of what .dockerignore lets through, all owned by root as the
// docker command sends it.
func (c buildContext) open() (io.ReadCloser, error) {
	stream, err := archive.TarWithOptions(c.dir, &archive.TarOptions{
		ExcludePatterns: c.excluded,
		ChownOpts:       &archive.ChownOpts{UID: 0, GID: 0},
	})
	if err != nil {
		return nil, fmt.Errorf("read the build context %s: %w", c.dir, err)
	}
	if c.added != nil {
		stream = addDockerfile(stream, c.added)
	}
	return stream, nil
}

func dockerfileText(b *spec.Build) ([]byte, error) {
	if b.DockerfileInline != "" {
		return []byte(b.DockerfileInline), nil
	}
	text, err := os.ReadFile(b.Dockerfile)
	if err != nil {
		return nil, fmt.Errorf("read the Dockerfile: %w", err)
	}
	return text, nil
}

// ignorePatterns reads .dockerignore. A file beside the Dockerfile that is called after
// it goes before.
func ignorePatterns(b *spec.Build) ([]string, error) {
	names := []string{filepath.Join(b.Context, ignoreFile)}
	if b.Dockerfile != "" {
		names = append([]string{b.Dockerfile + ignoreFile}, names...)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read what the build context leaves out: %w", err)
		}
		defer f.Close()
		patterns, err := ignorefile.ReadAll(f)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		return patterns, nil
	}
	return nil, nil
}

// insideContext gives the Dockerfile's path in the context, if it lies there.
func insideContext(b *spec.Build) (string, bool) {
	if b.DockerfileInline != "" {
		return "", false
	}
	rel, err := filepath.Rel(b.Context, b.Dockerfile)
	return filepath.ToSlash(rel), err == nil && filepath.IsLocal(rel)
}

// sendAnyway keeps files that the builder itself reads from being left out: it takes
// them away before the first COPY when .dockerignore says so.
func sendAnyway(patterns []string, names ...string) []string {
	for _, name := range names {
		if out, err := patternmatcher.Matches(name, patterns); err == nil && out {
			patterns = append(patterns, "!"+name)
		}
	}
	return patterns
}

// addDockerfile puts a Dockerfile from elsewhere into the context. It is named in
// .dockerignore, so that the classic builder hides it from COPY. BuildKit does not read
// .dockerignore in a context that is sent as a tar: there COPY . takes it along.
func addDockerfile(stream io.ReadCloser, text []byte) io.ReadCloser {
	file := func(content []byte) (*tar.Header, []byte, error) {
		return &tar.Header{Typeflag: tar.TypeReg, Mode: 0o644}, content, nil
	}
	return archive.ReplaceFileTarWrapper(stream, map[string]archive.TarModifierFunc{
		strayDockerfile: func(string, *tar.Header, io.Reader) (*tar.Header, []byte, error) { return file(text) },
		ignoreFile: func(_ string, _ *tar.Header, before io.Reader) (*tar.Header, []byte, error) {
			lines := []byte(strings.Join([]string{strayDockerfile, ignoreFile, ""}, "\n"))
			if before == nil {
				return file(lines)
			}
			own, err := io.ReadAll(before)
			if err != nil {
				return nil, nil, err
			}
			return file(bytes.Join([][]byte{own, lines}, []byte("\n")))
		},
	})
}
