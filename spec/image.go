package spec

import "time"

// PullPolicy says when an image is fetched from its registry.
type PullPolicy string

// The pull policies of Compose that the agent follows.
const (
	PullMissing PullPolicy = "missing" // when it is not there (the default)
	PullAlways  PullPolicy = "always"  // on each new revision and each apply
	PullNever   PullPolicy = "never"
	PullBuild   PullPolicy = "build" // build, never pull
)

// Image is a container image that services of this project run: pulled, or built
// from a context on this machine.
type Image struct {
	Name     string // the reference services use, as in "postgres:17"
	Platform string // "linux/arm64", or "" for the engine's own
	Pull     PullPolicy
	Build    *Build // nil: it is only pulled
}

// Build is how an image is made from source.
type Build struct {
	Context          string // an absolute path; "" when its files have changed since
	Dockerfile       string // an absolute path, or "" with an inline one
	DockerfileInline string
	Args             map[string]Value
	Target           string
	Labels           map[string]string
	Network          string
	NoCache          bool
	// From are the images that its Dockerfile names and this project builds too, in order.
	From []string
	// Digest covers all of the above, the digests of From, and every file of the context
	// that .dockerignore lets through: "sha256:...". Modified is when the newest of these
	// files changed.
	Digest   string
	Modified time.Time
}

// Ref is "image/NAME".
func (i *Image) Ref() Ref { return Ref{KindImage, i.Name} }

// After holds the images that it is built from: images come before all else.
func (i *Image) After() []Dep {
	if i.Build == nil {
		return nil
	}
	var all []Dep
	for _, name := range i.Build.From {
		all = append(all, Dep{Ref: Ref{KindImage, name}, Until: Done})
	}
	return all
}

// Fields holds the digest of the build, for an image that is built.
func (i *Image) Fields() Fields {
	f := Fields{}
	if i.Build != nil {
		f.set("build", i.Build.Digest)
	}
	return f
}

func (*Image) resource() {}

// ImageKey tells an image from others of its name: Build is the digest of what it was built
// from, "" if it was not built.
type ImageKey struct {
	Name  string `json:"name"`
	Build string `json:"build,omitempty"`
}

// ImageKeys are those of all images.
func (d Desired) ImageKeys() []ImageKey {
	var keys []ImageKey
	for _, image := range Resources[*Image](d) {
		key := ImageKey{Name: image.Name}
		if image.Build != nil {
			key.Build = image.Build.Digest
		}
		keys = append(keys, key)
	}
	return keys
}
