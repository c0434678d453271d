package spec

import (
	"fmt"
	"slices"
	"time"
)

// Phase is how far a resource has come. A later phase includes the earlier ones.
type Phase int

// The phases, in order.
const (
	Created Phase = iota + 1 // it exists
	Started                  // it runs
	Ready                    // it is healthy, or has run for its settle time
	Done                     // it is a job and has exited with 0
)

func (p Phase) String() string {
	switch p {
	case Created:
		return "created"
	case Started:
		return "started"
	case Ready:
		return "ready"
	case Done:
		return "done"
	default:
		return fmt.Sprintf("phase(%d)", int(p))
	}
}

// Dep is what one resource needs of another before its own turn comes.
type Dep struct {
	Ref   Ref
	Until Phase
	// Shares: the dependent lives inside the other (a network it is attached
	// to, a namespace it shares), so it is replaced when the other is.
	Shares bool
	// Restarts: the dependent is restarted when the other is replaced or
	// restarted (Compose's depends_on.restart).
	Restarts bool
}

// Resource is one thing that should be: *Image, *Network, *Volume, *Service,
// *Bucket or *Access.
// It is a value to be read; nobody changes one after it was loaded.
type Resource interface {
	Ref() Ref
	// After lists what must have come how far first, in a fixed order.
	After() []Dep
	// Fields describes the resource in canonical form. A target that reads the
	// same thing back from a running system gives the same Fields.
	Fields() Fields
	resource()
}

// Tier is a group of resources that are converged together. A tier is ready when
// all of them are; the next tier begins then.
type Tier struct {
	Name string
	// Timeout is how long the tier may take to become ready, from the opening of
	// its gate; pulls and builds do not count.
	Timeout   time.Duration
	Resources []Resource
}

// Revision says which desired state this is. Two of equal ID are the same state, though
// they may come from two commits.
type Revision struct {
	ID     string `json:"id"`     // a digest of everything that was read
	Source string `json:"source"` // where it came from: a path, or a repository and branch
	// Commit is the one it was read from, and Subject the first line of its message;
	// both are "" for what is in no repository. Author is who wrote it, as the commit says:
	// NAME <MAIL>.
	Commit  string `json:"commit,omitempty"`
	Subject string `json:"subject,omitempty"`
	Author  string `json:"author,omitempty"`
}

// Short is the beginning of the commit, or else of the ID, for people.
func (r Revision) Short() string {
	name := r.ID
	if r.Commit != "" {
		name = r.Commit
	}
	return name[:min(len(name), 12)]
}

// Snapshot is a source's tree on disk at one revision.
type Snapshot struct {
	Revision Revision
	Dir      string
}

// Desired is what should be: the tiers of one project, lowest first.
type Desired struct {
	Project  string
	Revision Revision
	// File is the absolute path of the spec, as the engine's host calls it; "" if nobody
	// knows.
	File  string
	Tiers []Tier
	// Inactive names what belongs to services whose profiles are not active: the
	// services, and the networks and volumes that only they use, these by their name
	// on the engine. All of it is left alone, be it there or not.
	Inactive []Ref
	// Stores are those that hold buckets or tables of the project, by name.
	Stores   []*Store
	Checks   Checks
	Windows  []Window
	Consents []Consent
	// Retention is about the Delta tables in Stores.
	Retention Retention
}

// LeavesAlone tells whether ref, or the service it is an instance of, is Inactive.
func (d Desired) LeavesAlone(ref Ref) bool {
	return slices.Contains(d.Inactive, ref) ||
		ref.Kind == KindService && slices.Contains(d.Inactive, Ref{KindService, ref.Service()})
}

// WithoutSources is the same state after its files have changed: images that were built
// can be found again, but not built.
func (d Desired) WithoutSources() Desired {
	tiers := make([]Tier, len(d.Tiers))
	for i, t := range d.Tiers {
		t.Resources = slices.Clone(t.Resources)
		for n, r := range t.Resources {
			if image, ok := r.(*Image); ok && image.Build != nil {
				past, build := *image, *image.Build
				build.Context, build.Dockerfile, build.DockerfileInline = "", "", ""
				past.Build = &build
				t.Resources[n] = &past
			}
		}
		tiers[i] = t
	}
	d.Tiers = tiers
	return d
}

// Find gives the resource of that name, or nil.
func (d Desired) Find(ref Ref) Resource {
	for _, t := range d.Tiers {
		for _, r := range t.Resources {
			if r.Ref() == ref {
				return r
			}
		}
	}
	return nil
}

// Resources are those of type R in all tiers, lowest tier first: the services of
// a Desired are Resources[*Service](d).
func Resources[R Resource](d Desired) []R {
	var all []R
	for _, t := range d.Tiers {
		for _, r := range t.Resources {
			if one, ok := r.(R); ok {
				all = append(all, one)
			}
		}
	}
	return all
}

// TierOf is the name of the tier that holds ref, or "".
func (d Desired) TierOf(ref Ref) string {
	for _, t := range d.Tiers {
		for _, r := range t.Resources {
			if r.Ref() == ref {
				return t.Name
			}
		}
	}
	return ""
}
