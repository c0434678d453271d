package compose

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/flumendata/flumen-agent/spec"
)

// buildDigest covers everything that makes the image: two builds of equal
// digests are the same build. File times are not in it, modes and links are.
func buildDigest(b *spec.Build, platform string) (digest, error) {
	t := tree{hash: sha256.New(), files: math.MaxInt, bytes: math.MaxInt64}
	fmt.Fprintf(t.hash, "%q %q %q %q\n", platform, b.Target, b.Network, b.DockerfileInline)
	for _, name := range slices.Sorted(maps.Keys(b.Args)) {
		fmt.Fprintf(t.hash, "arg %q=%q\n", name, b.Args[name].Reveal())
	}
	for _, name := range slices.Sorted(maps.Keys(b.Labels)) {
		fmt.Fprintf(t.hash, "label %q=%q\n", name, b.Labels[name])
	}
	if b.Dockerfile != "" {
		content, err := os.ReadFile(b.Dockerfile)
		if err != nil {
			return digest{}, err
		}
		fmt.Fprintf(t.hash, "dockerfile %q\n", content)
	}
	ignore, err := ignored(b)
	if err != nil {
		return digest{}, err
	}
	err = t.walk(b.Context, ignore)
	return digest{sum: t.sum(), modified: t.modified}, err
}

// ignored tells what .dockerignore keeps out of the context. A file beside the
// Dockerfile that is called after it goes before.
func ignored(b *spec.Build) (func(rel string, isDir bool) (bool, error), error) {
	patterns, err := ignorePatterns(b.Dockerfile+".dockerignore", filepath.Join(b.Context, ".dockerignore"))
	if err != nil || len(patterns) == 0 {
		return nil, err
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, err
	}
	parents := map[string]patternmatcher.MatchInfo{}
	return func(rel string, isDir bool) (bool, error) {
		out, info, err := matcher.MatchesUsingParentResults(rel, parents[filepath.Dir(rel)])
		if isDir {
			parents[rel] = info
		}
		if out && isDir && !matcher.Exclusions() {
			return true, fs.SkipDir
		}
		return out, err
	}, nil
}

func ignorePatterns(files ...string) ([]string, error) {
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue // most have none
		}
		defer f.Close()
		return ignorefile.ReadAll(f)
	}
	return nil, nil
}
