package docker

import (
	"slices"
	"testing"

	"github.com/flumendata/flumen-agent/spec"
)

func TestOnlyWhatTheClassicBuilderCannotReadGoesToBuildKit(t *testing.T) {
	t.Parallel()
	for dockerfile, kit := range map[string]bool{
		"FROM debian\nRUN make\n":                                         false,
		"FROM debian\nRUN cat <<< word\n":                                 false,
		"FROM debian\nRUN echo --mount\n":                                 false,
		"FROM debian\nCOPY --from=one --chown=1:1 a b\n":                  false,
		"FROM debian\n# a comment on syntax\nARG VERSION\n":               false,
		"# syntax=docker/dockerfile:1\nFROM debian\n":                     true,
		"FROM debian\nRUN --mount=type=cache,target=/c make\n":            true,
		"FROM debian\nRUN \\\n  --mount=type=cache,target=/c \\\n make\n": true,
		"FROM debian\nrun <<EOF\nmake\nEOF\n":                             true,
		"FROM debian\nCOPY <<-'EOF' /a\nx\nEOF\n":                         true,
		"FROM debian\nCOPY --from=one --chmod=600 a b\n":                  true,
		"FROM debian\nARG TARGETARCH\n":                                   true,
	} {
		if got := readDialect([]byte(dockerfile), nil).needsBuildKit; got != kit {
			t.Errorf("BuildKit is %v for:\n%s", got, dockerfile)
		}
	}
}

func TestTheImagesADockerfileIsBuiltFrom(t *testing.T) {
	t.Parallel()
	const dockerfile = `# syntax=docker/dockerfile:1
ARG V=1.26
ARG UNKNOWN
FROM --platform=linux/amd64 golang:${V} AS Build
FROM build AS test
FROM scratch
FROM app:$UNKNOWN
COPY --chmod=600 --from=lab.example/tools:$TOOLS /a /b
COPY --from=test /a /b
COPY --from=0 /a /b
`
	got := readDialect([]byte(dockerfile), map[string]spec.Value{"TOOLS": spec.Plain("7")}).images
	if want := []string{"golang:1.26", "lab.example/tools:7", "docker/dockerfile:1"}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}
