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
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	files, newest := unpackTables(ts, args[3:])
	older := time.Since(newest) - time.Duration(days)*24*time.Hour
	for _, f := range files {
		content := f.content
		if strings.HasSuffix(f.name, ".json") {
			content = shift(content, older)
		}
		// MinIO takes this time for the object's own.
		options := minio.PutObjectOptions{Internal: minio.AdvancedPutOptions{SourceMTime: f.written.Add(older)}}
		_, err := store.PutObject(ctx, args[0], args[1]+"/"+f.name, bytes.NewReader(content), int64(len(content)), options)
		ts.Check(err)
	}
}

type tableFile struct {
	name    string
	content []byte
	written time.Time
}

// unpackTables reads the files of some tables, and when the newest of all was written.
func unpackTables(ts *testscript.TestScript, names []string) (files []tableFile, newest time.Time) {
	packed, err := os.Open(sparkTables)
	ts.Check(err)
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	ts.Check(err)
	for in := tar.NewReader(unzipped); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files, newest
		}
		ts.Check(err)
		if h.ModTime.After(newest) {
			newest = h.ModTime
		}
		name := strings.TrimPrefix(h.Name, "./")
		table, _, _ := strings.Cut(name, "/")
		if h.Typeflag != tar.TypeReg || !slices.Contains(names, table) {
			continue
		}
		content, err := io.ReadAll(in)
		ts.Check(err)
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
