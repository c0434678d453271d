package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/spec"
)

func (a *app) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Load and check the spec; needs no engine",
		Long: `Loads and checks the spec, with everything it includes. All faults are listed at once,
each with file, line and column.

Exit codes: 0 the spec is right, 1 it is not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := a.load(cmd.Context())
			if err != nil {
				return err
			}
			want := loaded.Desired
			fmt.Fprintf(a.stdout, "%s is valid: project %s, %d tiers, %d services.\n",
				a.settings.file, want.Project, len(want.Tiers), len(spec.Resources[*spec.Service](want)))
			for _, s := range spec.Resources[*spec.Service](want) {
				if s.Job {
					fmt.Fprintf(a.stdout, "note: job %s runs again when its container is gone (docker container prune): it must be repeatable.\n", s.Name)
				}
			}
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	return cmd
}
