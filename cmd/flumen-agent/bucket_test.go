package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/lifecycle"
	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// TestStoreScripts runs the whole program on an engine with a MinIO server ($MINIO). One
// engine is enough, and it has to be one of this machine, or what it runs is out of reach.
func TestStoreScripts(t *testing.T) {
	t.Parallel()
	runStoreScripts(t, "testdata/store", nil)
}

// TestStoreScriptsByAnotherClient does by hand, with MinIO's own client ($MC, which knows the
// store as "lake"), what the agent has to notice.
func TestStoreScriptsByAnotherClient(t *testing.T) {
	t.Parallel()
	runStoreScripts(t, "testdata/mc", map[string]string{"MC": enginetest.Program(t, enginetest.MCVariable)})
}

// TestSparkScripts has Spark ($READERS) act on the tables of the store.
func TestSparkScripts(t *testing.T) {
	t.Parallel()
	runStoreScripts(t, "testdata/spark", map[string]string{"READERS": enginetest.Program(t, "FLUMEN_TEST_READERS")})
}

func runStoreScripts(t *testing.T, dir string, more map[string]string) {
	image := enginetest.MinIOImage(t)
	engine := enginetest.Connect(t, enginetest.Hosts(t)[0])
	enginetest.Images(t, engine)
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("MINIO", image)
			env.Setenv("ROOT_PASSWORD", "root-password")
			if err := onEngine(env, engine); err != nil {
				return err
			}
			startProxy(env)
			for name, value := range more {
				env.Setenv(name, value)
			}
			env.Setenv("MC_CONFIG_DIR", filepath.Join(env.WorkDir, "mc"))
			env.Setenv("MC_HOST_lake", "http://root:root-password@127.0.0.1:"+env.Getenv("PORT"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "eventually": eventually, "bucket": bucket, "proxy": proxyCommand, "tables": tables, "snapshot": snapshot, "same": same, "undo-last": undoLast},
	})
}

// bucket does something with a bucket of the script's store by hand, or looks at it:
//
//	bucket make|remove NAME      as somebody else would
//	bucket put NAME KEY          an object
//	bucket lose NAME PREFIX      the first object below a prefix is lost
//	bucket has NAME              it is there
//	bucket lacks NAME            it is not
//	bucket before NAME CONTAINER it was made before the container was started
//	bucket public NAME KEY       everybody may read an object of it; with ! nobody may
//	bucket quota NAME BYTES      it may hold so much
//	bucket tag NAME KEY VALUE    a tag of it is set, beside those it has
//	bucket rules NAME RULE...    its lifecycle rules are set, each as in ID:PREFIX:DAYS; negative
//	                             days are those of noncurrent versions
func bucket(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg && args[0] != "public" {
		ts.Fatalf("usage: bucket VERB NAME ...")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	store, err := minio.New("127.0.0.1:"+ts.Getenv("PORT"), &minio.Options{Creds: credentials.NewStaticV4("root", ts.Getenv("ROOT_PASSWORD"), "")})
	ts.Check(err)
	switch verb, name := args[0], args[1]; verb {
	case "make":
		ts.Check(store.MakeBucket(ctx, name, minio.MakeBucketOptions{}))
	case "remove":
		ts.Check(store.RemoveBucket(ctx, name))
	case "put":
		_, err := store.PutObject(ctx, name, args[2], strings.NewReader("x"), 1, minio.PutObjectOptions{})
		ts.Check(err)
	case "lose":
		for o := range store.ListObjectsIter(ctx, name, minio.ListObjectsOptions{Prefix: args[2], Recursive: true, MaxKeys: 1}) {
			ts.Check(o.Err)
			ts.Check(store.RemoveObject(ctx, name, o.Key, minio.RemoveObjectOptions{}))
			return
		}
		ts.Fatalf("there is nothing below %s", args[2])
	case "lacks":
		there, err := store.BucketExists(ctx, name)
		ts.Check(err)
		if there {
			ts.Fatalf("bucket %s is still there", name)
		}
	case "has":
		made(ctx, ts, store, name)
	case "before":
		out, err := exec.CommandContext(ctx, "docker", "-H", ts.Getenv("DOCKER_HOST"), "inspect", "-f", "{{.State.StartedAt}}", args[2]).Output()
		ts.Check(err)
		started, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(out)))
		ts.Check(err)
		if at := made(ctx, ts, store, name); !at.Before(started) {
			ts.Fatalf("bucket %s was made at %s, %s started at %s", name, at, args[2], started)
		}
	case "public":
		answer, err := http.Get("http://127.0.0.1:" + ts.Getenv("PORT") + "/" + name + "/" + args[2])
		ts.Check(err)
		ts.Check(answer.Body.Close())
		if want := map[bool]int{false: http.StatusOK, true: http.StatusForbidden}[neg]; answer.StatusCode != want {
			ts.Fatalf("%s answers %s, want %d", args[2], answer.Status, want)
		}
	case "quota":
		quotaByHand(ctx, ts, name, args[2])
	case "rules":
		ts.Check(store.SetBucketLifecycle(ctx, name, rulesByHand(ts, args[2:])))
	case "tag":
		tags, err := store.GetBucketTagging(ctx, name)
		ts.Check(err)
		ts.Check(tags.Set(args[2], args[3]))
		ts.Check(store.SetBucketTagging(ctx, name, tags))
	default:
		ts.Fatalf("bucket: no verb %s", verb)
	}
}

// made tells when a bucket was made. It must be there.
func made(ctx context.Context, ts *testscript.TestScript, store *minio.Client, name string) time.Time {
	all, err := store.ListBuckets(ctx)
	ts.Check(err)
	for _, one := range all {
		if one.Name == name {
			return one.CreationDate
		}
	}
	ts.Fatalf("there is no bucket %s", name)
	return time.Time{}
}

// rulesByHand reads lifecycle rules as bucket rules has them.
func rulesByHand(ts *testscript.TestScript, args []string) *lifecycle.Configuration {
	config := lifecycle.NewConfiguration()
	for _, arg := range args {
		parts := strings.Split(arg, ":")
		days, err := strconv.Atoi(parts[2])
		ts.Check(err)
		rule := lifecycle.Rule{ID: parts[0], Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: parts[1]}}
		if days < 0 {
			rule.NoncurrentVersionExpiration.NoncurrentDays = lifecycle.ExpirationDays(-days)
		} else {
			rule.Expiration.Days = lifecycle.ExpirationDays(days)
		}
		config.Rules = append(config.Rules, rule)
	}
	return config
}

// quotaByHand sets a quota by MinIO's admin API.
func quotaByHand(ctx context.Context, ts *testscript.TestScript, bucket, bytes string) {
	body := `{"quota":` + bytes + `,"quotatype":"hard"}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://127.0.0.1:"+ts.Getenv("PORT")+"/minio/admin/v3/set-bucket-quota?bucket="+bucket, strings.NewReader(body))
	ts.Check(err)
	digest := sha256.Sum256([]byte(body))
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(digest[:]))
	answer, err := http.DefaultClient.Do(signer.SignV4(*r, "root", ts.Getenv("ROOT_PASSWORD"), "", "us-east-1"))
	ts.Check(err)
	ts.Check(answer.Body.Close())
	if answer.StatusCode != http.StatusOK {
		ts.Fatalf("set the quota of bucket %s: %s", bucket, answer.Status)
	}
}
