package delta

import (
	"context"
	"fmt"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// lateMost is how much later than it was written a store that may list late is taken to list a commit.
const lateMost = 5 * time.Second

// mayListLate tells whether the store of a table may.
func (t *looked) mayListLate() bool {
	store, ok := t.found.Store.(Late)
	return ok && store.Late()
}

// agree has a store that may list late list the log of a table again, that long after the plan did. The commits of the
// plan have to be there and no others up to their last one. What has come after them is looked at before each batch, in
// the logs of the tables that may use files of this one too: so theirs were listed as long ago.
func (s *sweep) agree(ctx context.Context) error {
	var last time.Time
	for _, t := range s.tables {
		if t.mayListLate() && t.listedAt.After(last) {
			last = t.listedAt
		}
	}
	if last.IsZero() {
		return nil
	}
	select {
	case <-time.After(time.Until(last.Add(lateMost))):
	case <-ctx.Done():
		return fmt.Errorf("it was ended before anything had gone: %w", context.Cause(ctx))
	}
	if !s.t.mayListLate() {
		return nil
	}
	files, err := s.at.listLog(ctx)
	if err != nil {
		return fmt.Errorf("nobody can tell whether the store lists the log as it did for the plan: %w", err)
	}
	if name := proof.Disagree(s.t.log, files, s.t.Version); name != "" {
		return fmt.Errorf("the store does not list %s as it did for the plan, so that the table has to be planned again; where that is so each time, its lists are not to be relied on, and nothing can be removed by them", name)
	}
	return nil
}
