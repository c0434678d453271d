package delta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// snapshot is a table's log at one moment: what is in it, and the checkpoint that its state is
// made of.
type snapshot struct {
	log      proof.Log
	head     proof.Head
	newest   *proof.Checkpoint // nil: the state is made of commits alone
	found    []proof.Finding
	listedAt time.Time // when the log had been listed
}

// look reads what the newest version says about the table. A checkpoint newer than upto, and one
// that is in broken, is not made use of.
func (t *table) look(ctx context.Context, upto int64, broken []string) (snapshot, error) {
	files, err := t.listLog(ctx)
	if err != nil {
		return snapshot{}, err
	}
	s := snapshot{listedAt: time.Now()}
	if s.log, err = proof.ReadLog(files); err != nil {
		return s, &proof.Refusal{Why: err.Error(), Do: proof.MendLog}
	}
	s.log.Checkpoints = slices.DeleteFunc(s.log.Checkpoints, func(c proof.Checkpoint) bool {
		return c.Version > upto || slices.Contains(broken, c.String())
	})
	for {
		err := t.lookAt(ctx, &s)
		var corrupt *corruptError
		if !errors.As(err, &corrupt) {
			return s, err
		}
		s.drop(corrupt)
	}
}

// drop forgets a checkpoint that cannot be read.
func (s *snapshot) drop(c *corruptError) {
	s.found = append(s.found, corruptFinding(c))
	s.log.Checkpoints = slices.DeleteFunc(s.log.Checkpoints, func(o proof.Checkpoint) bool { return o.String() == c.checkpoint.String() })
}

func corruptFinding(c *corruptError) proof.Finding {
	return proof.Finding{Kind: proof.FoundCheckpointCorrupt, Effect: proof.EffectNote, Says: c.Error() + "; what is older was taken instead; let Spark write another one"}
}

// lookAt takes the newest checkpoint that is left.
func (t *table) lookAt(ctx context.Context, s *snapshot) error {
	version := int64(-1)
	s.newest = nil
	if len(s.log.Checkpoints) > 0 {
		s.newest = &s.log.Checkpoints[0]
		version = s.newest.Version
	}
	if !s.log.Supports(version) {
		return &proof.Refusal{Why: gap(s.log, version), Do: proof.MendLog}
	}
	var p *proof.Protocol
	var m *proof.Metadata
	after := slices.Clone(s.log.After(version))
	slices.Reverse(after)
	err := t.readCommits(ctx, after, func(c proof.Commit) error {
		if p == nil {
			p = c.Protocol
		}
		if m == nil {
			m = c.Metadata
		}
		if p != nil && m != nil {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if s.newest != nil {
		h, err := t.readHead(ctx, *s.newest)
		if err != nil {
			return err
		}
		p, m = cmp.Or(p, h.protocol), cmp.Or(m, h.metadata)
	}
	s.head, err = proof.NewHead(s.log.Version, p, m)
	return err
}

// errEnough ends a reading that has found what it was for.
var errEnough = errors.New("enough was read")

// gap says what is missing between a checkpoint and the newest version.
func gap(l proof.Log, version int64) string {
	if version < 0 {
		return fmt.Sprintf("its log begins with version %d and has no checkpoint that can be read", l.Start())
	}
	return fmt.Sprintf("its log lacks versions %d to %d, which come after its newest checkpoint", version+1, l.Start()-1)
}

// witness is the oldest checkpoint that the second witness can begin with: older than the
// newest, and with all commits after it.
func (s *snapshot) witness() *proof.Checkpoint {
	if s.newest == nil || s.log.Start() == 0 {
		return nil // the commits say it all
	}
	for i := len(s.log.Checkpoints) - 1; i >= 0; i-- {
		if c := s.log.Checkpoints[i]; c.Version < s.newest.Version && s.log.Supports(c.Version) {
			return &c
		}
	}
	return nil
}
