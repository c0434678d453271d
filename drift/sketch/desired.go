// Package sketch reads the short notation in which golden tests draw what should be and
// what was observed. Only tests use it.
//
//	project p                                  everything
//	tier foundation                            service db unhealthy env.TZ=CET -label.x
//	  volume data                              service old running name=p-old-1
//	  service db image=postgres:17 \           network default foreign
//	    env.TZ=UTC port=5432:5432 \            no volume data
//	    volume=data:/data needs=cache:ready    blind service permission denied
//
// On the left a desired state: networks, volumes, images, services, buckets and users with their
// attributes; images are made up where no line describes them. On the right what was
// observed of it: "everything" is found as it should be and healthy, and each line after
// it changes that for one thing, field by field.
package sketch

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// Desired reads a desired state.
func Desired(text string) (spec.Desired, error) {
	d := drawing{want: spec.Desired{Project: "p", Revision: spec.Revision{ID: "4d1c5e0f9a2b77aa", Source: "flumen.yaml"}}}
	for n, line := range lines(text) {
		if err := d.line(words(line)); err != nil {
			return spec.Desired{}, fmt.Errorf("desired line %d: %s: %w", n+1, line, err)
		}
	}
	return d.want, nil
}

// lines splits text, joins what ends with a backslash, and drops what is empty.
func lines(text string) []string {
	var all []string
	for _, line := range strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

var word = regexp.MustCompile(`(?:"[^"]*"|\S)+`)

// words splits a line at spaces that are not inside double quotes, and drops those.
func words(line string) []string {
	all := word.FindAllString(line, -1)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], `"`, "")
	}
	return all
}

// drawing is a desired state being read.
type drawing struct{ want spec.Desired }

func (d *drawing) line(w []string) error {
	if len(w) < 2 {
		return fmt.Errorf("too short")
	}
	switch kind, name, rest := w[0], w[1], w[2:]; kind {
	case "project":
		d.want.Project = name
		return nil
	case "revision":
		d.want.Revision.ID = name
		return nil
	case "tier":
		d.want.Tiers = append(d.want.Tiers, spec.Tier{Name: name, Timeout: 10 * time.Minute})
		return nil
	case "network":
		n := &spec.Network{Key: name, Name: d.want.Project + "_" + name, Labels: map[string]string{}}
		return d.add(n, rest, func(key, value string) error { return setNetwork(n, key, value) })
	case "volume":
		v := &spec.Volume{Key: name, Name: d.want.Project + "_" + name, Labels: map[string]string{}}
		return d.add(v, rest, func(key, value string) error { return setVolume(v, key, value) })
	case "bucket":
		b := &spec.Bucket{Key: name, Name: name, Store: &spec.Store{Name: "store"}, Tags: map[string]string{}}
		return d.add(b, rest, func(key, value string) error { return setBucket(b, key, value) })
	case "access":
		store, user, _ := strings.Cut(name, ".")
		a := &spec.Access{User: user, Owner: d.want.Project, Secret: spec.Sensitive("secret of " + user), Store: &spec.Store{Name: store}}
		return d.add(a, rest, func(key, value string) error { return setAccess(a, key, value) })
	case "image":
		i := &spec.Image{Name: name, Pull: spec.PullMissing}
		return d.add(i, rest, func(key, value string) error { return setImage(i, key, value) })
	case "service":
		return d.service(name, rest)
	default:
		return fmt.Errorf("no such kind")
	}
}

// add reads the attributes of a resource and puts it into the last tier.
func (d *drawing) add(r spec.Resource, attributes []string, set func(key, value string) error) error {
	if len(d.want.Tiers) == 0 {
		return fmt.Errorf("before the first tier")
	}
	for _, a := range attributes {
		key, value, _ := strings.Cut(a, "=")
		if err := set(key, value); err != nil {
			return err
		}
	}
	tier := &d.want.Tiers[len(d.want.Tiers)-1]
	tier.Resources = append(tier.Resources, r)
	return nil
}

func setNetwork(n *spec.Network, key, value string) error {
	label, isLabel := strings.CutPrefix(key, "label.")
	switch {
	case isLabel:
		n.Labels[label] = value
	case key == "external":
		n.External = true
	case key == "name":
		n.Name = value
	case key == "subnet":
		n.Subnets = append(n.Subnets, spec.Subnet{Subnet: value})
	default:
		return fmt.Errorf("a network has no %s", key)
	}
	return nil
}

func setVolume(v *spec.Volume, key, value string) error {
	label, isLabel := strings.CutPrefix(key, "label.")
	switch {
	case isLabel:
		v.Labels[label] = value
	case key == "external":
		v.External = true
	default:
		return fmt.Errorf("a volume has no %s", key)
	}
	return nil
}

func setBucket(b *spec.Bucket, key, value string) error {
	tag, isTag := strings.CutPrefix(key, "tag.")
	switch {
	case isTag:
		b.Tags[tag] = value
	case key == "in":
		b.Depends = append(b.Depends, spec.Dep{Ref: spec.InstanceRef(value, 1), Until: spec.Ready})
	case key == "exact":
		b.Exact = true
	case key == "quota":
		bytes, err := strconv.ParseInt(value, 10, 64)
		b.Quota = bytes
		return err
	case key == "encryption":
		b.Encryption = value
	case key == "versioning":
		b.Versioning = spec.Versioning(value)
	default:
		return fmt.Errorf("a bucket has no %s", key)
	}
	return nil
}

func setAccess(a *spec.Access, key, value string) (err error) {
	switch key {
	case "in":
		a.Depends = append(a.Depends, spec.Dep{Ref: spec.InstanceRef(value, 1), Until: spec.Ready})
	case "may":
		a.Policy, err = spec.ParsePolicy(fmt.Sprintf(`{"Statement": {"Effect": "Allow", "Action": %q}}`, value))
	case "secret":
		a.Secret = spec.Sensitive(value)
	default:
		err = fmt.Errorf("a user has no %s", key)
	}
	return err
}

func setImage(i *spec.Image, key, value string) error {
	switch key {
	case "build":
		i.Build = &spec.Build{Context: "/src", Digest: value}
	case "from":
		if i.Build == nil {
			return fmt.Errorf("only an image with a build is built from another one")
		}
		i.Build.From = append(i.Build.From, value)
	case "pull":
		i.Pull = spec.PullPolicy(value)
	default:
		return fmt.Errorf("an image has no %s", key)
	}
	return nil
}

// service adds a service, its image where no line described it, and as many instances
// as count says.
func (d *drawing) service(name string, attributes []string) error {
	s := &spec.Service{
		Name: name, Number: 1, Container: fmt.Sprintf("%s-%s-1", d.want.Project, name), Image: "app:1",
		Environment: map[string]spec.Value{}, Labels: map[string]string{},
	}
	count := 1
	err := d.add(s, attributes, func(key, value string) (err error) {
		if key == "count" {
			count, err = strconv.Atoi(value)
			return err
		}
		return d.setService(s, key, value)
	})
	if err != nil {
		return err
	}
	tier := &d.want.Tiers[len(d.want.Tiers)-1]
	for n := 2; n <= count; n++ {
		more := *s
		more.Number, more.Container = n, fmt.Sprintf("%s-%s-%d", d.want.Project, name, n)
		tier.Resources = append(tier.Resources, &more)
	}
	if image := (&spec.Image{Name: s.Image, Pull: spec.PullMissing}); d.want.Find(image.Ref()) == nil {
		tier.Resources = append([]spec.Resource{image}, tier.Resources...)
	}
	return nil
}
