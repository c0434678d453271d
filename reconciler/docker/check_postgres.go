package docker

import (
	"archive/tar"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// versionFile is where PostgreSQL keeps the major version that made a data directory.
const versionFile = "PG_VERSION"

// postgresPrograms is where Debian's packages put the programs of each major version.
const postgresPrograms = "/usr/lib/postgresql"

// major finds a data directory that another PostgreSQL made than the one of the image:
// the new one would refuse it.
func (s survey) major(ctx context.Context, want *spec.Service, have drift.Found) []plan.Obstacle {
	info := s.image(ctx, want.Image)
	if info.Config == nil {
		return nil
	}
	env := environmentOf(info.Config.Env, want)
	if !isPostgres(want, env) {
		return nil
	}
	for _, dir := range dataDirectories(want, env) {
		made := s.madeBy(ctx, want, have, dir)
		runs := ""
		if made != "" {
			runs = cmp.Or(env["PG_MAJOR"], labelledMajor(want.Image, info), s.installedMajor(ctx, want.Image))
		}
		if runs != "" && made != runs {
			return []plan.Obstacle{{Rule: ruleMajor, Reason: fmt.Sprintf(
				"the data in %s was made by PostgreSQL %s, and %s is PostgreSQL %s, which does not open it: keep the image of %s, or dump the data with it (pg_dumpall) and restore the dump into an empty volume, or use pg_upgrade",
				dir, made, want.Image, runs, made)}}
		}
	}
	return nil
}

// environmentOf is the environment that the container will have.
func environmentOf(image []string, want *spec.Service) map[string]string {
	env := map[string]string{}
	for _, pair := range image {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	for name, value := range want.Environment {
		env[name] = value.Reveal()
	}
	return env
}

func isPostgres(want *spec.Service, env map[string]string) bool {
	return env["PG_MAJOR"] != "" || env["PGDATA"] != "" ||
		strings.Contains(strings.ToLower(want.Name+" "+want.Image), "postgres")
}

// dataDirectories are the paths where the data may be.
func dataDirectories(want *spec.Service, env map[string]string) []string {
	if dir := env["PGDATA"]; dir != "" {
		return []string{path.Clean(dir)}
	}
	var all []string
	for _, m := range want.Mounts {
		all = append(all, m.Target, path.Join(m.Target, "data"))
	}
	return all
}

// madeBy gives the major version that made the data in a directory of the container, or
// "" if there is none.
func (s survey) madeBy(ctx context.Context, want *spec.Service, have drift.Found, dir string) string {
	file := path.Join(dir, versionFile)
	m, ok := mountOf(want, file)
	switch inside := strings.TrimPrefix(file, m.Target); {
	case ok && m.Type == spec.MountBind:
		return s.versionOnHost(filepath.Join(m.Source, filepath.FromSlash(inside)))
	case ok && m.Source != "":
		return s.versionInVolume(ctx, want.Image, m.Source, inside)
	case have.ID != "":
		return s.versionInOld(ctx, have.ID, file)
	}
	return ""
}

// mountOf gives the innermost mount that a file lies in.
func mountOf(want *spec.Service, file string) (spec.Mount, bool) {
	var inner spec.Mount
	for _, m := range want.Mounts {
		if strings.HasPrefix(file, m.Target+"/") && len(m.Target) > len(inner.Target) {
			inner = m
		}
	}
	return inner, inner.Target != ""
}

func (s survey) versionOnHost(file string) string {
	if !s.here {
		return ""
	}
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	return readVersion(f)
}

// versionInOld reads from the container that is replaced: its anonymous volumes move to
// the new one. Data that is in no volume does not.
func (s survey) versionInOld(ctx context.Context, id, file string) string {
	old, err := s.engine.ContainerInspect(ctx, id)
	if err != nil {
		return ""
	}
	for _, m := range old.Mounts {
		if strings.HasPrefix(file, m.Destination+"/") {
			return s.versionIn(ctx, id, file)
		}
	}
	return ""
}

// versionInVolume reads through a container that has the volume: there is one already,
// or one is made for it and never started.
func (s survey) versionInVolume(ctx context.Context, image, volume, file string) string {
	if _, err := s.engine.VolumeInspect(ctx, volume); err != nil {
		return ""
	}
	users, err := s.engine.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("volume", volume))})
	if err != nil {
		return ""
	}
	for _, c := range users {
		for _, m := range c.Mounts {
			if m.Name == volume {
				return s.versionIn(ctx, c.ID, path.Join(m.Destination, file))
			}
		}
	}
	version := ""
	s.probe(ctx, image, volume, func(id string) { version = s.versionIn(ctx, id, path.Join(probeTarget, file)) })
	return version
}

func (s survey) versionIn(ctx context.Context, id, file string) string {
	content, _, err := s.engine.CopyFromContainer(ctx, id, file)
	if err != nil {
		return ""
	}
	defer content.Close()
	files := tar.NewReader(content)
	if _, err := files.Next(); err != nil {
		return ""
	}
	return readVersion(files)
}

// readVersion reads "17" or "9.6".
func readVersion(r io.Reader) string {
	text, err := io.ReadAll(io.LimitReader(r, 16))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

var (
	leadingNumber = regexp.MustCompile(`^\d+`)
	postgresName  = regexp.MustCompile(`^postgres(ql)?$`)
)

// labelledMajor reads the version label of an image that is called postgres.
func labelledMajor(name string, info image.InspectResponse) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || !postgresName.MatchString(path.Base(named.Name())) {
		return ""
	}
	return leadingNumber.FindString(info.Config.Labels["org.opencontainers.image.version"])
}

// installedMajor looks which programs are in the image.
func (s survey) installedMajor(ctx context.Context, image string) (major string) {
	s.probe(ctx, image, "", func(id string) {
		content, _, err := s.engine.CopyFromContainer(ctx, id, postgresPrograms)
		if err != nil {
			return
		}
		defer content.Close()
		major = firstDirectory(content)
	})
	return major
}

// firstDirectory gives the name of the first directory below the top of a tar.
func firstDirectory(content io.Reader) string {
	for files := tar.NewReader(content); ; {
		entry, err := files.Next()
		if err != nil {
			return ""
		}
		_, below, _ := strings.Cut(path.Clean(entry.Name), "/")
		if entry.FileInfo().IsDir() && leadingNumber.MatchString(below) {
			return below
		}
	}
}
