package main

import (
	"context"

	"github.com/spf13/cobra"

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
		Long: `Shows every resource of every tier: state, health, since when, exit code, kills for want
of memory, restarts, and the last log lines of a service that is not well.

Exit codes: 0 all ready, 2 not, 1 error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, have, d, err := a.look(cmd.Context())
			if err != nil {
				return err
			}
			status := report.NewStatus(c.want, have, d)
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
