package docker

import (
	"slices"
	"testing"
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

func TestBuildKitFetchesItsFrontEndToo(t *testing.T) {
	t.Parallel()
	got := readDialect([]byte("# syntax=docker/dockerfile:1\nFROM debian\n"), nil).images
	if want := []string{"debian", "docker/dockerfile:1"}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}
