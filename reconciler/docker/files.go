package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/spec"
)

// copyIn puts the configs and secrets of a service into its container, which must not
// have started.
func copyIn(ctx context.Context, engine client.APIClient, id string, files []spec.File) error {
	if len(files) == 0 {
		return nil
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	made := map[string]bool{"/": true, ".": true}
	for _, f := range files {
		if err := addParents(ctx, engine, id, w, path.Dir(f.Target), made); err != nil {
			return err
		}
		if err := addFile(w, f); err != nil {
			return fmt.Errorf("pack %s: %w", f.Target, err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("pack files: %w", err)
	}
	return engine.CopyToContainer(ctx, id, "/", &archive, container.CopyToContainerOptions{})
}

// addParents adds those directories above a file that the container does not have.
// They must be said: the engine would make them for root's eyes only. One that is there
// must not: it would get another owner and mode.
func addParents(ctx context.Context, engine client.APIClient, id string, w *tar.Writer, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	made[dir] = true
	_, err := engine.ContainerStatPath(ctx, id, dir)
	if err == nil {
		return nil
	}
	if !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("look for %s: %w", dir, err)
	}
	if err := addParents(ctx, engine, id, w, path.Dir(dir), made); err != nil {
		return err
	}
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755})
}

func addFile(w *tar.Writer, f spec.File) error {
	content := f.Content.Reveal()
	uid, err := owner(f.UID)
	if err != nil {
		return fmt.Errorf("uid: %w", err)
	}
	gid, err := owner(f.GID)
	if err != nil {
		return fmt.Errorf("gid: %w", err)
	}
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.Target, "/"), Size: int64(len(content)),
		Mode: int64(f.Mode), Uid: uid, Gid: gid, ModTime: f.Modified,
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = w.Write([]byte(content))
	return err
}

func owner(id string) (int, error) {
	if id == "" {
		return 0, nil
	}
	return strconv.Atoi(id)
}
