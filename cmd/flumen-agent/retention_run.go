package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/folder"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/s3"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

func (a *app) retentionRunCommand() *cobra.Command {
	var tables []string
	var dry, full bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Remove the files of Delta tables that may go",
		Long: `Does what retention plan does, and then removes what may go from the tables whose rule
says mode: enforce. The first run by a rule only reports, so that a person can read what
the next one will do:

  flumen-agent retention run               # reports, and writes down what would go
  flumen-agent retention run               # removes it
  flumen-agent retention undo RUN          # brings it back

Files go in batches. Before each batch the table's log is read again: what was committed
meanwhile stays, and a RESTORE, a REPLACE or a change of the table's properties ends the
run. Afterwards the table is looked at again; if a live file is missing, everything that
the run removed is brought back, and the table is locked.

What stops a run before its next batch: flumen-agent pause; a file _flumen_hold in the
table; retention.window; a signal. What was removed until then can be undone. With
retention.schedule the agent does the same by itself: flumen-agent run.

An S3 store needs a key of its own for this: delete_access_key and delete_secret_key. In
a folder the agent has the rights of its process.

Exit codes: 0 all tables are as their rules say, 2 files could go or a table's own
retention differs, 3 a table was refused, held or not finished, 4 a live file is
missing, 1 error, or a place could not be searched.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.runRetention(cmd.Context(), tables, dry, full)
			if err != nil {
				return err
			}
			if err := a.show(report); err != nil {
				return err
			}
			return retentionExit(report)
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	cmd.Flags().StringSliceVar(&tables, "table", nil, "treat only this table, by its name or place (may be repeated); all are looked at")
	fullFlag(cmd.Flags(), &full)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "remove nothing: as flumen-agent retention plan")
	return cmd
}

// runRetention looks at all tables and removes what may go from those of the given names or
// places (none: all).
func (a *app) runRetention(ctx context.Context, tables []string, dry, full bool) (proof.Report, error) {
	if dry {
		return a.planRetention(ctx, full)
	}
	want, err := a.loadRetention(ctx)
	if err != nil {
		return proof.Report{}, err
	}
	progress := a.retentionProgress()
	defer progress.end()
	began := time.Now().Round(0)
	report, err := a.removeFiles(ctx, want, progress.tell, func(o *delta.RunOptions) { o.Tables, o.Full = tables, full })
	a.noteLook(want.Project, want.Retention, began, report, err)
	return report, err
}

// loadRetention loads a spec that says where tables are.
func (a *app) loadRetention(ctx context.Context) (spec.Desired, error) {
	loaded, err := a.load(ctx)
	if err == nil && len(loaded.Desired.Retention.Discover) == 0 {
		err = errors.New("the spec does not say where Delta tables are: write retention.discover")
	}
	return loaded.Desired, err
}

// removeFiles is one run of retention over all tables of a spec, in the way that as says.
func (a *app) removeFiles(ctx context.Context, want spec.Desired, tell func(delta.Progress), as func(*delta.RunOptions)) (report proof.Report, err error) {
	memory := a.retentionMemory(want.Project)
	if err := memory.Check(); err != nil {
		return proof.Report{}, fmt.Errorf("nothing is removed without a memory of it: %w; name another directory with --state", err)
	}
	removers := a.removers(want)
	defer removers.close()
	err = a.tableOptions(ctx, want, memory, tell, func(o delta.Options) error {
		run := delta.RunOptions{
			Options: o,
			Remover: func(ctx context.Context, p delta.Place) (delta.Remover, error) { return removers.open(ctx, p.Name) },
			Paused:  func(ctx context.Context) (string, error) { return a.pausedBy(ctx, want.Project) },
			Spark:   a.sparkOf(want),
			Tidy:    a.tidySpark(want.Project),
			Quiet:   func(now time.Time) (time.Time, bool) { return quietAt(want.Retention, now) },
		}
		if m := a.metastore(want); m != nil {
			run.Answers = m.Answers
		}
		as(&run)
		report, err = delta.Run(ctx, run)
		return err
	})
	return report, err
}

// retentionMemory is what retention remembers of a project.
func (a *app) retentionMemory(project string) *delta.Memory {
	return delta.NewMemory(filepath.Join(a.stateDir(), "retention", project))
}

// removers are the stores of a spec by the keys that may remove files. They are opened when they
// are needed, and stay open.
type removers struct {
	want    spec.Desired
	buckets *s3.Target
	opened  map[string]*s3.Remover
}

func (a *app) removers(want spec.Desired) *removers {
	return &removers{want, s3.New(a.locateLazily()), map[string]*s3.Remover{}}
}

func (r *removers) open(ctx context.Context, name string) (delta.Remover, error) {
	if one := r.opened[name]; one != nil {
		return one, nil
	}
	for _, s := range r.want.Stores {
		switch {
		case s.Name != name:
		case s.Path != "":
			return folder.New(s.Path), nil
		default:
			one, err := r.buckets.Remover(ctx, r.want.Project, s)
			if err != nil {
				return nil, err
			}
			r.opened[name] = one
			return one, nil
		}
	}
	return nil, fmt.Errorf("the spec has no store %q", name)
}

func (r *removers) close() {
	for _, one := range r.opened {
		one.Close()
	}
}

// pausedBy says that the project's agent is paused, "" if it is not. A project may have agents on
// several engines: one that is paused counts, and so does one that cannot be asked.
func (a *app) pausedBy(ctx context.Context, project string) (string, error) {
	all, err := filepath.Glob(filepath.Join(a.stateDir(), project+"-????????", "state.db"))
	if err != nil {
		return "", err
	}
	for _, path := range all {
		why, err := pausedIn(ctx, path)
		if err != nil || why != "" {
			return why, err
		}
	}
	return "", nil
}

func pausedIn(ctx context.Context, path string) (string, error) {
	m, err := state.Read(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer m.Close()
	var s reconciler.Standing
	if err := m.Recall(ctx, reconciler.StandingNote, &s); err != nil {
		return "", err
	}
	if now := time.Now(); s.Paused(now) {
		return "the agent is paused: " + strings.TrimSpace(s.Summary(now)), nil
	}
	return "", nil
}
