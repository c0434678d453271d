package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler"
)

func (a *app) pauseCommand() *cobra.Command {
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "pause [REASON...]",
		Short: "Keep the agent from changing anything for a while",
		Long: `The agent goes on looking, reporting and checking, and changes nothing until the time
is over, or until flumen-agent resume. The pause outlives the agent; status shows it.

  flumen-agent pause --for 2h moving the disks

Exit codes: 0 done, 1 error.`,
		RunE: func(cmd *cobra.Command, reason []string) error {
			if length < 0 {
				return fmt.Errorf("--for %s: a pause cannot end before it begins", length)
			}
			c, err := a.identify(cmd.Context())
			if err != nil {
				return err
			}
			ask := reconciler.Ask{Reason: strings.Join(reason, " ")}
			if length > 0 {
				ask.Until = time.Now().Add(length)
			}
			return a.tell(cmd.Context(), c, reconciler.AskPause, ask)
		},
	}
	a.specFlags(cmd.Flags())
	cmd.Flags().DurationVar(&length, "for", 0, "end the pause after so long, as in 2h (default: it has no end)")
	return cmd
}

func (a *app) resumeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "End a pause, or what rollback has pinned",
		Long: `Ends a pause, and lets go of the revision that rollback has pinned: the agent follows
the newest revision again.

Exit codes: 0 done, 1 error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.identify(cmd.Context())
			if err != nil {
				return err
			}
			return a.tell(cmd.Context(), c, reconciler.AskResume, reconciler.Ask{})
		},
	}
	a.specFlags(cmd.Flags())
	return cmd
}

func (a *app) rollbackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback [REVISION]",
		Short: "Go back to an earlier revision that worked, and stay there",
		Long: `Goes back to the revision that became ready before the one in force, or to the one whose
commit begins with REVISION, and stays there until the source gives another revision than
it does now, or until flumen-agent resume. flumen-agent history lists the revisions.

It needs an agent that follows a git repository: that one has earlier revisions with all
their files. An agent that watches a file knows only those it has seen itself.

Exit codes: 0 done, 1 error.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.identify(cmd.Context())
			if err != nil {
				return err
			}
			ask := reconciler.Ask{}
			if len(args) > 0 {
				ask.Revision = args[0]
			}
			answer, asked, err := a.ask(cmd.Context(), c, reconciler.AskRollback, ask)
			switch {
			case err != nil:
				return err
			case asked && answer.Report != nil:
				return a.conclude(*answer.Report)
			case asked:
				return nil
			}
			if err := a.tell(cmd.Context(), c, reconciler.AskRollback, ask); err != nil {
				return err
			}
			fmt.Fprintln(a.stderr, "no flumen-agent holds the project: the next one that starts will go back")
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	return cmd
}
