// Package targettest is the conformance suite that every Target for containers
// passes: the in-memory one and the real engines.
//
//	desired ─▶ Observe ─▶ drift.Compare ─▶ plan.Build ─▶ Apply ─▶ Observe: no drift
//
// It drives a Target with the real core, so that it proves what a run relies on:
// an Apply that returns nil made its change true, what was applied compares as in
// sync, what is not owned is never touched, and data is never removed.
package targettest

import (
	"context"
	"testing"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Target is what is tested: the system that holds the resources of one project. What
// is applied was always observed before, with the same desired state.
type Target interface {
	Kinds() []spec.Kind
	Observe(ctx context.Context, want spec.Desired) (drift.Observed, error)
	Apply(ctx context.Context, c plan.Change, p plan.Progress) error
}

// Fault is something done to a container by hand, behind the target's back.
type Fault string

// The faults a suite asks for.
const (
	Stop   Fault = "stop"
	Kill   Fault = "kill"
	Pause  Fault = "pause"
	Remove Fault = "remove" // by force
)

// Suite is what the tests need to know of a system. All tests of one Suite share
// one engine; each has projects of its own on it.
type Suite struct {
	// Project begins the name of every project, and of all that is made.
	Project string
	// Image is there on the engine. Its entrypoint is /sleeper, which runs until
	// it gets SIGTERM; with the arguments "exit N" it ends at once with code N,
	// and with "health" it ends with 0.
	Image string
	// HostPort is the first of three free TCP ports of the engine's host.
	HostPort int
	// New gives a target for a project. It registers the removal of all that the
	// project leaves on the engine, volumes too, with t.Cleanup.
	New func(t *testing.T, project string) Target
	// Break does something to a container, given by its name on the engine.
	Break func(t *testing.T, container string, how Fault)
	// Foreign makes a network, a volume or a running container (kind service) that
	// belongs to nobody, with that name on the engine, and registers its removal.
	Foreign func(t *testing.T, kind spec.Kind, name string)
	// Unreachable gives a target whose engine does not answer.
	Unreachable func(t *testing.T) Target
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	for _, c := range []struct {
		name string
		test func(*project)
	}{
		{"AppliedIsInSync", testAppliedIsInSync},
		{"FreshProjectHasNothing", testFreshProjectHasNothing},
		{"ApplyTwiceIsSuccess", testApplyTwiceIsSuccess},
		{"ProgressComesInOrder", testProgressComesInOrder},
		{"ManyAtOnce", testManyAtOnce},
		{"CreateNeedsItsImage", testCreateNeedsItsImage},
		{"CreateNeedsItsNetwork", testCreateNeedsItsNetwork},
		{"CreateFailsWhenUnhealthy", testCreateFailsWhenUnhealthy},

		{"ObserveTellsUnreachableFromAbsent", testUnreachable},
		{"ObserveTellsCancelledFromAbsent", testCancelled},
		{"ObserveSeesFaults", testObserveSeesFaults},
		{"ObserveSeesExtra", testObserveSeesExtra},
		{"ProjectsDoNotSeeOneAnother", testProjectsDoNotSeeOneAnother},

		{"UpdateKeepsTheContainer", testUpdateKeepsTheContainer},
		{"RestartKeepsTheContainer", testRestartKeepsTheContainer},
		{"ReplaceMakesAnew", testReplaceMakesAnew},
		{"ReplaceRollsBackWhatCrashes", testReplaceRollsBackWhatCrashes},
		{"ReplaceRollsBackWhatIsUnhealthy", testReplaceRollsBackWhatIsUnhealthy},
		{"ReplaceWithoutRollbackKeepsTheOldStopped", testReplaceWithoutRollback},
		{"RenamedServiceTakesPortAndVolume", testRenamedService},
		{"RenamedServiceThatFailsGivesThemBack", testRenamedServiceFails},
		{"ReplacedNetworkTakesItsServicesAlong", testReplacedNetwork},

		{"JobIsDone", testJobIsDone},
		{"FailedJobTellsItsExitCode", testFailedJob},

		{"StaleIDIsRefused", testStaleIDIsRefused},
		{"RemoveOfGoneIsSuccess", testRemoveOfGoneIsSuccess},
		{"NetworkInUseIsNotRemoved", testNetworkInUseIsNotRemoved},
		{"VolumeIsNeverRemoved", testVolumeIsNeverRemoved},
		{"ForeignIsNotTouched", testForeignIsNotTouched},
		{"ExternalIsUsedAndLeft", testExternalIsUsedAndLeft},
		{"DownLeavesTheVolumes", testDownLeavesTheVolumes},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(s.project(t, "")) })
	}
}
