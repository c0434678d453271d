package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

func (a *app) retentionUndoCommand() *cobra.Command {
	var tables []string
	cmd := &cobra.Command{
		Use:   "undo RUN",
		Short: "Bring back the files that a retention run has removed",
		Long: `Brings back every file that a run has removed, also a run that was killed, looks
whether all are there, and locks the tables: the next run would remove the same files
again. flumen-agent retention status lists the runs; unlock lets runs go on with a table.

It can be done until undo_keep of the table's rule has passed, and repeated. It goes by
the journal of the run, which is on this machine, and needs the same store and key.

Exit codes: 0 all files are there, 4 some could not be brought back, 1 error.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := a.load(cmd.Context())
			if err != nil {
				return err
			}
			removers := a.removers(loaded.Desired)
			defer removers.close()
			undone, err := delta.Undo(cmd.Context(), delta.UndoOptions{
				Memory: a.retentionMemory(loaded.Desired.Project), Run: args[0], Now: time.Now, Tables: tables, Tidy: a.tidySpark(loaded.Desired.Project),
				Remover: func(ctx context.Context, store string) (delta.Remover, error) { return removers.open(ctx, store) },
			})
			if err != nil {
				return err
			}
			if err := a.show(undone); err != nil {
				return err
			}
			if undone.Err() != nil {
				return exitCritical
			}
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	cmd.Flags().StringSliceVar(&tables, "table", nil, "bring back only this table, by its name or place (may be repeated)")
	return cmd
}

func (a *app) retentionUnlockCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unlock TABLE",
		Short: "Let retention runs go on with a table that was locked",
		Long: `A table is locked when a live file was missing after a run, and by retention undo.
Unlocked, by its name or its place, it needs one more report that is in order before
files of it are removed again.

Exit codes: 0 done, 1 error.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := a.load(cmd.Context())
			if err != nil {
				return err
			}
			lock, err := a.retentionMemory(loaded.Desired.Project).Unlock(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%s: unlocked; it had been locked since %s\n", args[0], lock.Why)
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	return cmd
}

func (a *app) retentionStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what retention has done, and what it can undo",
		Long: `Lists the tables that were looked at from this machine, when each had a report that lets
a run begin, what the last run did, locks, and the runs that can be undone. It looks at
no store.

Exit codes: 0 nothing is amiss, 3 a table is locked or a run was cut off, 1 error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := a.load(cmd.Context())
			if err != nil {
				return err
			}
			s, err := retentionStatus(a.retentionMemory(loaded.Desired.Project))
			if err != nil {
				return err
			}
			s.Retention = a.retentionOf(loaded.Desired, 1)
			if err := a.show(s); err != nil {
				return err
			}
			if s.amiss() {
				return exitHeld
			}
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	return cmd
}

// retentionState is what is remembered of all tables.
type retentionState struct {
	Tables []delta.Known   `json:"tables"`
	Runs   []delta.PastRun `json:"runs"`
	*report.Retention
}

func retentionStatus(m *delta.Memory) (s retentionState, err error) {
	tables, errTables := m.Tables()
	runs, errRuns := m.Runs()
	return retentionState{Tables: tables, Runs: runs}, errors.Join(errTables, errRuns)
}

func (s retentionState) amiss() bool {
	for _, t := range s.Tables {
		if t.Lock != nil {
			return true
		}
	}
	for _, r := range s.Runs {
		if r.State == "cut off" {
			return true
		}
	}
	return false
}

// Text writes it for people.
func (s retentionState) Text(w io.Writer, paint plan.Paint) {
	if len(s.Tables) == 0 {
		fmt.Fprintln(w, "No Delta table was looked at from here yet: flumen-agent retention plan")
	}
	for _, t := range s.Tables {
		called := t.Name
		if called == "" {
			called = t.Place
		}
		fmt.Fprintf(w, "%s: %s\n", paint.On(plan.Bold, called), tableState(t, paint))
	}
	for _, r := range s.Runs {
		called := r.Table
		if called == "" {
			called = r.Place
		}
		fmt.Fprintf(w, "run %s of %s: %s, %s", r.Run, called, r.State, r.Removed)
		if r.By != "" {
			fmt.Fprintf(w, " by %s", r.By)
		}
		if r.Undo == spec.UndoNone && r.Removed.Files > 0 {
			fmt.Fprint(w, "; cannot be undone")
		} else if r.State != "undone" && r.State != "lapsed" && r.Removed.Files > 0 {
			fmt.Fprintf(w, "; can be undone until %s (%s)", r.Until.UTC().Format("2006-01-02 15:04"), r.Undo)
		}
		fmt.Fprintln(w)
	}
	s.Retention.Text(w, paint)
}

func tableState(t delta.Known, paint plan.Paint) string {
	text := "no report yet that lets a run begin"
	if t.Clean != nil {
		text = "in order at " + t.Clean.At.UTC().Format("2006-01-02 15:04")
	}
	if l := t.Last; l != nil {
		text += fmt.Sprintf("; last run %s: %s", l.Run, l.Removal.String())
	}
	if t.Lock != nil {
		text += "; " + paint.On(plan.Red, "locked: "+t.Lock.Why)
	}
	return text
}
