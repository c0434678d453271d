package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/spec"
)

// Remover is the objects of a store by the key that may remove some: see delta.Remover. It is
// made for a run of retention alone.
type Remover struct {
	*Files
	by         *connection
	most, part int64 // what one request copies at most, and how large a part of what is larger is
}

// removeTimes is how much longer an answer may take that is about many objects.
const removeTimes = 6

// Remover connects to a store of a project by its key for removing. Close ends the connection.
func (t *Target) Remover(ctx context.Context, project string, s *spec.Store) (*Remover, error) {
	if s.DeleteAccessKey.IsZero() {
		return nil, fmt.Errorf("the store %s has no key that may remove files: give it delete_access_key and delete_secret_key, of a user that may do no more than that in the folders of tables", s.Name)
	}
	files, err := t.Files(ctx, project, s)
	if err != nil {
		return nil, err
	}
	own := *s
	own.AccessKey, own.SecretKey = s.DeleteAccessKey, s.DeleteSecretKey
	by, err := t.connectBy(ctx, project, &own, func(r http.RoundTripper) http.RoundTripper {
		return steady{r, removeTimes * patienceWith(s), &files.clock}
	})
	if err != nil {
		files.Close()
		return nil, err
	}
	by.keys.prefix = "delete_"
	return &Remover{files, by, copyMost, copyPart}, nil
}

// Close ends the connections.
func (r *Remover) Close() {
	r.by.close()
	r.Files.Close()
}

// Versioned tells whether the bucket of a folder keeps all versions, and whether it may keep some:
// one that did so once has those of that time. MinIO can leave folders out; whether this one is left
// out is not worth a mistake. See delta.Remover.
func (r *Remover) Versioned(ctx context.Context, folder string) (all, some bool, err error) {
	return r.by.versioned(ctx, folder)
}

func (c *connection) versioned(ctx context.Context, folder string) (all, some bool, err error) {
	bucket, _, _ := strings.Cut(folder, "/")
	config, err := c.GetBucketVersioning(ctx, bucket)
	if err != nil {
		return false, true, c.explain("read the versioning of bucket "+bucket, err)
	}
	all = config.Enabled() && len(config.ExcludedPrefixes) == 0 && !config.ExcludeFolders
	return all, config.Status != "", nil
}

// Remove removes objects of one bucket. In one that keeps versions it leaves a mark for each.
func (r *Remover) Remove(ctx context.Context, paths []string, done func(path, mark string, err error)) {
	bucket := ""
	keys := func(yield func(minio.ObjectInfo) bool) {
		for _, path := range paths {
			_, key, _ := strings.Cut(path, "/")
			if !yield(minio.ObjectInfo{Key: key}) {
				return
			}
		}
	}
	for _, path := range paths {
		one, _, _ := strings.Cut(path, "/")
		if bucket != "" && one != bucket {
			done(path, "", errors.New("not in the bucket of the others"))
			return
		}
		bucket = one
	}
	results, err := r.by.RemoveObjectsWithIter(ctx, bucket, keys, minio.RemoveObjectsOptions{})
	if err != nil {
		for _, path := range paths {
			done(path, "", err)
		}
		return
	}
	for one := range results {
		mark := one.DeleteMarkerVersionID
		if !one.DeleteMarker || mark == "null" { // by which nobody could tell it from the mark of somebody else
			mark = ""
		}
		done(bucket+"/"+one.ObjectName, mark, r.explain("remove "+one.ObjectName, one.Err))
	}
}

// Recover takes delete markers away, and never anything else: each is seen to be one.
func (r *Remover) Recover(ctx context.Context, path, mark, tag string, since time.Time) error {
	bucket, key, _ := strings.Cut(path, "/")
	marks, below, err := r.versions(ctx, bucket, key)
	switch {
	case err != nil:
		return err
	case below == nil:
		return fmt.Errorf("%s: no version of it is left: %w", path, fs.ErrNotExist)
	case len(marks) == 0:
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	case tag != "" && below.ETag != tag:
		return fmt.Errorf("%s: the version of it that is left is another one: %w", path, fs.ErrNotExist)
	}
	for _, m := range marks {
		if m.VersionID != mark && (mark != "" || m.LastModified.Before(since)) {
			continue
		}
		if err := r.by.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{VersionID: m.VersionID}); err != nil {
			return r.explain("take the mark of removal from "+path, err)
		}
	}
	return nil
}

// versions gives the delete markers of an object, the newest first, and the version below them;
// nil if there is none.
func (r *Remover) versions(ctx context.Context, bucket, key string) (marks []minio.ObjectInfo, below *minio.ObjectInfo, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for v := range r.by.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Prefix: key, Recursive: true, WithVersions: true}) {
		switch {
		case v.Err != nil:
			return nil, nil, r.explain("list the versions of "+bucket+"/"+key, v.Err)
		case v.Key != key:
			return marks, nil, nil // the object's own come first
		case !v.IsDeleteMarker:
			return marks, &v, nil
		}
		marks = append(marks, v)
	}
	return marks, nil, context.Cause(ctx)
}

// explain says what went wrong. In an answer about many objects there is no status: by its code
// the store may ask to be asked later.
func (r *Remover) explain(doing string, err error) error {
	err = r.by.explain(doing, err)
	var t *trouble
	if errors.As(err, &t) && slices.Contains([]string{"SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "InternalError", "RequestTimeout", "503"}, codeOf(t.cause)) {
		t.passing = true
	}
	return err
}
