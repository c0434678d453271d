package docker

import (
	"slices"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/spec"
)

func listed(name, service, number string, more ...string) container.Summary {
	labels := map[string]string{composeProject: "p", composeService: service, composeNumber: number}
	for i := 0; i < len(more); i += 2 {
		labels[more[i]] = more[i+1]
	}
	return container.Summary{ID: "id of " + name, Names: []string{"/x/alias", "/" + name}, Labels: labels}
}

func TestContainersAreFoundAsWhatTheyAre(t *testing.T) {
	ours := []string{labelProject, "p"}
	replacing := []string{labelProject, "p", labelReplaces, "id of p-a-1.prev"}
	for name, c := range map[string]struct {
		containers []container.Summary
		want       map[string]string
	}{
		"ours": {
			[]container.Summary{listed("p-a-1", "a", "1", ours...), listed("p-a-2", "a", "2", ours...)},
			map[string]string{"p-a-1": "a", "p-a-2": "a#2"},
		},
		"compose's of a declared service": {[]container.Summary{listed("p-a-1", "a", "1")}, map[string]string{"p-a-1": "a"}},
		"compose's of another service":    {[]container.Summary{listed("p-b-1", "b", "1")}, map[string]string{}},
		"one-off":                         {[]container.Summary{listed("p-a-run", "a", "1", composeOneOff, "True")}, map[string]string{}},
		"ours that left the spec":         {[]container.Summary{listed("p-b-1", "b", "1", ours...)}, map[string]string{"p-b-1": "b"}},
		"a renamed container":             {[]container.Summary{listed("old", "a", "1", ours...)}, map[string]string{"old": "a"}},
		"next beside it":                  {[]container.Summary{listed("p-a-1", "a", "1", ours...), listed("p-a-1.next", "a", "1", ours...)}, map[string]string{"p-a-1": "a", "p-a-1.next": "a.next"}},
		"next alone":                      {[]container.Summary{listed("p-a-1.next", "a", "1", ours...)}, map[string]string{"p-a-1.next": "a.next"}},
		"prev alone":                      {[]container.Summary{listed("p-a-1.prev", "a", "1")}, map[string]string{"p-a-1.prev": "a"}},
		"prev with next":                  {[]container.Summary{listed("p-a-1.prev", "a", "1", ours...), listed("p-a-1.next", "a", "1", replacing...)}, map[string]string{"p-a-1.prev": "a", "p-a-1.next": "a.next"}},
		"prev with its successor":         {[]container.Summary{listed("p-a-1.prev", "a", "1", ours...), listed("p-a-1", "a", "1", replacing...)}, map[string]string{"p-a-1.prev": "a.prev", "p-a-1": "a"}},
		"prev of a renamed service":       {[]container.Summary{listed("p-a-1.prev", "b", "1", ours...), listed("p-a-1", "a", "1", replacing...)}, map[string]string{"p-a-1.prev": "b.prev", "p-a-1": "a"}},
		"one-off of ours":                 {[]container.Summary{listed("p-a-run", "a", "1", append(ours, composeOneOff, "True")...)}, map[string]string{}},
		"inactive":                        {[]container.Summary{listed("p-tool-1", "tool", "1", ours...)}, map[string]string{"p-tool-1": "tool"}},
		"leftovers of an inactive one":    {[]container.Summary{listed("p-tool-1", "tool", "1", ours...), listed("p-tool-1.prev", "tool", "1", ours...), listed("p-tool-1.next", "tool", "1", ours...)}, map[string]string{"p-tool-1": "tool"}},
		"a second one of ours":            {[]container.Summary{listed("p-a-1", "a", "1", ours...), listed("copy", "a", "1", ours...)}, map[string]string{"p-a-1": "a", "copy": "copy"}},
		"a second one of compose":         {[]container.Summary{listed("p-a-1", "a", "1", ours...), listed("copy", "a", "1")}, map[string]string{"p-a-1": "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := spec.Desired{Project: "p", Inactive: []spec.Ref{spec.InstanceRef("tool", 1)}, Tiers: []spec.Tier{{Resources: []spec.Resource{&spec.Service{Name: "a", Number: 1, Container: "p-a-1"}}}}}
			got := map[string]string{}
			for _, s := range identify(want, c.containers) {
				got[s.name] = s.ref.Name
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestContainerThatAReplacementStoppedIsHandingOver(t *testing.T) {
	ours := []string{labelProject, "p"}
	old, prev := listed("p-old-1", "old", "1", ours...), listed("p-old-1.prev", "old", "1", ours...)
	for name, c := range map[string]struct {
		containers []container.Summary
		want       bool
	}{
		"alone":                   {[]container.Summary{old}, false},
		"with the next one made":  {[]container.Summary{old, listed("p-a-1.next", "a", "1", labelProject, "p", labelReplaces, old.ID)}, true},
		"out of the way":          {[]container.Summary{prev, listed("p-a-1.next", "a", "1", labelProject, "p", labelReplaces, prev.ID)}, true},
		"with the next one there": {[]container.Summary{prev, listed("p-a-1", "a", "1", labelProject, "p", labelReplaces, prev.ID)}, false},
		"with a third one made": {[]container.Summary{prev, listed("p-a-1", "a", "1", labelProject, "p", labelReplaces, prev.ID),
			listed("p-a-1.next", "a", "1", labelProject, "p", labelReplaces, prev.ID)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			want := spec.Desired{Project: "p", Tiers: []spec.Tier{{Resources: []spec.Resource{&spec.Service{Name: "a", Number: 1, Container: "p-a-1"}}}}}
			for _, s := range identify(want, c.containers) {
				if service := s.summary.Labels[composeService] == "old"; service && s.handing != c.want {
					t.Errorf("%s as %s is handing over: %v", s.name, s.ref, s.handing)
				}
			}
		})
	}
}

func TestContainerThatWasReplacedIsNobodysHost(t *testing.T) {
	ours := []string{labelProject, "p"}
	want := spec.Desired{Project: "p", Tiers: []spec.Tier{{Resources: []spec.Resource{&spec.Service{Name: "a", Number: 1, Container: "p-a-1"}}}}}
	prev, next := listed("p-a-1.prev", "a", "1", ours...), listed("p-a-1.next", "a", "1", ours...)
	now := listed("p-a-1", "a", "1", labelProject, "p", labelReplaces, prev.ID)
	for name, c := range map[string]struct {
		containers []container.Summary
		want       []string
	}{
		"alone":                   {[]container.Summary{now}, []string{now.ID}},
		"with the one before it":  {[]container.Summary{now, prev}, []string{now.ID}},
		"with the next one":       {[]container.Summary{now, next}, []string{now.ID}},
		"the one before it alone": {[]container.Summary{prev}, []string{prev.ID}},
	} {
		t.Run(name, func(t *testing.T) {
			known := hosts(identify(want, c.containers))
			for _, one := range c.containers {
				if _, host := known[one.ID]; host != slices.Contains(c.want, one.ID) {
					t.Errorf("%s is a host: %v", nameOf(one), host)
				}
			}
		})
	}
}
