package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler/report"
)

func (a *app) driftCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Check once how far what runs is from the spec",
		Long: `Compares the spec with what runs, attribute by attribute, and lists every difference.
It changes nothing. What could not be looked at is listed as unseen, never as in sync.
Where the spec has drift.reports, the reports are written too.

Exit codes: 0 in sync, 2 drift, 1 error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, have, d, err := a.look(cmd.Context())
			if err != nil {
				return err
			}
			check := report.NewCheck(c.want, have, d)
			if err := errors.Join(a.show(check), a.writeReports(c.want.Checks.Reports, check)); err != nil {
				return err
			}
			if !d.InSync() {
				return exitDiffers
			}
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	return cmd
}
