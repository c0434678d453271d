package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/rogpeppe/go-internal/testscript"
)

// sparkTables are real tables; .ci/delta-tables makes them.
const sparkTables = "../../reconciler/delta/testdata/spark-4.0.1.tar.gz"

// tables puts Delta tables that Spark wrote into a bucket of the script's store, as if that had
// been done a number of days ago:
//
//	tables BUCKET PREFIX DAYS NAME...
func tables(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: tables BUCKET PREFIX DAYS NAME...")
	}
	days, err := strconv.Atoi(args[2])
	ts.Check(err)
	store, err := minio.New("127.0.0.1:"+ts.Getenv("PORT"), &minio.Options{Creds: credentials.NewStaticV4("root", ts.Getenv("ROOT_PASSWORD"), "")})
	ts.Check(err)
	putTables(ts.Check, store, args[0], args[1], days, args[3:]...)
}

// putTables puts real tables into a bucket, as old as is said.
func putTables(check func(error), store *minio.Client, bucket, prefix string, days int, names ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	files, newest := unpackTables(check, names)
	older := time.Since(newest) - time.Duration(days)*24*time.Hour
	for _, f := range files {
		content := f.content
		if strings.HasSuffix(f.name, ".json") {
			content = shift(content, older)
		}
		// MinIO takes this time for the object's own.
		options := minio.PutObjectOptions{Internal: minio.AdvancedPutOptions{SourceMTime: f.written.Add(older)}}
		_, err := store.PutObject(ctx, bucket, prefix+"/"+f.name, bytes.NewReader(content), int64(len(content)), options)
		check(err)
	}
}

type tableFile struct {
	name    string
	content []byte
	written time.Time
}

// unpackTables reads the files of some tables, and when the newest of all was written.
func unpackTables(check func(error), names []string) (files []tableFile, newest time.Time) {
	packed, err := os.Open(sparkTables)
	check(err)
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	check(err)
	for in := tar.NewReader(unzipped); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files, newest
		}
		check(err)
		if h.ModTime.After(newest) {
			newest = h.ModTime
		}
		name := strings.TrimPrefix(h.Name, "./")
		table, _, _ := strings.Cut(name, "/")
		if h.Typeflag != tar.TypeReg || !slices.Contains(names, table) {
			continue
		}
		content, err := io.ReadAll(in)
		check(err)
		files = append(files, tableFile{name, content, h.ModTime})
	}
}

var deletionTimes = regexp.MustCompile(`"deletionTimestamp":\d+`)

// shift moves the times at which a log says that files were removed.
func shift(log []byte, by time.Duration) []byte {
	return deletionTimes.ReplaceAllFunc(log, func(b []byte) []byte {
		name, text, _ := strings.Cut(string(b), ":")
		at, _ := strconv.ParseInt(text, 10, 64) // it matched digits
		return []byte(name + ":" + strconv.FormatInt(at+by.Milliseconds(), 10))
	})
}
