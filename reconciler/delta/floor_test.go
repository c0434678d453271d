package delta_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flumendata/flumen-agent/reconciler/delta/folder"
	"github.com/flumendata/flumen-agent/reconciler/s3"
	"github.com/flumendata/flumen-agent/spec"
)

// floor is a bare list of all files: less than that nobody can do who wants to know what is there.
type floor struct {
	name  string
	list  func() (files int, err error)
	once  bool // it takes long, and always as long
	files int
	wall  []time.Duration
}

func (f *floor) round(b *testing.B, warm bool) {
	if f.once && (warm || len(f.wall) > 0) {
		return
	}
	began := time.Now()
	n, err := f.list()
	if err != nil || n == 0 {
		b.Fatalf("%s: %d files, %v", f.name, n, err)
	}
	if f.files = n; !warm {
		f.wall = append(f.wall, time.Since(began))
	}
}

// folderFloors list a folder as find does that looks for what is old, and as the agent does.
func folderFloors(b *testing.B, dir string) []*floor {
	week := filepath.Join(b.TempDir(), "week")
	at := time.Now().AddDate(0, 0, -7)
	if err := os.WriteFile(week, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.Chtimes(week, at, at); err != nil {
		b.Fatal(err)
	}
	find := &floor{name: "find ! -newer", list: func() (int, error) {
		out, err := exec.CommandContext(b.Context(), "find", dir, "-type", "f", "!", "-newer", week).Output()
		return bytes.Count(out, []byte("\n")), err
	}}
	walk := &floor{name: "the agent's list alone", list: func() (n int, err error) {
		err = folder.New(dir).List(b.Context(), "", true, counting(&n))
		return n, err
	}}
	if _, err := exec.LookPath("find"); err != nil {
		return []*floor{walk}
	}
	return []*floor{find, walk}
}

// counting counts the files of a list.
func counting(n *int) func(string, int64, time.Time, string) error {
	return func(path string, _ int64, _ time.Time, _ string) error {
		if !strings.HasSuffix(path, "/") {
			*n++
		}
		return nil
	}
}

// storeFloors list a bucket as the agent does, many pages at a time, and as everybody can, one page after the other.
func storeFloors(b *testing.B, r race, prefix string) []*floor {
	address := strings.TrimPrefix(r.endpoint, "http://")
	store := &spec.Store{Name: "large", Endpoint: address, AccessKey: spec.Plain(r.user), SecretKey: spec.Sensitive(r.secret)}
	files, err := s3.New(nil).Files(b.Context(), "bench", store)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(files.Close)
	client, err := minio.NewCore(address, &minio.Options{Creds: credentials.NewStaticV4(r.user, r.secret, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath})
	if err != nil {
		b.Fatal(err)
	}
	return []*floor{
		{name: "the agent's list alone, 16 pages at a time", list: func() (n int, err error) {
			err = files.List(b.Context(), "lake/"+prefix, true, counting(&n))
			return n, err
		}},
		{name: "a page after the other (once, minio-go)", once: true, list: func() (n int, err error) {
			for token := ""; ; {
				p, err := client.ListObjectsV2("lake", prefix, "", token, "", 1000)
				if err != nil {
					return n, fmt.Errorf("list the bucket: %w", err)
				}
				if n += len(p.Contents); !p.IsTruncated {
					return n, nil
				}
				token = p.NextContinuationToken
			}
		}},
	}
}
