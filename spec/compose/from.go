package compose

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// orderBuilds tells each build which images of this project it is built from. Those are
// built first, and its digest covers theirs: when one is built anew, so is what stands on it.
func (c *conversion) orderBuilds() {
	o := buildOrder{conversion: c, byTag: map[string]*spec.Image{}, done: map[*spec.Image]bool{}}
	for _, one := range c.built {
		if one.Build != nil {
			o.byTag[tagged(one.Name)] = one
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.built)) {
		if one := c.built[name]; one.Build != nil {
			o.visit(one, nil)
		}
	}
}

type buildOrder struct {
	*conversion
	byTag map[string]*spec.Image // those that are built
	done  map[*spec.Image]bool
}

// visit settles an image after those it is built from. Above are the images that are
// waiting for it.
func (o *buildOrder) visit(one *spec.Image, above []*spec.Image) {
	if o.done[one] {
		return
	}
	if at := slices.Index(above, one); at >= 0 {
		o.fault(o.builder(one), "break the circle", "image %s is built from itself, by way of %s", one.Name, above[len(above)-1].Name)
		return
	}
	from := sha256.New()
	io.WriteString(from, one.Build.Digest)
	for _, name := range spec.ImagesOf(dockerfile(one.Build), one.Build.Args) {
		base := o.byTag[tagged(name)]
		if base == nil || base == one { // somebody else's; or the one of that name that is there before
			continue
		}
		o.visit(base, append(above, one))
		one.Build.From = append(one.Build.From, base.Name)
		fmt.Fprintf(from, "\n%s", base.Build.Digest)
		if base.Build.Modified.After(one.Build.Modified) {
			one.Build.Modified = base.Build.Modified
		}
	}
	o.done[one] = true
	if len(one.Build.From) > 0 {
		one.Build.Digest = "sha256:" + hex.EncodeToString(from.Sum(nil))
	}
}

// builder is where the spec says how an image is built.
func (o *buildOrder) builder(one *spec.Image) place {
	for _, name := range o.names() {
		if s := o.services[name]; s.Build != nil && o.reference(s) == one.Name {
			return o.service(name, "build")
		}
	}
	return place{}
}

// dockerfile is the text of one, or "" if it cannot be read, which is said elsewhere.
func dockerfile(b *spec.Build) string {
	if b.DockerfileInline != "" || b.Dockerfile == "" {
		return b.DockerfileInline
	}
	text, err := os.ReadFile(b.Dockerfile)
	if err != nil {
		return ""
	}
	return string(text)
}

// tagged is an image's name with the tag that it has if it names none.
func tagged(name string) string {
	if strings.ContainsAny(path.Base(name), ":@") {
		return name
	}
	return name + ":latest"
}
