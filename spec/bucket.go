package spec

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Store is an S3 store that holds buckets: one that a service of the project serves, or
// one that is somewhere else; or a folder of this machine that holds Delta tables.
type Store struct {
	Name    string
	Service string // that serves it; "" for one that is somewhere else
	Port    uint16 // the container's own, for a Service without an Endpoint
	// Endpoint is where it is reached: the host, and the port unless it is the usual one,
	// as in "s3.example.com"; "" for a Service that is reached at its containers.
	Endpoint string
	Secure   bool // it speaks TLS
	// AccessKey and SecretKey are both zero where the machine's own AWS credentials count.
	AccessKey Value
	SecretKey Value
	// DeleteAccessKey and DeleteSecretKey are those by which retention removes files, and
	// nothing else is done; both zero where nothing may be removed.
	DeleteAccessKey Value
	DeleteSecretKey Value
	Region          string
	CA              string // certificates in PEM that it is known by, beside those of the machine
	// Timeout is how long it may take to answer one request; 0: the target's default.
	Timeout time.Duration
	// Retries is how often a look asks again when it is told to ask later.
	Retries int
	// Path is the absolute path of a folder that holds Delta tables, and nothing else of a
	// Store then counts: it has no buckets.
	Path string
}

// Place is where something in the store is, as people write it: "s3://lakehouse/warehouse", or a
// path of this machine.
func (s *Store) Place(key string) string {
	if s.Path != "" {
		return strings.TrimSuffix(s.Path+"/"+key, "/")
	}
	return "s3://" + key
}

// Versioning says what a bucket keeps of an object that is written again.
type Versioning string

// The states a bucket's versioning can be asked to have; "" leaves it as it is.
const (
	VersioningEnabled   Versioning = "enabled"
	VersioningSuspended Versioning = "suspended"
)

// OwnerTag marks a bucket that the agent made, or has written tags of. Its value is the
// project.
const OwnerTag = "dev.flumen.project"

// Bucket is a bucket of a store. It holds data: it is made and changed, never removed.
// What nobody declares of it is left alone, unless it is Exact.
type Bucket struct {
	Key        string // its name in the file
	Name       string // its name in the store
	Store      *Store // shared with the store's other buckets
	Versioning Versioning
	Tags       map[string]string
	Lifecycle  []LifecycleRule // nil where nobody declares it, empty for none
	Quota      int64           // in bytes; 0 where nobody declares it
	Lock       *Lock           // nil where nobody declares it
	Policy     Policy
	// Encryption is with what objects are encrypted of which nobody says it: "sse-s3",
	// "sse-kms" with the server's key, or "sse-kms:KEY"; "" where nobody declares it.
	Encryption string
	// Exact: what nobody declares is drift, and is taken away.
	Exact bool
	// OpenUntil is the end of the consent to open the bucket to everybody though it holds
	// Delta tables; zero: there is none.
	OpenUntil time.Time
	// Tables are the folders of the bucket below which Delta tables are looked for; "" is all
	// of it.
	Tables []string
	// Depends are the instances of the service that serves the store.
	Depends []Dep
}

// Ref is "bucket/KEY".
func (b *Bucket) Ref() Ref { return Ref{KindBucket, b.Key} }

// After lists what serves the store.
func (b *Bucket) After() []Dep {
	return slices.SortedFunc(slices.Values(b.Depends), func(a, c Dep) int {
		return cmp.Or(a.Ref.Compare(c.Ref), cmp.Compare(a.Until, c.Until))
	})
}

// Fields describes what the bucket is asked to be; what nobody declares is left alone.
func (b *Bucket) Fields() Fields {
	f := Fields{}
	f.set("versioning", string(b.Versioning))
	for key, value := range b.Tags {
		f["tag."+key] = Plain(value)
	}
	for _, rule := range b.Lifecycle {
		f["lifecycle."+rule.ID] = Plain(rule.String())
	}
	if b.Lock != nil && b.Lock.On {
		f.set("lock", "enabled")
		f.set("lock.retention", b.Lock.Retention())
	}
	if !b.Policy.IsZero() {
		f.set("policy", b.Policy.String())
	}
	f.set("encryption", b.Encryption)
	if b.Quota > 0 {
		f.set("quota", Size(b.Quota))
	}
	return f
}

// OpenedBy tells whether the spec declares a policy with consent to open the bucket with it.
func (b *Bucket) OpenedBy(p Policy, at time.Time) bool {
	return at.Before(b.OpenUntil) && p.String() == b.Policy.String()
}

// Declares tells whether the spec says something about a field of the bucket. What it does
// not speak of is left alone.
func (b *Bucket) Declares(field string) bool {
	attribute, key, _ := strings.Cut(field, ".")
	switch {
	case attribute == "tag" && key == OwnerTag:
		return false
	case b.Exact:
		return true
	}
	switch attribute {
	case "versioning":
		return b.Versioning != ""
	case "tag":
		_, declared := b.Tags[key]
		return declared
	case "lifecycle":
		return b.Lifecycle != nil
	case "lock":
		return b.Lock != nil && (key == "" || b.Lock.Mode != "")
	case "policy":
		return !b.Policy.IsZero()
	case "encryption":
		return b.Encryption != ""
	case "quota":
		return b.Quota > 0
	}
	return false
}

func (*Bucket) resource() {}
