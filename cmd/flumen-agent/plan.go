package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func (a *app) planCommand() *cobra.Command {
	var out, tier string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what apply would do, and why",
		Long: `Compares the spec with what runs and shows what apply would do: per tier and service
which attribute differs, from what to what, what is done about it, and what is held by
which rule. It changes nothing.

Exit codes: 0 nothing to do, 2 there is something to do, 1 error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context(), tier)
			if err != nil {
				return err
			}
			p, _, err := c.reconciler.Plan(cmd.Context(), c.want, a.withLast(cmd.Context(), c, reconciler.Options{Upto: tier}))
			if err != nil {
				return err
			}
			if err := a.showPlan(p, out); err != nil {
				return err
			}
			if !p.Empty() {
				return exitDiffers
			}
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	cmd.Flags().StringVar(&out, "out", "", "also write the plan as JSON to this file, for apply --plan")
	cmd.Flags().StringVar(&tier, "tier", "", "plan only this tier and those below it")
	return cmd
}

func (a *app) showPlan(p plan.Plan, out string) error {
	if err := a.show(p); err != nil {
		return err
	}
	if out == "" {
		return nil
	}
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	if err := os.WriteFile(out, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return nil
}

// hasTier tells whether the spec has the tier that a flag names, if it names one.
func hasTier(want spec.Desired, name string) error {
	if name == "" {
		return nil
	}
	known := ""
	for _, t := range want.Tiers {
		if t.Name == name {
			return nil
		}
		known += " " + t.Name
	}
	return fmt.Errorf("the spec has no tier %q; it has:%s", name, known)
}
