package spec_test

import (
	"slices"
	"testing"

	"github.com/flumendata/flumen-agent/spec"
)

func TestTheImagesADockerfileIsBuiltFrom(t *testing.T) {
	t.Parallel()
	const dockerfile = `ARG V=1.26
ARG UNKNOWN
FROM --platform=linux/amd64 golang:${V} AS Build
FROM build AS test
FROM scratch
FROM app:$UNKNOWN
FROM ${UNKNOWN:-debian:trixie-slim}
COPY --chmod=600 \
  --from=lab.example/tools:$TOOLS /a /b
COPY --from=test /a /b
COPY --from=0 /a /b
`
	got := spec.ImagesOf(dockerfile, map[string]spec.Value{"TOOLS": spec.Plain("7")})
	if want := []string{"golang:1.26", "debian:trixie-slim", "lab.example/tools:7"}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}
