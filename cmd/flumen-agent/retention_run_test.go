package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/rogpeppe/go-internal/testscript"
)

// snapshot writes down what a bucket of the script's store holds; same expects it to hold that
// again, but for copies that retention has set aside:
//
//	snapshot BUCKET FILE
//	same BUCKET FILE
func snapshot(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: snapshot BUCKET FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(holds(ts, args[0])), 0o600))
}

func same(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same BUCKET FILE")
	}
	if diff := cmp.Diff(ts.ReadFile(args[1]), holds(ts, args[0])); diff != "" {
		ts.Fatalf("-before +now:\n%s", diff)
	}
}

func holds(ts *testscript.TestScript, bucket string) string {
	store, err := minio.New("127.0.0.1:"+ts.Getenv("PORT"), &minio.Options{Creds: credentials.NewStaticV4("root", ts.Getenv("ROOT_PASSWORD"), "")})
	ts.Check(err)
	text, err := contents(store, bucket)
	ts.Check(err)
	return text
}

// contents are the keys of a bucket with digests of what they hold.
func contents(store *minio.Client, bucket string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var b strings.Builder
	for o := range store.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return "", o.Err
		}
		if strings.Contains(o.Key, "/_flumen_quarantine/") {
			continue
		}
		in, err := store.GetObject(ctx, bucket, o.Key, minio.GetObjectOptions{})
		if err != nil {
			return "", err
		}
		content, err := io.ReadAll(in)
		if err := errors.Join(err, in.Close()); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s %x\n", o.Key, sha256.Sum256(content))
	}
	return b.String(), nil
}

// undoLast undoes the newest run that the script's agent remembers.
func undoLast(ts *testscript.TestScript, neg bool, args []string) {
	runs, err := filepath.Glob(filepath.Join(ts.Getenv("FLUMEN_STATE"), "retention", ts.Getenv("PROJECT"), "runs", "*"))
	ts.Check(err)
	if neg || len(args) > 0 || len(runs) == 0 {
		ts.Fatalf("undo-last: there are %d runs", len(runs))
	}
	within(patience, func() bool {
		err = ts.Exec("flumen-agent", "retention", "undo", filepath.Base(runs[len(runs)-1]))
		// Its schedule may have an agent look at the tables just now.
		return err == nil || !strings.Contains(ts.ReadFile("stdout"), "another process is at this table")
	})
	ts.Check(err)
}
