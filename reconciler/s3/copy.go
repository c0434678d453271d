package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
)

const (
	// copyMost is how many bytes one request copies at most. S3 takes 5 GiB, and MinIO more; but
	// whoever asks does not wait for ever, and most disks copy this much in half a minute.
	copyMost = 1 << 30
	// copyPart is how large the parts of a larger object are.
	copyPart = 512 << 20
	// partsMost is how many parts an object may have.
	partsMost = 10_000
)

// Copy copies an object within the store, a large one in parts. See delta.Remover.
func (r *Remover) Copy(ctx context.Context, from, to string, size int64, tag string) error {
	c := copying{Remover: r, size: size, tag: tag}
	c.bucket, c.key, _ = strings.Cut(from, "/")
	c.target, c.name, _ = strings.Cut(to, "/")
	switch _, err := r.by.StatObject(ctx, c.target, c.name, minio.StatObjectOptions{}); {
	case err == nil:
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	case codeOf(err) != minio.NoSuchKey:
		return r.explain("look for "+to, err)
	}
	copyIt := c.whole
	if size > r.most {
		copyIt = c.inParts
	}
	err := copyIt(ctx)
	var explained *trouble
	switch {
	case errors.Is(err, fs.ErrInvalid), errors.As(err, &explained):
		return err
	case codeOf(err) == minio.NoSuchKey:
		return fmt.Errorf("%s: %w", from, fs.ErrNotExist)
	case codeOf(err) == minio.PreconditionFailed:
		return c.changed()
	}
	return r.explain("copy "+from, err)
}

// copying is one object on its way to another place.
type copying struct {
	*Remover
	bucket, key  string // from
	target, name string // to
	size         int64
	tag          string // of what is copied; "": whatever it has
}

func (c copying) changed() error {
	return fmt.Errorf("%s/%s is not the object that it was: %w", c.bucket, c.key, fs.ErrInvalid)
}

// whole copies it by one request.
func (c copying) whole(ctx context.Context) error {
	into := minio.CopyDestOptions{Bucket: c.target, Object: c.name}
	_, err := c.by.CopyObject(ctx, into, minio.CopySrcOptions{Bucket: c.bucket, Object: c.key, MatchETag: c.tag})
	return err
}

// inParts copies it part by part, each of the object as it is now: one that is written again
// meanwhile has another tag. What was copied of a copy that comes to nothing is given up.
func (c copying) inParts(ctx context.Context) (err error) {
	now, err := c.by.StatObject(ctx, c.bucket, c.key, minio.StatObjectOptions{})
	switch {
	case err != nil:
		return err
	case now.Size != c.size, c.tag != "" && now.ETag != c.tag:
		return c.changed()
	}
	core := minio.Core{Client: c.by.Client}
	upload, err := core.NewMultipartUpload(ctx, c.target, c.name, likeIt(now))
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			return
		}
		if left := core.AbortMultipartUpload(context.WithoutCancel(ctx), c.target, c.name, upload); left != nil && codeOf(left) != "NoSuchUpload" {
			err = c.explain(fmt.Sprintf("give up the upload of half a copy of %s, which came to nothing (%v)", c.key, err), left)
		}
	}()
	var parts []minio.CompletePart
	for at, length := int64(0), partOf(c.size, c.part); at < c.size; at += length {
		part, err := core.CopyObjectPart(ctx, c.bucket, c.key, c.target, c.name, upload, len(parts)+1, at, min(length, c.size-at), map[string]string{"x-amz-copy-source-if-match": now.ETag})
		if err == nil && part.ETag == "" { // as where S3 has begun to answer that all is well, and then it was not
			err = minio.ErrorResponse{StatusCode: http.StatusInternalServerError, Code: "InternalError", Message: fmt.Sprintf("it has not copied part %d", len(parts)+1)}
		}
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	_, err = core.CompleteMultipartUpload(ctx, c.target, c.name, upload, parts, minio.PutObjectOptions{})
	return err
}

// partOf is how large the parts of an object are: as large as they usually are, or so large that there
// are not too many of them.
func partOf(size, usual int64) int64 { return max(usual, (size+partsMost-1)/partsMost) }

// likeIt has a copy say of itself what an object does. A copy by one request does so by itself.
func likeIt(o minio.ObjectInfo) minio.PutObjectOptions {
	of := func(header string) string { return o.Metadata.Get(header) }
	return minio.PutObjectOptions{
		UserMetadata: o.UserMetadata, UserTags: o.UserTags, ContentType: o.ContentType, ContentEncoding: of("Content-Encoding"),
		ContentDisposition: of("Content-Disposition"), ContentLanguage: of("Content-Language"), CacheControl: of("Cache-Control"),
	}
}
