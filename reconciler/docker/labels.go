package docker

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// The labels of Compose, so that its ps, ls and logs work on what the agent runs.
const (
	composePrefix     = "com.docker.compose."
	composeProject    = composePrefix + "project"
	composeService    = composePrefix + "service"
	composeNumber     = composePrefix + "container-number"
	composeOneOff     = composePrefix + "oneoff"
	composeHash       = composePrefix + "config-hash"
	composeImage      = composePrefix + "image"
	composeFiles      = composePrefix + "project.config_files"
	composeWorkingDir = composePrefix + "project.working_dir"
	composeVersion    = composePrefix + "version"
	composeNetwork    = composePrefix + "network"
	composeVolume     = composePrefix + "volume"
	composeBuilder    = composePrefix + "image.builder"
)

// The labels of the agent. None holds the revision, or every commit would be drift.
const (
	flumenPrefix  = "dev.flumen."
	labelProject  = flumenPrefix + "project"
	labelTier     = flumenPrefix + "tier"
	labelReplaces = flumenPrefix + "replaces" // the ID of the container before this one
	labelRestart  = flumenPrefix + "replaces.restart"
	labelFiles    = flumenPrefix + "files"     // digests of what is mounted and copied in
	labelFields   = flumenPrefix + "fields"    // names of the fields that were asked for
	labelMadeFrom = flumenPrefix + "made-from" // of a one-off container: the machine
	labelMadeBy   = flumenPrefix + "made-by"   // of one: its owner
	labelActsOn   = flumenPrefix + "acts-on"   // of one: what it is about
	labelOver     = flumenPrefix + "over"      // of one: after so many seconds it was left behind
	labelHidden   = flumenPrefix + "hidden"    // names of those of them that hold a secret
)

// hashValue stands where Compose keeps the hash of a service. Its listings pass over
// containers without one; the value is never read.
const hashValue = "flumen-agent"

// reserved tells whether a label is the agent's or Compose's own, which is never
// compared.
func reserved(label string) bool {
	return strings.HasPrefix(label, composePrefix) || strings.HasPrefix(label, flumenPrefix)
}

// owned gives the labels that make something of kind network or volume the project's.
func owned(project, tier, keyLabel, key string) map[string]string {
	return map[string]string{composeProject: project, keyLabel: key, labelProject: project, labelTier: tier}
}

// serviceLabels gives the labels of a container, besides the user's own.
func serviceLabels(want spec.Desired, s *spec.Service, imageID string) map[string]string {
	labels := map[string]string{
		composeProject: want.Project,
		composeService: s.Name,
		composeNumber:  strconv.Itoa(max(s.Number, 1)),
		composeOneOff:  "False",
		composeHash:    hashValue,
		composeVersion: hashValue,
		composeImage:   imageID,
		labelProject:   want.Project,
		labelTier:      want.TierOf(s.Ref()),
		labelFields:    strings.Join(s.Fields().Names(), "\n"),
	}
	if hidden := hiddenNames(s.Fields()); hidden != "" {
		labels[labelHidden] = hidden
	}
	if want.File != "" {
		labels[composeFiles], labels[composeWorkingDir] = want.File, filepath.Dir(want.File)
	}
	return labels
}

// refOf reads which instance a container is from its labels.
func refOf(labels map[string]string) spec.Ref {
	n, err := strconv.Atoi(labels[composeNumber])
	if err != nil {
		n = 1
	}
	return spec.InstanceRef(labels[composeService], n)
}

// hiddenNames are the names of the fields that hold a secret.
func hiddenNames(f spec.Fields) string {
	names := slices.DeleteFunc(f.Names(), func(name string) bool { return !f[name].IsSensitive() })
	return strings.Join(names, "\n")
}

// hideAgain makes those fields sensitive that were so when the container was made: the spec
// of today may not know that there was a secret in them.
func hideAgain(f spec.Fields, labels map[string]string) {
	for name := range strings.SplitSeq(labels[labelHidden], "\n") {
		if v, ok := f[name]; ok {
			f[name] = v.Hide()
		}
	}
}
