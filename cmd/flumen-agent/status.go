package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// logLines is how much of its log a service that is not well shows: enough for a
// stack trace's end, little enough for a screen.
const logLines = 10

func (a *app) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how every tier and service stands",
		Long: `Shows every resource of every tier: state, health, since when, how long it took to become
ready and what it waited for, exit code, kills for want of memory, restarts, and the last
log lines of a service that is not well; and of the last run that brought services up the
chain of steps that bounded it, its critical path.

Exit codes: 0 all ready, 2 not, 1 error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, have, d, err := a.look(cmd.Context())
			if err != nil {
				return err
			}
			status := report.NewStatus(c.want, have, d)
			if len(c.want.Windows) > 0 {
				w := windowAt(c.want, time.Now())
				status.Window = &w
			}
			if status.Kept, err = a.kept(cmd.Context(), c); err != nil {
				a.warn(err.Error())
			}
			if err := a.rememberInto(cmd.Context(), c, &status); err != nil {
				a.warn(fmt.Sprintf("how long services took to become ready is not known: %v", err))
			}
			status.Retention = a.retentionOf(c.want, 1)
			for _, tier := range status.Tiers {
				c.addLogs(cmd.Context(), tier.Resources)
			}
			if err := a.show(status); err != nil {
				return err
			}
			if !status.Ready {
				return exitDiffers
			}
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	return cmd
}

// rememberInto adds what the history tells of how things came to be.
func (a *app) rememberInto(ctx context.Context, c *connection, s *report.Status) error {
	m, err := a.readMemory(ctx, c.engineID, c.want.Project)
	if err != nil {
		return err
	}
	defer m.Close()
	runs, err := m.LastActs(ctx)
	if err == nil {
		s.Remember(runs)
	}
	return err
}

// lookedBound is how old a look of the agent may be and still count: several intervals.
const lookedBound = 5 * time.Minute

// kept is what is remembered of how the project is kept up, or nil.
func (a *app) kept(ctx context.Context, c *connection) (*report.Kept, error) {
	s, err := a.standing(ctx, c)
	if err != nil {
		return nil, err
	}
	agent, err := a.lock(c).agent()
	if err != nil || agent == nil && s.Wanted.ID == "" {
		return nil, err
	}
	k := keptAs(s, time.Now(), lookedBound)
	if agent != nil {
		k.Agent = agent.process
	}
	return &k, nil
}

// keptAs is a standing as it is shown. A look that is older than bound counts no more.
func keptAs(s reconciler.Standing, now time.Time, bound time.Duration) report.Kept {
	k := report.Kept{
		Wanted: s.Wanted, Enforced: s.Enforced, Summary: s.Summary(now), Trouble: s.Trouble, Since: s.TroubleSince, Paused: s.Paused(now), Degraded: []spec.Ref{},
		Quarantined: []spec.Revision{}, Looked: s.Looked.At, Verdict: report.VerdictOf(s.Looked.At, s.Looked.InSync, now, bound),
	}
	for _, r := range s.Retries {
		if r.Degraded() {
			k.Degraded = append(k.Degraded, r.Ref)
		}
	}
	for _, q := range s.Quarantined {
		k.Quarantined = append(k.Quarantined, q.Revision)
	}
	return k
}

// addLogs adds the last lines of the services that are not well. A log that cannot be
// read is left out: the status itself matters more.
func (c *connection) addLogs(ctx context.Context, resources []report.ResourceStatus) {
	for i := range resources {
		r := &resources[i]
		if r.Ref.Kind == spec.KindService && r.ID != "" && r.Unwell() {
			r.Log, _ = c.target.Logs(ctx, r.ID, logLines)
		}
	}
}
