package compose

import (
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// bucketName is what S3 allows, but for two dots in a row and what looks like an address.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// readBuckets reads the buckets and puts each into the tier it belongs to.
func (c *conversion) readBuckets() {
	c.buckets = map[int][]spec.Resource{}
	taken := map[[2]string]string{} // the key in the file, by store and name
	for _, key := range slices.Sorted(maps.Keys(c.root.Buckets)) {
		tier, one := c.bucket(key, c.root.Buckets[key])
		if one.Store == nil {
			continue
		}
		there := [2]string{one.Store.Name, one.Name}
		if first, twice := taken[there]; twice {
			c.fault(c.rootPlace("buckets", key), "remove one of them", "bucket %q of store %q is already declared at %s",
				one.Name, one.Store.Name, c.rootPlace("buckets", first))
		}
		taken[there] = key
		c.buckets[tier] = append(c.buckets[tier], one)
	}
}

func (c *conversion) bucket(key string, b bucket) (tier int, one *spec.Bucket) {
	at := func(path ...string) place { return c.rootPlace(append([]string{"buckets", key}, path...)...) }
	one = &spec.Bucket{Key: key, Name: key, Versioning: spec.Versioning(c.substitute(b.Versioning, c.env, at("versioning")))}
	if b.Name != "" {
		one.Name = c.substitute(b.Name, c.env, at("name"))
	}
	one.Tags = c.bucketTags(b.Tags, at)
	one.Lifecycle = c.lifecycle(b.Lifecycle, at)
	one.Lock = c.lock(b.ObjectLock, one, at)
	one.Policy = c.bucketPolicy(&b.Policy, at("policy"))
	one.Encryption = c.encryption(b.Encryption, at("encryption"))
	one.Quota, one.Exact = c.size(b.Quota, at("quota")), b.Exact
	if !b.CORS.IsZero() {
		c.fault(at("cors"), "on MinIO it is a setting of the server: MINIO_API_CORS_ALLOW_ORIGIN", "cors of a bucket: this version of flumen-agent cannot do this yet")
	}
	c.checkBucketName(one.Name, at("name"))
	switch one.Versioning {
	case "", spec.VersioningEnabled, spec.VersioningSuspended:
	default:
		c.fault(at("versioning"), "write enabled or suspended", "%q is not a state of versioning", one.Versioning)
	}
	one.Store = c.stores[b.Store]
	switch {
	case b.Store == "":
		c.fault(at(), "give it one: store: NAME", "bucket %q has no store", key)
	case one.Store == nil:
		c.fault(at("store"), didYouMean(b.Store, slices.Collect(maps.Keys(c.stores))), "bucket %q is in the undeclared store %q", key, b.Store)
	case one.Store.Path != "":
		c.fault(at("store"), "name an S3 store", "bucket %q is in the store %q, which is a folder", key, b.Store)
	case one.Store.Service != "":
		one.Depends = c.servers(one.Store)
		return c.servedTier(key, b, at("tier")), one
	case b.Tier != "":
		return c.namedTier(b.Tier, at("tier")), one
	}
	return 0, one
}

func (c *conversion) checkBucketName(name string, at place) {
	_, err := netip.ParseAddr(name)
	if !bucketName.MatchString(name) || strings.Contains(name, "..") || err == nil {
		c.fault(at, "use 3 to 63 lower-case letters, digits, - and ., beginning and ending with a letter or digit", "%q cannot be the name of a bucket", name)
	}
}

// servers are all instances of the service that serves a store: a bucket is made when
// they are ready.
func (c *conversion) servers(s *spec.Store) []spec.Dep {
	var all []spec.Dep
	service := c.services[s.Service]
	for n := 1; n <= service.GetScale(); n++ {
		all = append(all, spec.Dep{Ref: spec.InstanceRef(s.Service, n), Until: spec.Ready})
	}
	return all
}

// servedTier is the tier of the service that serves a bucket's store.
func (c *conversion) servedTier(key string, b bucket, at place) int {
	service := c.stores[b.Store].Service
	if b.Tier != "" {
		c.fault(at, "remove it", "bucket %q belongs to the tier of the service %q, which serves its store", key, service)
	}
	return max(c.joined.tierOf[service], 0)
}

func (c *conversion) namedTier(name string, at place) int {
	i := slices.IndexFunc(c.tiers, func(t tier) bool { return t.Name == name })
	if i < 0 {
		var names []string
		for _, t := range c.tiers {
			names = append(names, t.Name)
		}
		c.fault(at, didYouMean(name, names), "there is no tier %q", name)
	}
	return max(i, 0)
}
