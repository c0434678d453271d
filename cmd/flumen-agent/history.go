package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

// defaultRuns is how many runs history shows: a screenful.
const defaultRuns = 20

func (a *app) historyCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "history [RUN]",
		Short: "List the runs that did something, or show one in full",
		Long: `Lists the runs that did something, newest first: when, what made the agent look, which
revision, what was done and how it ended. With the number of a run it shows that one in
full: what differed, each step with its reason, and what was held.

Exit codes: 0 done, 1 error.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withMemory(cmd.Context(), func(c *connection, m *state.Store) error {
				if len(args) > 0 {
					return a.showRun(cmd.Context(), m, args[0])
				}
				runs, err := m.Runs(cmd.Context(), limit)
				if err != nil {
					return err
				}
				return a.show(report.History{Project: c.want.Project, Runs: runs, Retention: a.retentionOf(c.want, limit)})
			})
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	cmd.Flags().IntVarP(&limit, "number", "n", defaultRuns, "how many runs to list")
	return cmd
}

// withMemory does something with what is remembered of the project.
func (a *app) withMemory(ctx context.Context, do func(*connection, *state.Store) error) error {
	c, err := a.identify(ctx)
	if err != nil {
		return err
	}
	m, err := a.readMemory(ctx, c.engineID, c.want.Project)
	if err != nil {
		return err
	}
	return errors.Join(do(c, m), m.Close())
}

func (a *app) showRun(ctx context.Context, m *state.Store, number string) error {
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no number of a run: flumen-agent history lists them", number)
	}
	run, err := m.Run(ctx, id)
	if err != nil {
		return fmt.Errorf("run %d: %w; flumen-agent history lists those there are", id, err)
	}
	return a.show(run)
}

func (a *app) whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why REF",
		Short: "Tell what was last done to something, why, and what would be done next",
		Long: `Tells for a thing, as in service/trino, what was last done to it and the whole chain of
reasons: what made the agent look, which revision, what differed, the step and how it
ended; and what would be done to it now, or what holds that back.

Exit codes: 0 done, 1 error.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := spec.ParseRef(args[0])
			if err != nil {
				return err
			}
			return a.why(cmd.Context(), ref)
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	return cmd
}

func (a *app) why(ctx context.Context, ref spec.Ref) error {
	return a.withMemory(ctx, func(c *connection, m *state.Store) error {
		runs, err := m.RunsOf(ctx, ref, 1)
		if err != nil {
			return err
		}
		why := report.Why{Project: c.want.Project, Ref: ref}
		if len(runs) > 0 {
			why.Last = &runs[0]
		}
		if len(c.want.Tiers) == 0 { // there is no spec here to plan for
			return a.show(why)
		}
		check, err := c.reconciler.CheckDrift(ctx, c.want, a.withLast(ctx, c, reconciler.Options{}))
		if err != nil {
			return err
		}
		why.Next, why.Usage = report.NextOf(ref, *check.Would, check.Differences), check.UsageOf(ref)
		if why.Last == nil && why.Next.Difference == nil && c.want.Find(ref) == nil {
			return fmt.Errorf("%s is neither in the spec nor in the history: flumen-agent status lists what there is", ref)
		}
		if why.Next.Difference == nil && c.want.Find(ref) == nil {
			why.Next.Reason = "it is not in the spec"
		}
		return a.show(why)
	})
}
