package docker

import (
	"context"
	"testing"
)

func TestBuildsBeginAlikeUpToTheirFirstStep(t *testing.T) {
	t.Parallel()
	const one = "# One.\nARG BASE=debian\nFROM ${BASE} AS fetch\n# Why.\nRUN apt-get update \\\n && apt-get install -y a\nRUN make one\n"
	for other, alike := range map[string]bool{
		"# Two.\nARG BASE=debian\nFROM ${BASE} AS fetch\nRUN apt-get update \\\n && apt-get install -y a\nCOPY x /\n": true,
		"ARG BASE=debian\nFROM ${BASE} AS fetch\nRUN apt-get update \\\n && apt-get install -y b\nRUN make one\n":     false,
		"FROM scratch\n": false,
	} {
		if got := beginning(other) == beginning(one); got != alike {
			t.Errorf("alike is %v:\n%s", got, other)
		}
	}
}

func TestABuildThatIsCancelledDoesNotWaitForItsTurn(t *testing.T) {
	t.Parallel()
	var all turns
	end, err := all.take(t.Context(), []byte("FROM a"))
	if err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all.take(cancelled, []byte("FROM a")); err == nil {
		t.Error("it had a turn while the other one was building")
	}
	if other, err := all.take(t.Context(), []byte("FROM b")); err != nil {
		t.Errorf("what begins in another way waits: %v", err)
	} else {
		other()
	}
	end()
	again, err := all.take(t.Context(), []byte("FROM a"))
	if err != nil {
		t.Fatal(err)
	}
	again()
}
