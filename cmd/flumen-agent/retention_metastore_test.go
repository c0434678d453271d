package main

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// noDatabases is what a Hive Metastore answers to get_all_databases that has none.
const noDatabases = "\x80\x01\x00\x02\x00\x00\x00\x11get_all_databases\x00\x00\x00\x01\x0f\x00\x00\x0b\x00\x00\x00\x00\x00"

// emptyMetastore answers everybody so, until it is closed.
func emptyMetastore(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(noDatabases)) // who asks may be gone
			_, _ = c.Read(make([]byte, 100))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close() // it may be closed by now
		<-done
	})
	return l
}

// TestOutageOfTheMetastoreStopsARunBeforeItsNextBatch has it begin when the first file has gone, and
// end after the run.
func TestOutageOfTheMetastoreStopsARunBeforeItsNextBatch(t *testing.T) {
	t.Parallel()
	address, m := enginetest.MinIO(t), emptyMetastore(t)
	rule := fmt.Sprintf("}\n  metastore: {uri: \"thrift://%s\"", m.Addr())
	v := newVictimOf(t, address, "outage", rule, func(v *victim) {
		v.must(v.store.MakeBucket(t.Context(), v.bucket, minio.MakeBucketOptions{}))
		v.must(v.store.EnableVersioning(t.Context(), v.bucket))
	})
	v.mustSay("first-report", "run")
	before := v.contents()
	v.then = func() { _ = m.Close() }
	_, out := v.retention(1, "run")
	if !strings.Contains(out, "removed 1 file,") || !strings.Contains(out, "stopped: the metastore, which may know of shallow clones, cannot be asked: connect to it") {
		t.Error(out)
	}
	if n := strings.Count(before, "\n") - strings.Count(v.contents(), "\n"); n != 1 {
		t.Errorf("%d files are gone\n%s", n, out)
	}
}
