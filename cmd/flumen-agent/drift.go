package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/report"
)

func (a *app) driftCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Check once how far what runs is from the spec",
		Long: `Compares the spec with what runs, attribute by attribute, and lists every difference.
It changes nothing. What could not be looked at is listed as unseen, never as in sync.
Where the spec has drift.reports, the reports are written too. With -o html it writes one
page for a browser, with -o junit what CI systems read.

Exit codes: 0 in sync, 2 drift, 1 error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context(), "")
			if err != nil {
				return err
			}
			check, err := c.reconciler.CheckDrift(cmd.Context(), c.want, a.withLast(cmd.Context(), c, reconciler.Options{}))
			if err != nil {
				return err
			}
			if err := a.ageCheck(cmd.Context(), c, &check); err != nil {
				a.warn(fmt.Sprintf("since when things differ is not known: %v", err))
			}
			if err := errors.Join(a.showCheck(check), a.writeReports(c.want.Checks.Reports, check)); err != nil {
				return err
			}
			if !check.Differences.InSync() {
				return exitDiffers
			}
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags(), "markdown", "html", "junit")
	return cmd
}

// showCheck writes a check as text or JSON, or in one of the formats of reports.
func (a *app) showCheck(check report.Check) error {
	if a.settings.output == outputText || a.settings.output == outputJSON {
		return a.show(check)
	}
	text, err := a.renderReport(a.settings.output, check)
	if err != nil {
		return err
	}
	return a.stdout.Pass(text)
}

// ageCheck adds to a check since when things differ. Where an agent holds the project it is
// the one that keeps count.
func (a *app) ageCheck(ctx context.Context, c *connection, check *report.Check) error {
	agent, err := a.lock(c).agent()
	if err != nil {
		return err
	}
	open := a.openMemory
	if agent != nil {
		open = a.readMemory
	}
	m, err := open(ctx, c.engineID, c.want.Project)
	if err != nil {
		return err
	}
	defer m.Close()
	return reconciler.Age(ctx, m, check, agent == nil)
}
