package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec/command"
	"github.com/flumendata/flumen-agent/spec/git"
)

// app is one invocation: its streams and its settings.
type app struct {
	stdin          io.Reader
	stdout, stderr *masker
	environ        map[string]string
	colour         plan.Paint // whether standard output takes colour
	terminal       bool       // whether standard error is a terminal
	warn           func(text string)
	warned         []string // of the spec, when it was loaded last

	settings settings
	source   *git.Source // the repository that the spec is in, once one was named
	programs command.Runner
	holds    func()      // of an agent: the lock on its project
	holding  atomic.Bool // the agent has it
}

// settings are the flags that all commands share.
type settings struct {
	file     string
	project  string
	profiles []string
	strict   bool
	output   string
	state    string
	hostDirs []string
	git      git.Options
	ageKey   string // file of keys
	commands bool   // secrets may come from them
	interval time.Duration
}

// exit is an error that only says which code to leave with; what there is to say has
// been said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// The exit codes, beside 0.
const (
	exitError    exit = 1 // it could not be done
	exitDiffers  exit = 2 // plan: there is something to do; drift: out of sync; status: not ready
	exitHeld     exit = 3 // apply: done as far as the rules allow; retention: a table was refused or is held
	exitCritical exit = 4 // retention: a live file is missing
)

func newApp(stdin io.Reader, stdout, stderr io.Writer, environ []string) *app {
	a := &app{stdin: stdin, environ: map[string]string{}}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		a.environ[name] = value
	}
	a.colour = plan.Paint(isTerminal(stdout) && a.environ["NO_COLOR"] == "" && a.environ["TERM"] != "dumb")
	a.terminal = isTerminal(stderr) && a.environ["TERM"] != "dumb"
	a.stdout, a.stderr = newMasker(stdout), newMasker(stderr)
	a.warn = func(text string) { fmt.Fprintln(a.stderr, "warning:", text) }
	return a
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// close writes what is still held back. What could not be written was not said, whatever
// else went well.
func (a *app) close(code int) int {
	if err := a.stdout.Close(); err != nil {
		fmt.Fprintf(a.stderr, "flumen-agent: the output is not complete: %v\n", err)
		code = max(code, int(exitError))
	}
	a.stderr.Close()
	return code
}

// execute runs the command that args name and gives the exit code.
func (a *app) execute(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	var code exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	a.complain(err)
	return int(exitError)
}

// complain writes an error for people: one line for each fault.
func (a *app) complain(err error) {
	var many *multierror.Error
	if !errors.As(err, &many) {
		fmt.Fprintf(a.stderr, "flumen-agent: %v\n", err)
		return
	}
	var commit *commitError
	if errors.As(err, &commit) {
		fmt.Fprintf(a.stderr, "flumen-agent: %s does not load:\n", commit.String())
	}
	for _, one := range many.Errors {
		fmt.Fprintln(a.stderr, one)
	}
	if n := len(many.Errors); n > 1 {
		fmt.Fprintf(a.stderr, "%d faults; nothing was changed\n", n)
	}
}

const rootHelp = `flumen-agent keeps a lakehouse on Docker as flumen.yaml says: it compares the file
with what runs, converges it tier by tier, each healthy before the next begins, and
goes on watching.

  flumen-agent validate        is the file right? (needs no engine)
  flumen-agent plan            what would be done, and why
  flumen-agent apply           do it once
  flumen-agent --watch         do it, and keep it so: on every change of the file,
                               and when a container is stopped or killed by hand

Every flag can also be set in the environment: --project as FLUMEN_PROJECT, and so on.
Data is never removed unasked: volumes stay, whatever the file says, and buckets too,
unless it consents.`

func (a *app) rootCommand() *cobra.Command {
	running := a.runCommand()
	root := &cobra.Command{
		Use:           "flumen-agent",
		Short:         "Keep a lakehouse on Docker as flumen.yaml says",
		Long:          rootHelp,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          running.RunE,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.fromEnvironment(cmd.Flags())
		},
	}
	root.Flags().AddFlagSet(running.Flags())
	root.AddCommand(running, a.validateCommand(), a.planCommand(), a.applyCommand(), a.driftCommand(),
		a.statusCommand(), a.historyCommand(), a.whyCommand(), a.pauseCommand(), a.resumeCommand(), a.rollbackCommand(),
		a.downCommand(), a.retentionCommand(), a.versionCommand())
	return root
}

// specFlags are those of every command that reads a spec.
func (a *app) specFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&a.settings.file, "file", "f", "flumen.yaml", "the spec to read")
	flags.StringVar(&a.settings.project, "project", "", "name of the project, instead of the spec's own")
	flags.StringSliceVar(&a.settings.profiles, "profile", nil, "activate a Compose profile (may be repeated; default: those of the variable COMPOSE_PROFILES)")
	flags.BoolVar(&a.settings.strict, "strict", false, "take warnings for errors")
	flags.StringSliceVar(&a.settings.hostDirs, "host-dir", nil, "HERE=HOST: what the engine's host calls a directory, if the agent runs in a container (may be repeated)")
	flags.StringVar(&a.settings.ageKey, "age-key-file", "", "file of the age keys that open encrypted files; or set FLUMEN_AGE_KEY, or SOPS_AGE_KEY_FILE, SOPS_AGE_KEY")
	flags.BoolVar(&a.settings.commands, "allow-secret-commands", false, "let x-flumen.command of a secret run programs on this machine, as this user")
	a.gitFlags(flags)
	flags.StringVar(&a.settings.state, "state", "", "directory of what the agent remembers (default /var/lib/flumen-agent for root, else below $XDG_STATE_HOME)")
}

// fromEnvironment sets the flags that were not given from FLUMEN_NAME.
func (a *app) fromEnvironment(flags *pflag.FlagSet) error {
	var first error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "FLUMEN_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := a.environ[name]
		if !ok || value == "" || f.Changed || f.Name == "help" || first != nil {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			first = fmt.Errorf("environment variable %s: %w", name, err)
		}
	})
	return first
}
