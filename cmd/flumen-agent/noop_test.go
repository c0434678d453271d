package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/reconciler/docker/engineproxy"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

func TestRunThatFindsNothingToDoMakesNoMutatingCall(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		enginetest.Images(t, engine)
		proxy, err := engineproxy.Start(shortDir(t), engine.DaemonHost())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { proxy.Close() })
		spec := filepath.Join(t.TempDir(), "flumen.yaml")
		content := "name: " + enginetest.Project(t, engine) + "\nservices:\n" +
			"  db: {image: '" + enginetest.HealthySleeper + "', volumes: ['data:/data'], stop_grace_period: 1s}\n" +
			"  web: {image: '" + enginetest.Sleeper + "', depends_on: [db], stop_grace_period: 1s}\n" +
			"volumes: {data: {}}\n"
		if err := os.WriteFile(spec, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		apply := func() {
			t.Helper()
			var out bytes.Buffer
			if code := run([]string{"apply", "--yes", "-f", spec}, nil, &out, &out, []string{"DOCKER_HOST=" + proxy.Host, "FLUMEN_STATE=" + filepath.Join(filepath.Dir(spec), "state")}); code != 0 {
				t.Fatalf("exit code %d\n%s", code, &out)
			}
		}
		apply()
		proxy.Reset()
		apply()
		if calls := proxy.Mutations(); len(calls) > 0 {
			t.Errorf("the second run changed something: %v", calls)
		}
	})
}

// shortDir is a temporary folder whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "flumen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
