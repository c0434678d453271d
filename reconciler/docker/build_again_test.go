package docker

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/client"
)

// losesLayer answers the first build as a classic builder does whose layer is gone: a
// real one does so seldom, and only while something else is removed.
type losesLayer struct {
	client.APIClient
	builds int
}

func (l *losesLayer) ImageBuild(ctx context.Context, source io.Reader, options build.ImageBuildOptions) (build.ImageBuildResponse, error) {
	l.builds++
	if l.builds > 1 {
		return l.APIClient.ImageBuild(ctx, source, options)
	}
	message := fmt.Sprintf(`{"errorDetail":{"message":"unable to find image \"sha256:%064d\""}}`, 1)
	return build.ImageBuildResponse{Body: io.NopCloser(strings.NewReader(message))}, nil
}

func TestBuildStartsAgainWhenTheBuilderLosesALayer(t *testing.T) {
	eachBuilds(t, func(b builds) {
		engine := &losesLayer{APIClient: b.engine}
		b.images.engine = engine
		if b.buildOf("content"); engine.builds != 2 {
			b.Errorf("%d builds", engine.builds)
		}
	})
}
