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

// losesLayer answers the first builds as a classic builder does whose layer is gone: a
// real one does so seldom, and only while something else is removed.
type losesLayer struct {
	client.APIClient
	messages []string
	builds   int
}

func (l *losesLayer) ImageBuild(ctx context.Context, source io.Reader, options build.ImageBuildOptions) (build.ImageBuildResponse, error) {
	l.builds++
	if l.builds > len(l.messages) {
		return l.APIClient.ImageBuild(ctx, source, options)
	}
	message := fmt.Sprintf(`{"errorDetail":{"message":%q}}`, fmt.Sprintf(l.messages[l.builds-1], 1))
	return build.ImageBuildResponse{Body: io.NopCloser(strings.NewReader(message))}, nil
}

func TestBuildStartsAgainWhenTheBuilderLosesALayer(t *testing.T) {
	eachBuilds(t, func(b builds) {
		engine := &losesLayer{APIClient: b.engine, messages: []string{
			`unable to find image "sha256:%064d"`,
			"failed to get digest sha256:%064d: open /var/lib/docker/image: no such file or directory",
		}}
		b.images.engine = engine
		if b.buildOf("content"); engine.builds != 3 {
			b.Errorf("%d builds", engine.builds)
		}
	})
}
