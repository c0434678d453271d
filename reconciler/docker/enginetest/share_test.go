package enginetest

import (
	"testing"

	"github.com/docker/docker/client"
	"github.com/google/go-cmp/cmp"
)

func TestEveryCaseGoesToOneEngine(t *testing.T) {
	t.Setenv(Variable, "unix:///a unix:///b")
	t.Setenv(everyVariable, "")
	share := func(host string, cases ...int) []int {
		engine, err := client.NewClientWithOpts(client.WithHost(host))
		if err != nil {
			t.Fatal(err)
		}
		return Share(t, engine, cases)
	}
	if diff := cmp.Diff([][]int{{1, 3, 5}, {2, 4}, {}}, [][]int{share("unix:///a", 1, 2, 3, 4, 5), share("unix:///b", 1, 2, 3, 4, 5), share("unix:///b", 1)}); diff != "" {
		t.Error(diff)
	}
	t.Setenv(everyVariable, "1")
	if diff := cmp.Diff([]int{1, 2}, share("unix:///b", 1, 2)); diff != "" {
		t.Error(diff)
	}
}
