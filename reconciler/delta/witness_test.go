package delta_test

import (
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// TestFault01CheckpointThatNothingOlderVouchesForIsSaidToBe: as a cleanup leaves a log, with the commit of its oldest
// checkpoint.
func TestFault01CheckpointThatNothingOlderVouchesForIsSaidToBe(t *testing.T) {
	all := "only its newest checkpoint says which files are live: nothing older"
	for trimmed, says := range map[int64]string{
		0: "", 1: "only its newest checkpoint says which files were live before version 1, with which", 2: "live before version 2, with which", 3: all, 4: all,
	} {
		l := newLake(t)
		table := l.usual("t")
		table.Checkpoint(deltatest.Checkpoint{})
		table.Commit(ago(1))
		table.Trim(trimmed)
		one := l.of(table)
		switch f, found := one.Find(proof.FoundOneWitness); {
		case found != (says != ""), !strings.Contains(f.Says, says):
			t.Errorf("the log begins with version %d:\n%s", trimmed, l.text())
		case found && f.Effect != proof.EffectNote:
			t.Errorf("%+v", f)
		}
		// An older checkpoint vouches for it as soon as there is a newer one.
		table.Checkpoint(deltatest.Checkpoint{})
		one = l.of(table)
		if f, found := one.Find(proof.FoundOneWitness); found {
			t.Errorf("the log begins with version %d, and there are two checkpoints: %s", trimmed, f.Says)
		}
	}
}
