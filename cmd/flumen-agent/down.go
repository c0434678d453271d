package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

func (a *app) downCommand() *cobra.Command {
	var tier string
	var yes bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop and remove containers and networks; data stays",
		Long: `Stops and removes the project's containers and networks, highest tier first. Volumes and
images stay, so that apply brings everything back with its data.

Exit codes: 0 done, 1 failed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context(), tier)
			if err != nil {
				return err
			}
			if err := a.lock(c).refuseAgent(); err != nil {
				return err
			}
			have, _, err := c.reconciler.Look(cmd.Context(), c.want, reconciler.Options{})
			if err != nil {
				return err
			}
			if err := seen(have); err != nil {
				return err
			}
			p := plan.Down(c.want, have, tier)
			if p.Empty() && a.settings.output != "json" {
				_, err := fmt.Fprintln(a.stdout, nothingThere(c.want.Project, tier))
				return err
			}
			if !yes && a.terminal && isTerminal(a.stdin) {
				p.Text(a.stderr, a.colour)
				if err := a.confirm("Take this down?"); err != nil {
					return err
				}
			}
			done := a.watchProgress(c)
			rep := c.reconciler.Execute(cmd.Context(), c.want, p)
			done()
			a.noteRun(cmd.Context(), c, rep)
			if rep.Err() != nil || a.settings.output == "json" {
				return a.conclude(rep)
			}
			rep.TextOfLeft(a.stdout, a.colour)
			fmt.Fprintf(a.stdout, "%s %s is down: %s removed. Volumes and images stay.\n",
				a.colour.On(plan.Green, "✓"), downWhat(c.want.Project, tier), removed(rep))
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	cmd.Flags().StringVar(&tier, "tier", "", "take down only this tier and those above it")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// nothingThere says that there is nothing to take down.
func nothingThere(project, tier string) string {
	if tier == "" {
		return fmt.Sprintf("Nothing to take down: there are no containers and no networks of project %s.", project)
	}
	return fmt.Sprintf("Nothing to take down: there is nothing of tier %s of project %s, nor of those above it.", tier, project)
}

// downWhat names what is down: a project, or the upper part of it.
func downWhat(project, tier string) string {
	if tier == "" {
		return project
	}
	return fmt.Sprintf("%s from tier %s up", project, tier)
}

// removed counts what was removed, by kind: "2 containers, 1 network".
func removed(rep report.Report) string {
	counts := map[spec.Kind]int{}
	for _, s := range rep.Steps {
		counts[s.Ref.Kind]++
	}
	var parts []string
	for _, k := range []struct {
		kind spec.Kind
		word string
	}{{spec.KindService, "container"}, {spec.KindNetwork, "network"}} {
		if n := counts[k.kind]; n > 0 {
			parts = append(parts, report.Counted(n, k.word))
		}
	}
	return strings.Join(parts, ", ")
}

// seen refuses to go on where something could not be looked at that may have to be removed: it
// might be left running while it is said to be down.
func seen(have drift.Observed) error {
	for _, ref := range slices.SortedFunc(maps.Keys(have.Blind), spec.Ref.Compare) {
		if ref.Kind != spec.KindService && ref.Kind != spec.KindNetwork {
			continue
		}
		return fmt.Errorf("%s could not be looked at, so nothing was taken down: %s", ref, have.Blind[ref])
	}
	return nil
}
