package compose

import (
	"path"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// stream reads where a stream keeps how far it has read.
func (c *conversion) stream(text string, at place) (s spec.Stream, ok bool) {
	for _, scheme := range []string{"s3a://", "s3://", "s3n://"} {
		if key, found := strings.CutPrefix(text, scheme); found {
			return c.streamInBucket(text, key, at)
		}
	}
	if !strings.HasPrefix(text, "/") {
		c.fault(at, "write it as in s3a://bucket/checkpoints/orders, or as the path of a folder", "%q is not the place of a stream's checkpoint", text)
		return s, false
	}
	clean := path.Clean(text)
	for _, one := range c.stores {
		if folder, in := strings.CutPrefix(clean, one.Path+"/"); one.Path != "" && in && (s.Store == nil || len(one.Path) > len(s.Store.Path)) {
			s = spec.Stream{Store: one, Folder: folder}
		}
	}
	if s.Store == nil {
		c.fault(at, "declare a store with a path above it", "%q is in no store that is a folder", text)
	}
	return s, s.Store != nil
}

func (c *conversion) streamInBucket(text, key string, at place) (s spec.Stream, ok bool) {
	key = strings.TrimSuffix(key, "/")
	bucket, folder, _ := strings.Cut(key, "/")
	if bucket == "" || folder == "" || path.Clean("/" + key)[1:] != key {
		c.fault(at, "write it as in s3a://bucket/checkpoints/orders", "%q is not the place of a stream's checkpoint", text)
		return s, false
	}
	switch all := c.storesOf(bucket); len(all) {
	case 1:
		return spec.Stream{Store: all[0], Folder: key}, true
	case 0:
		c.fault(at, "declare its store", "%q is in no store that is declared", text)
	default:
		c.fault(at, "declare the bucket: buckets: {"+bucket+": {store: NAME}}", "%q may be in several stores: nobody can tell which has the bucket %s", text, bucket)
	}
	return s, false
}

// storesOf are the stores that may have a bucket: those in which tables are looked for there, those that declare it, or all.
func (c *conversion) storesOf(bucket string) (all []*spec.Store) {
	add := func(s *spec.Store) {
		if s != nil && s.Path == "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for _, d := range c.Desired.Retention.Discover {
		if d.Prefix == bucket || strings.HasPrefix(d.Prefix, bucket+"/") {
			add(d.Store)
		}
	}
	for _, resources := range c.buckets {
		for _, r := range resources {
			if b, is := r.(*spec.Bucket); is && b.Name == bucket {
				add(b.Store)
			}
		}
	}
	if len(all) == 0 {
		for _, s := range c.stores {
			add(s)
		}
	}
	return all
}
