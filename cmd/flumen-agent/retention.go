package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/folder"
	"github.com/flumendata/flumen-agent/reconciler/delta/metastore"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/s3"
	"github.com/flumendata/flumen-agent/spec"
)

func (a *app) retentionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Look after the files of Delta tables",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.retentionPlanCommand(), a.retentionRunCommand(), a.retentionUndoCommand(), a.retentionUnlockCommand(), a.retentionStatusCommand(),
		a.retentionExplainCommand(), a.retentionAuditCommand())
	return cmd
}

func (a *app) retentionPlanCommand() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say which files of Delta tables could go, and why",
		Long: `Finds the Delta tables that retention.discover names, and says of each how many files
could go by its rule, when their room would be free, which version can be read now and
afterwards, and what keeps files or whole tables from being removed. It removes nothing. What would go is written down
where the agent keeps what it remembers, as retention run would use it.

Exit codes: 0 all tables are as their rules say, 2 files could go or a table's own
retention differs, 3 a table was refused or its plan is held, 4 a live file or a commit is missing,
1 error, or a place could not be searched.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := a.planRetention(cmd.Context(), full)
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
	fullFlag(cmd.Flags(), &full)
	return cmd
}

func fullFlag(f *pflag.FlagSet, full *bool) {
	f.BoolVar(full, "full", false, "list all files of each table, whatever vacuum says")
}

// retentionExit says by its code what a report comes to.
func retentionExit(r proof.Report) error {
	switch status := r.Status(); {
	case status == proof.StatusCritical:
		return exitCritical
	case r.Blind():
		return exitError
	case status == proof.StatusRefused:
		return exitHeld
	case status == proof.StatusReclaimable:
		return exitDiffers
	}
	return nil
}

func (a *app) planRetention(ctx context.Context, full bool) (report proof.Report, err error) {
	want, err := a.loadRetention(ctx)
	if err != nil {
		return report, err
	}
	progress := a.retentionProgress()
	defer progress.end()
	began := time.Now().Round(0)
	err = a.lookAtTables(ctx, want, progress.tell, func(o delta.Options) error {
		o.Full = full
		report, err = delta.Plan(ctx, o)
		return err
	})
	a.noteLook(want.Project, want.Retention, began, report, err)
	return report, err
}

// lookAtTables has the tables of a spec looked at. What cannot be remembered is looked at all the
// same.
func (a *app) lookAtTables(ctx context.Context, want spec.Desired, tell func(delta.Progress), look func(delta.Options) error) error {
	memory := a.retentionMemory(want.Project)
	if err := memory.Check(); err != nil {
		a.warn(fmt.Sprintf("this report lets no run begin, since it cannot be remembered: %v", err))
		memory = nil
	}
	return a.tableOptions(ctx, want, memory, tell, look)
}

// tableOptions opens what the tables of a spec are looked at by, for as long as look takes.
func (a *app) tableOptions(ctx context.Context, want spec.Desired, memory *delta.Memory, tell func(delta.Progress), look func(delta.Options) error) error {
	debug.SetGCPercent(gcPercent)
	stores := a.openStores(want)
	defer stores.done()
	places, unseen := stores.places(ctx, want.Retention.Discover)
	var names func(context.Context) ([]proof.Entry, error)
	if m := a.metastore(want); m != nil {
		names = m.Tables
	}
	return look(delta.Options{
		Places: places, Unseen: unseen, Retention: want.Retention, Names: names, Open: stores.open, Now: time.Now, Progress: tell, Memory: memory,
	})
}

// openStores are the stores of a spec, to look at. Each is opened when it is first asked for.
type openStores struct {
	project string
	buckets *s3.Target
	by      map[string]delta.Store // name
	close   []func()
}

func (a *app) openStores(want spec.Desired) *openStores {
	return &openStores{project: want.Project, buckets: s3.New(a.locateLazily()), by: map[string]delta.Store{}}
}

func (o *openStores) open(ctx context.Context, s *spec.Store) (delta.Store, error) {
	if one := o.by[s.Name]; one != nil {
		return one, nil
	}
	if s.Path != "" {
		o.by[s.Name] = folder.New(s.Path)
		return o.by[s.Name], nil
	}
	files, err := o.buckets.Files(ctx, o.project, s)
	if err != nil {
		return nil, err
	}
	o.by[s.Name], o.close = files, append(o.close, files.Close)
	return files, nil
}

func (o *openStores) done() {
	for _, one := range o.close {
		one()
	}
}

// places are those in which tables are looked for. One whose store cannot be opened is unseen.
func (o *openStores) places(ctx context.Context, all []spec.Discovery) (places []delta.Place, unseen []proof.Unseen) {
	for _, d := range all {
		store, err := o.open(ctx, d.Store)
		if err != nil {
			unseen = append(unseen, proof.Unseen{Place: d.String(), Why: err.Error()})
			continue
		}
		places = append(places, delta.Place{Store: store, Folder: d.Prefix, URL: d.String(), Name: d.Store.Name})
	}
	return places, unseen
}

// locateLazily finds services, and connects to the engine only when it is asked for one: tables
// of a store elsewhere need none.
func (a *app) locateLazily() s3.Locate {
	return func(ctx context.Context, project, service string, port uint16) ([]string, error) {
		target, err := a.target(ctx)
		if err != nil {
			return nil, err
		}
		return target.Addresses(ctx, project, service, port)
	}
}

// metastore is that of a spec; nil if it has none.
func (a *app) metastore(want spec.Desired) *metastore.Metastore {
	m := want.Retention.Metastore
	if m == (spec.Metastore{}) {
		return nil
	}
	locate := func(ctx context.Context) ([]string, error) {
		if m.Address != "" {
			return []string{m.Address}, nil
		}
		return a.locateLazily()(ctx, want.Project, m.Service, m.Port)
	}
	return &metastore.Metastore{Locate: locate}
}
