package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
)

// errDeclined is what a person said no to.
var errDeclined = errors.New("not confirmed; nothing was changed")

func (a *app) applyCommand() *cobra.Command {
	var saved, tier string
	var yes bool
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Converge once",
		Long: `Brings what runs to what the spec says, once: images first, then tier by tier, each
ready before the next begins. On a terminal it shows the plan and asks; in a pipe it
does not ask. A container that is replaced is kept until the new one is ready, and is
started again if that fails. Volumes are never removed.

With --plan FILE it plans again and goes on only if that gives the very plan in FILE.

Where a flumen-agent keeps the project up, that one is asked to do it. A revision that
failed is tried again.

Exit codes: 0 converged, 1 failed or not ready, 3 converged, and something that works as it
is was held back.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect(cmd.Context(), tier)
			if err != nil {
				return err
			}
			o := a.withLast(cmd.Context(), c, reconciler.Options{Trigger: "apply", Upto: tier, Refresh: saved == ""})
			if o.Fingerprint, err = a.mayApply(cmd.Context(), c, o, saved, yes); err != nil {
				return err
			}
			switch rep, asked, err := a.askToApply(cmd.Context(), c, o); {
			case err != nil:
				return err
			case asked:
				return a.conclude(rep)
			}
			return a.converge(cmd.Context(), c, o)
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	cmd.Flags().StringVar(&saved, "plan", "", "apply only if the plan is still the one in this file (made by plan --out)")
	cmd.Flags().StringVar(&tier, "tier", "", "converge only this tier and those below it")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// mayApply checks the saved plan, if there is one, and asks the person, if there is one.
// It gives the fingerprint of the plan that was agreed to.
func (a *app) mayApply(ctx context.Context, c *connection, o reconciler.Options, saved string, yes bool) (fingerprint string, err error) {
	asks := !yes && a.terminal && isTerminal(a.stdin)
	if saved == "" && !asks {
		return "", nil
	}
	p, _, err := c.reconciler.Plan(ctx, c.want, o)
	if err != nil {
		return "", err
	}
	if saved != "" {
		if err := matches(p, saved); err != nil {
			return "", err
		}
	}
	if !asks || p.Empty() {
		return p.Fingerprint, nil
	}
	p.Text(a.stderr, a.colour)
	return p.Fingerprint, a.confirm("Apply this plan?")
}

// matches refuses a plan that is not the saved one.
func matches(p plan.Plan, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	fingerprint, revision, err := plan.ParseFingerprint(b)
	switch {
	case err != nil || fingerprint == "":
		return fmt.Errorf("%s is not a plan: write one with flumen-agent plan --out FILE", file)
	case revision.ID != p.Revision.ID:
		return fmt.Errorf("%s was made for revision %s, the spec is at %s now; plan again", file, revision.Short(), p.Revision.Short())
	case fingerprint != p.Fingerprint:
		return fmt.Errorf("what runs has changed since %s was made, so the plan would be another one; look at it with flumen-agent plan", file)
	}
	return nil
}

// confirm asks on the terminal and takes only yes for yes.
func (a *app) confirm(question string) error {
	fmt.Fprintf(a.stderr, "\n%s [y/N] ", question)
	a.stderr.Flush()
	answer, _ := bufio.NewReader(a.stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errDeclined
}

// converge does one run with live progress, and shows its report.
func (a *app) converge(ctx context.Context, c *connection, o reconciler.Options) error {
	o.Enter = a.entering(c)
	done := a.watchProgress(c)
	rep := c.reconciler.Converge(ctx, c.want, o)
	done()
	a.noteRun(ctx, c, rep)
	return a.conclude(rep)
}

// askToApply has the agent that holds the project do the run, if one does.
func (a *app) askToApply(ctx context.Context, c *connection, o reconciler.Options) (rep report.Report, asked bool, err error) {
	agent, err := a.lock(c).agent()
	if err != nil || agent == nil {
		return rep, false, err
	}
	if o.Upto != "" || !o.Refresh {
		return rep, true, fmt.Errorf("a flumen-agent (process %s) keeps project %s up, and does so in full: leave out --tier and --plan, or stop it", agent.process, c.want.Project)
	}
	answer, asked, err := a.ask(ctx, c, reconciler.AskApply, reconciler.Ask{Revision: c.want.Revision.ID})
	if answer.Report != nil {
		rep = *answer.Report
	}
	return rep, asked, err
}

// watchProgress shows the events of the next run on standard error until done.
func (a *app) watchProgress(c *connection) (done func()) {
	listen, done := newProgress(a.stderr, a.terminal, terminalWidth, a.colour)
	c.reconciler.Listen = listen
	return done
}

func terminalWidth() int {
	if width, _, err := term.GetSize(int(os.Stderr.Fd())); err == nil && width > 0 {
		return width
	}
	return 100
}

// conclude shows a report and turns it into an exit code.
func (a *app) conclude(rep report.Report) error {
	if err := a.show(rep); err != nil {
		return err
	}
	switch {
	case rep.Err() != nil, !rep.Ready:
		return exitError
	case len(rep.Held) > 0:
		return exitHeld
	}
	return nil
}
