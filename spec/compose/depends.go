package compose

import (
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/flumendata/flumen-agent/spec"
)

// phases are Compose's conditions in our words.
var phases = map[string]spec.Phase{
	types.ServiceConditionStarted:               spec.Started,
	types.ServiceConditionHealthy:               spec.Ready,
	types.ServiceConditionCompletedSuccessfully: spec.Done,
}

// depends makes a dependency on every instance of what a service waits for. What
// lives inside another container is inside its first instance.
func (c *conversion) depends(s types.ServiceConfig) []spec.Dep {
	var all []spec.Dep
	shared := shares(s)
	for _, name := range slices.Sorted(maps.Keys(s.DependsOn)) {
		other, active := c.services[name]
		if !active {
			continue // the check has judged it
		}
		how, asked := s.DependsOn[name], c.joined.asked[s.Name][name]
		for n := 1; n <= other.GetScale(); n++ {
			inside := n == 1 && slices.Contains(shared, name)
			if !asked && !inside {
				break
			}
			all = append(all, spec.Dep{
				Ref:      spec.InstanceRef(name, n),
				Until:    max(phases[how.Condition], spec.Started),
				Restarts: how.Restart && asked,
				Shares:   inside,
			})
		}
	}
	return all
}

// shares are the services whose network, pid or ipc namespace a service lives in.
func shares(s types.ServiceConfig) []string {
	var all []string
	for _, mode := range []string{s.NetworkMode, s.Pid, s.Ipc} {
		if name, ok := strings.CutPrefix(mode, types.ServicePrefix); ok {
			all = append(all, name)
		}
	}
	return all
}

// findJobs: a job is what somebody waits for to end well, or what says so itself.
func (c *conversion) findJobs() {
	for _, name := range c.names() {
		s := c.services[name]
		if c.own(s)["job"] == "true" {
			c.jobs[name] = true
		}
		for other, how := range s.DependsOn {
			if how.Condition == types.ServiceConditionCompletedSuccessfully {
				c.jobs[other] = true
			}
		}
	}
	for _, name := range c.names() {
		c.checkJob(name)
	}
}

func (c *conversion) checkJob(name string) {
	s := c.services[name]
	if !c.jobs[name] {
		return
	}
	if c.own(s)["job"] == "false" {
		c.fault(c.service(name, "x-flumen", "job"), "remove one of the two", "service %q is not a job, but others wait for it to end", name)
	}
	if policy := s.Restart; policy == "always" || policy == "unless-stopped" {
		c.fault(c.service(name, "restart"), `write restart: "no"`, "job %q never ends with restart: %s", name, policy)
	}
}
