package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/spec"
)

// Files are the objects of a store, by bucket and key as in "lakehouse/warehouse/a". It lists
// and reads, and has no way to change anything.
type Files struct {
	connection *connection
	clock      storeClock
}

// Files connects to a store of a project. Close ends the connection.
func (t *Target) Files(ctx context.Context, project string, s *spec.Store) (*Files, error) {
	f := &Files{}
	c, err := t.connectBy(ctx, project, s, func(r http.RoundTripper) http.RoundTripper { return steady{r, patienceWith(s), &f.clock} })
	if errors.Is(err, errNotRunning) {
		return nil, fmt.Errorf("the store %s: %w", s.Name, err)
	}
	if err != nil {
		return nil, err
	}
	f.connection = c
	return f, nil
}

// Close ends the connection.
func (f *Files) Close() { f.connection.close() }

// Clock is the store's, as its answers show it; zero before the first one.
func (f *Files) Clock() time.Time { return f.clock.now() }

// Late tells whether the store has not said that it is one of those that list at once what was written to them. See
// delta.Late.
func (f *Files) Late() bool {
	name := f.connection.heard.server()
	return name != serverMinIO && name != serverAWS
}

// Get reads an object. The error is fs.ErrNotExist if there is none.
func (f *Files) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	bucket, key, _ := strings.Cut(path, "/")
	core := minio.Core{Client: f.connection.Client}
	body, _, _, err := core.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if codeOf(err) == minio.NoSuchKey {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, f.connection.explain("read "+path, err)
	}
	return body, nil
}

// Versions lists the versions of what is directly in a folder, markers of removal among them. See
// delta.Versioned.
func (f *Files) Versions(ctx context.Context, folder string, each func(path, tag string, marker bool)) (not string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	bucket, prefix, _ := strings.Cut(folder, "/")
	for o := range f.connection.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, WithVersions: true}) {
		if o.Err != nil {
			err := f.connection.explain("list the versions of objects in the bucket "+bucket, o.Err)
			switch codeOf(o.Err) {
			case minio.AccessDenied, minio.NotImplemented, minio.MethodNotAllowed:
				return err.Error(), nil
			}
			return "", err
		}
		each(bucket+"/"+o.Key, o.ETag, o.IsDeleteMarker)
	}
	return "", context.Cause(ctx)
}

// Versioned tells whether the bucket of a folder keeps versions of what is removed. See delta.Keeping.
func (f *Files) Versioned(ctx context.Context, folder string) (all, some bool, err error) {
	return f.connection.versioned(ctx, folder)
}

// Locks tells whether objects in the bucket of a folder may be locked, and for how long each is. See delta.Locking.
func (f *Files) Locks(ctx context.Context, folder string) (locks bool, each time.Duration, err error) {
	bucket, _, _ := strings.Cut(folder, "/")
	state, _, n, unit, err := f.connection.GetObjectLockConfig(ctx, bucket)
	switch {
	case codeOf(err) == "ObjectLockConfigurationNotFoundError", codeOf(err) == minio.NotImplemented:
		return false, 0, nil
	case err != nil:
		return false, 0, f.connection.explain("read the object lock of bucket "+bucket, err)
	case n != nil && unit != nil && *unit == minio.Years:
		each = time.Duration(*n) * 365 * 24 * time.Hour
	case n != nil:
		each = time.Duration(*n) * 24 * time.Hour
	}
	return state == "Enabled", each, nil
}

// Stat looks for an object by its key. See delta.Store.
func (f *Files) Stat(ctx context.Context, path string) (size int64, written time.Time, tag string, err error) {
	bucket, key, _ := strings.Cut(path, "/")
	o, err := f.connection.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
	switch {
	case codeOf(err) == minio.NoSuchKey:
		return 0, time.Time{}, "", fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	case err != nil:
		return 0, time.Time{}, "", f.connection.explain("look for "+path, err)
	}
	return o.Size, o.LastModified, o.ETag, nil
}
