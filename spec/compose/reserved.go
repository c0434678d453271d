package compose

import (
	"maps"
	"slices"
	"strings"
)

// reservedLabels are those by which Compose and the agent know what is whose.
var reservedLabels = []string{"com.docker.compose.", "dev.flumen."}

// reservedSuffixes are those of the containers of a replacement under way.
var reservedSuffixes = []string{".next", ".prev"}

// checkReserved: nobody takes labels and names that tell whose a thing is and what is to
// become of it.
func (c *conversion) checkReserved() {
	for _, name := range c.names() {
		s := c.services[name]
		c.checkLabels(s.Labels, "services", name, "labels")
		if s.Build != nil {
			c.checkLabels(s.Build.Labels, "services", name, "build", "labels")
		}
		for _, suffix := range reservedSuffixes {
			if strings.HasSuffix(s.ContainerName, suffix) {
				c.fault(c.service(name, "container_name"), "choose another one", "a container_name cannot end in %s: that is for containers that are being replaced", suffix)
			}
		}
	}
	for _, name := range c.project.NetworkNames() {
		c.checkLabels(c.project.Networks[name].Labels, "networks", name, "labels")
	}
	for _, name := range c.project.VolumeNames() {
		c.checkLabels(c.project.Volumes[name].Labels, "volumes", name, "labels")
	}
}

func (c *conversion) checkLabels(labels map[string]string, path ...string) {
	tier := c.joined.from[path[0]][path[1]]
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		for _, prefix := range reservedLabels {
			if strings.HasPrefix(label, prefix) {
				c.fault(c.where(tier, append(slices.Clone(path), label)...), "choose another name", "label %s: names that begin with %s tell whose a thing is", label, prefix)
			}
		}
	}
}
