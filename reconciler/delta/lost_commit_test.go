package delta_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// slowRoad is a way to a store on which the first commit of version 1 waits until it is let go.
func slowRoad(t *testing.T, address string) (endpoint string, waiting, letGo chan struct{}) {
	waiting, letGo = make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: address})
		r.Out.Host = r.In.Host // it is signed
	}}
	road := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/_delta_log/00000000000000000001.json") && first.CompareAndSwap(false, true) {
			close(waiting)
			<-letGo
		}
		forward.ServeHTTP(rw, r)
	}))
	t.Cleanup(road.Close)
	return road.URL, waiting, letGo
}

// TestCommitThatTwoDriversOfSparkMadeIsCritical has two drivers commit the same version. Each looks
// whether it is there before it writes it, as Spark does on S3 without a log store that protects,
// and the first one's request is on its way while the second one looks.
func TestCommitThatTwoDriversOfSparkMadeIsCritical(t *testing.T) {
	t.Parallel()
	if os.Getenv(readersVariable) == "" {
		enginetest.Lacks(t, "an image with Spark and delta-rs, whose name is in "+readersVariable)
	}
	address := enginetest.MinIO(t)
	store, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(enginetest.MinIOUser, enginetest.MinIOPassword, "")})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.MakeBucket(t.Context(), "lake", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := store.SetBucketVersioning(t.Context(), "lake", minio.BucketVersioningConfiguration{Status: minio.Enabled}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "flumen.yaml")
	spec := fmt.Sprintf("name: lake\nservices: {a: {image: busybox}}\nstores: {s3: {endpoint: \"http://%s\"}}\nretention: {discover: [{store: s3, prefix: lake/wh}], defaults: {properties: off}}\n", address)
	if err := os.WriteFile(file, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	agent := program(t)

	const table = "s3a://lake/wh/t"
	road, waiting, letGo := slowRoad(t, address)
	driver := func(endpoint string) *session {
		return newSession(t, "--network", "host", "-e", "S3_ENDPOINT="+endpoint, "-e", "AWS_REGION=us-east-1",
			"-e", "AWS_ACCESS_KEY_ID="+enginetest.MinIOUser, "-e", "AWS_SECRET_ACCESS_KEY="+enginetest.MinIOPassword)
	}
	slow, quick := driver(road), driver("http://"+address)
	ask[any](slow, "sql", table, "CREATE TABLE {} (id BIGINT) USING delta")
	if report, code := retention(t, agent, file, "plan"); code != 0 || len(report.Tables) != 1 {
		t.Fatalf("before: exit code %d, %+v", code, report)
	}
	committed := make(chan struct{})
	go func() {
		defer close(committed)
		ask[any](slow, "sql", table, "INSERT INTO {} VALUES (1)")
	}()
	select {
	case <-waiting:
	case <-committed:
		t.Fatal("the first driver has committed no version 1")
	}
	ask[any](quick, "sql", table, "INSERT INTO {} VALUES (2)")
	close(letGo)
	<-committed

	report, code := retention(t, agent, file, "plan")
	f, lost := report.Tables[0].Find(proof.FoundLostCommit)
	if code != 4 || !lost || !strings.Contains(f.Says, "1 commit was written twice, with different content: version 1.") {
		t.Errorf("exit code %d, %+v", code, report.Tables[0].Findings)
	}
}
