package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// pull fetches an image. The engine gives it its name only when all of it is there.
func (i *images) pull(ctx context.Context, want *spec.Image, p plan.Progress) error {
	named, err := reference.ParseNormalizedNamed(want.Name)
	if err != nil {
		return fmt.Errorf("%q is not the name of an image: %w", want.Name, err)
	}
	before, err := i.idOf(ctx, want.Name)
	if err != nil {
		return err
	}
	auth, fault := i.credentials.of(named)
	p.Doing("pulling", 0, 0)
	err = i.stream(ctx, want, auth, p)
	switch {
	case err == nil:
		return i.checkPlatform(ctx, want, before)
	case ctx.Err() != nil:
		return errors.Join(err, context.Cause(ctx))
	}
	return withCredentialFault(explainPull(named, auth != "", err), fault)
}

func (i *images) stream(ctx context.Context, want *spec.Image, auth string, p plan.Progress) error {
	body, err := i.engine.ImagePull(ctx, want.Name, image.PullOptions{RegistryAuth: auth, Platform: want.Platform})
	if err != nil {
		return err
	}
	defer body.Close()
	return eachMessage(body, newPullProgress(p).take)
}

// idOf gives the ID of what has a name now, or "".
func (i *images) idOf(ctx context.Context, name string) (string, error) {
	info, err := i.engine.ImageInspect(ctx, name)
	if err != nil && !cerrdefs.IsNotFound(err) {
		return "", fmt.Errorf("inspect %s: %w", name, err)
	}
	return info.ID, nil
}

// checkPlatform looks at what was pulled: an image that is made for one platform only is
// given by the engine whatever was asked for. The name goes back to what had it before.
func (i *images) checkPlatform(ctx context.Context, want *spec.Image, before string) error {
	if want.Platform == "" {
		return nil
	}
	info, err := i.engine.ImageInspect(ctx, want.Name)
	if err != nil {
		return fmt.Errorf("inspect what was pulled: %w", err)
	}
	if runsOn(info, want.Platform) {
		return nil
	}
	if before == "" {
		_, err = i.engine.ImageRemove(ctx, want.Name, image.RemoveOptions{})
	} else {
		err = i.engine.ImageTag(ctx, before, want.Name)
	}
	wrong := fmt.Errorf("it is made for %s/%s, not for %s: choose another tag, or leave platform out", info.Os, info.Architecture, want.Platform)
	return errors.Join(wrong, err)
}

// eachMessage reads what the engine says while it works, until its end or its error.
func eachMessage(body io.Reader, take func(jsonmessage.JSONMessage)) error {
	for decoder := json.NewDecoder(body); ; {
		var m jsonmessage.JSONMessage
		switch err := decoder.Decode(&m); {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("read the engine's answer: %w", err)
		case m.Error != nil:
			return m.Error
		}
		take(m)
	}
}

// pullProgress sums the layers of a pull.
type pullProgress struct {
	to         plan.Progress
	loaded     map[string]amount
	extracting map[string]amount
}

type amount struct{ done, total int64 }

func newPullProgress(to plan.Progress) *pullProgress {
	return &pullProgress{to, map[string]amount{}, map[string]amount{}}
}

// take tells of the download, and when that is done of the unpacking.
func (p *pullProgress) take(m jsonmessage.JSONMessage) {
	switch m.Status {
	case "Downloading":
		p.note(p.loaded, m)
	case "Download complete":
		finish(p.loaded, m.ID)
	case "Extracting":
		p.note(p.extracting, m)
	case "Pull complete":
		finish(p.loaded, m.ID)
		finish(p.extracting, m.ID)
	default:
		return
	}
	if sum := total(p.loaded); sum.done < sum.total || len(p.extracting) == 0 {
		p.to.Doing("pulling", sum.done, sum.total)
		return
	}
	sum := total(p.extracting)
	p.to.Doing("unpacking", sum.done, sum.total)
}

// note leaves out counts without a total: newer engines report seconds in them.
func (p *pullProgress) note(layers map[string]amount, m jsonmessage.JSONMessage) {
	if m.Progress != nil && m.Progress.Total > 0 {
		layers[m.ID] = amount{m.Progress.Current, m.Progress.Total}
	}
}

func finish(layers map[string]amount, id string) {
	if a, ok := layers[id]; ok {
		layers[id] = amount{a.total, a.total}
	}
}

func total(layers map[string]amount) (sum amount) {
	for _, a := range layers {
		sum.done += a.done
		sum.total += a.total
	}
	return sum
}
