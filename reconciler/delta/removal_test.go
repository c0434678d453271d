package delta_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// benchRemoval has each program remove what may go, from a table of its own in a bucket, and holds what is gone
// against what the generator knows. The agent has planned before, as it has to; its run plans again, as each program
// does. Once with what it removes gone for good, as that of delta-rs is, and once set aside in the bucket.
func benchRemoval(b *testing.B, store *minio.Client, endpoint string, l deltatest.Large) {
	at := func(n int) race {
		folder := fmt.Sprintf("removal-%d.db", n)
		upload(b, store, folder+"/large/", l)
		r := race{truth: truthOf(l), table: "s3://lake/" + folder + "/large", endpoint: endpoint, user: enginetest.MinIOUser, secret: enginetest.MinIOPassword}
		r.spec = fmt.Sprintf("stores: {large: {endpoint: %q, delete_access_key: %[2]s, delete_secret_key: %[3]s, region: us-east-1}}\nretention: {discover: [{store: large, prefix: lake/%[4]s}]",
			endpoint, r.user, r.secret, folder)
		return r
	}
	var all []*contender
	for _, undo := range []string{"none", "quarantine"} {
		r, c := at(len(all)), &contender{name: "the agent, undo: " + undo}
		dir := b.TempDir()
		config := filepath.Join(dir, "flumen.yaml")
		configure(b, config, r, "mode: enforce, max_delete_ratio: 1, undo: "+undo)
		agent := []string{os.Getenv("FLUMEN_BENCH_AGENT"), "retention", "plan", "-f", config, "--state", filepath.Join(dir, "state")}
		new(took).run(b, r, agent...)
		agent[2] = "run"
		c.run(b, r, agent...)
		c.score = r.judge(gone(b, store, r, l), false)
		all = append(all, c)
	}
	for _, python := range filepath.SplitList(os.Getenv("FLUMEN_BENCH_DELTALAKE")) {
		r, c := at(len(all)), &contender{name: deltalake(b, python)}
		c.run(b, r, python, "testdata/vacuum.py", "remove", r.table, filepath.Join(b.TempDir(), "names"), r.endpoint)
		c.score = r.judge(gone(b, store, r, l), false)
		all = append(all, c)
	}
	for _, c := range all[:2] {
		if !c.perfect() {
			b.Errorf("%s: %+v", c.name, c.score)
		}
	}
	b.Logf("removed from a table of its own each, once, a plan included; load %s\n\n%s", loadNow(), table(all, nil))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(all[0].wall).Seconds(), "agent-s")
}

// gone are the files of a table that its bucket does not have any more. Those of its log do not count: whoever commits
// may clean that up.
func gone(b *testing.B, store *minio.Client, r race, l deltatest.Large) (names []string) {
	b.Helper()
	folder := strings.TrimPrefix(r.table, "s3://lake/") + "/"
	there := map[string]bool{}
	for o := range store.ListObjectsIter(b.Context(), "lake", minio.ListObjectsOptions{Prefix: folder, Recursive: true}) {
		if o.Err != nil {
			b.Fatal(o.Err)
		}
		there[strings.TrimPrefix(o.Key, folder)] = true
	}
	err := l.Data(func(key string, _ time.Time) error {
		if !there[key] {
			names = append(names, key)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return names
}
