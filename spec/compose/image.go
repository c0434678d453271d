package compose

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/flumendata/flumen-agent/spec"
)

// pullPolicies are those of Compose that the agent follows.
var pullPolicies = map[string]spec.PullPolicy{
	"":                           spec.PullMissing,
	types.PullPolicyMissing:      spec.PullMissing,
	types.PullPolicyIfNotPresent: spec.PullMissing,
	types.PullPolicyAlways:       spec.PullAlways,
	types.PullPolicyNever:        spec.PullNever,
	types.PullPolicyBuild:        spec.PullBuild,
}

// reference is the image of a service: one that is only built is called as
// Compose calls it.
func (c *conversion) reference(s types.ServiceConfig) string {
	return cmp.Or(s.Image, c.load.project+"-"+s.Name)
}

// images makes one resource of each reference, of all that its services say.
func (c *conversion) images() {
	c.built = map[string]*spec.Image{}
	first := map[string]string{} // reference, service
	for _, name := range c.names() {
		s := c.services[name]
		ref := c.reference(s)
		one := &spec.Image{Name: ref, Platform: s.Platform, Pull: c.pullPolicy(s)}
		if s.Build != nil {
			one.Build = c.build(s)
		}
		have, again := c.built[ref]
		if !again {
			c.built[ref], first[ref] = one, name
			continue
		}
		c.unite(have, one, first[ref], s)
	}
}

func (c *conversion) pullPolicy(s types.ServiceConfig) spec.PullPolicy {
	policy, ok := pullPolicies[s.PullPolicy]
	if !ok {
		c.fault(c.service(s.Name, "pull_policy"), "use missing, always, never or build", "pull_policy %q: this version of flumen-agent cannot do this yet", s.PullPolicy)
	}
	return policy
}

// unite adds what another service says about the same image.
func (c *conversion) unite(have, more *spec.Image, first string, s types.ServiceConfig) {
	clash := func(key string) {
		c.fault(c.service(s.Name, key), "make them alike, or use two image names", "image %s has another %s in service %q", have.Name, key, first)
	}
	if have.Platform != more.Platform && have.Platform != "" && more.Platform != "" {
		clash("platform")
	}
	have.Platform = cmp.Or(have.Platform, more.Platform)
	if have.Build != nil && more.Build != nil && have.Build.Digest != more.Build.Digest {
		clash("build")
	}
	have.Build = cmp.Or(have.Build, more.Build)
	switch {
	case have.Pull == more.Pull || s.PullPolicy == "":
	case have.Pull == spec.PullMissing:
		have.Pull = more.Pull
	default:
		clash("pull_policy")
	}
}

func (c *conversion) build(s types.ServiceConfig) *spec.Build {
	b := s.Build
	at := c.service(s.Name, "build")
	if remote(b.Context) || strings.HasPrefix(b.Context, "github.com/") {
		c.fault(at, "clone it, and give the path", "building from %s: this version of flumen-agent cannot do this yet", b.Context)
		return nil
	}
	context := b.Context
	if real, err := filepath.EvalSymlinks(context); err == nil {
		context = real // a link is followed by whoever builds by hand, too
	}
	one := &spec.Build{
		Context:          context,
		DockerfileInline: b.DockerfileInline,
		Args:             map[string]spec.Value{},
		Target:           b.Target,
		Labels:           b.Labels,
		Network:          b.Network,
		NoCache:          b.NoCache,
	}
	for key, text := range b.Args {
		if text != nil {
			one.Args[key] = c.value(key, *text)
		}
	}
	c.warnOfSecretArgs(at, one)
	if b.DockerfileInline == "" {
		one.Dockerfile = abs(context, cmp.Or(b.Dockerfile, "Dockerfile"))
		c.Files = append(c.Files, one.Dockerfile)
	}
	c.Files = append(c.Files, b.Context)
	switch {
	case c.outside(context, at, "build context"), one.Dockerfile != "" && c.outside(one.Dockerfile, at, "Dockerfile"):
	case !exists(b.Context):
		c.fault(at, "", "build context %s does not exist", c.shown(b.Context))
	case one.Dockerfile != "" && !exists(one.Dockerfile):
		c.fault(at, "", "%s does not exist", c.shown(one.Dockerfile))
	default:
		c.digestBuild(at, one, s.Platform)
	}
	return one
}

// warnOfSecretArgs: whoever has the image can read what it was built with.
func (c *conversion) warnOfSecretArgs(at place, b *spec.Build) {
	for _, key := range slices.Sorted(maps.Keys(b.Args)) {
		if b.Args[key].IsSensitive() {
			c.warn(at, "mount it while building: RUN --mount=type=secret", "build argument %s looks like a secret, and docker history shows it to whoever has the image", key)
		}
	}
}

func (c *conversion) digestBuild(at place, b *spec.Build, platform string) {
	d, err := buildDigest(b, platform)
	if err != nil {
		c.fault(at, "", "build context %s cannot be read: %v", c.shown(filepath.Clean(b.Context)), err)
	}
	b.Digest, b.Modified = d.sum, d.modified
	if slices.ContainsFunc(slices.Collect(maps.Values(b.Args)), spec.Value.IsSensitive) {
		b.Digest = "slow:" + stretch(d.sum, c.load.project) // it becomes a label, from which nothing is to be guessed
	}
}
