package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/docker"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/reconciler/status"
	"github.com/flumendata/flumen-agent/spec"
	"github.com/flumendata/flumen-agent/spec/file"
	"github.com/flumendata/flumen-agent/spec/git"
)

const (
	// defaultInterval is how often the agent looks when neither the file nor the
	// engine gives a reason to: events can be lost, a look costs milliseconds.
	defaultInterval = time.Minute
	// settle is how long the files must be quiet before they are read: an editor
	// writes in several steps.
	settle = 200 * time.Millisecond
	// gcPercent has the collector run more often than usual: an agent has little to do and
	// is to be small.
	gcPercent = 50
	// reconnect is how long to wait before the engine's events are asked for again.
	reconnect = time.Second
)

// runSettings are the flags of run.
type runSettings struct {
	watch, once, noHeal bool
	logFormat, logLevel string
	listen              string // "" is nowhere
	certificate         status.Certificate
	webhookSecretFile   string
	tokensFile          string
	notify              notifySettings
	forge               forgeSettings
	otlpEndpoint        string
}

func (a *app) runCommand() *cobra.Command {
	var s runSettings
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Converge, and keep watching (the default)",
		Long: `Converges to the spec and keeps it so: on every change of the spec or of a file it
mounts, when a container is stopped, killed or removed by hand, and once per interval.

Each interval everything is listed, and what the list or the engine's events tell of is
inspected. All else is inspected at least every ten minutes, or every interval if that is
longer: a change of which the engine tells nothing is found within that time.

A spec that does not load leaves what runs alone. What failed is tried again after a
while, or as soon as the spec changes.

The first SIGINT or SIGTERM ends it in order, the second at once.

Exit codes: 0 stopped in order, 1 error. With --once: as apply.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runAgent(cmd.Context(), s)
		},
	}
	a.specFlags(cmd.Flags())
	flags := cmd.Flags()
	flags.BoolVar(&s.watch, "watch", false, "watch the spec file (the default)")
	flags.BoolVar(&s.once, "once", false, "converge once and stop")
	flags.BoolVar(&s.noHeal, "no-heal", false, "look and report only; change nothing")
	flags.DurationVar(&a.settings.interval, "interval", defaultInterval, "look, and ask the repository, at least this often")
	flags.StringVar(&s.listen, "listen", "", "answer on this port (9180) or address (0.0.0.0:9180): /healthz, /readyz, /status, /metrics, /webhook")
	flags.StringVar(&s.certificate.File, "listen-cert", "", "PEM file of a certificate: speak TLS on that port")
	flags.StringVar(&s.certificate.KeyFile, "listen-key", "", "PEM file of the certificate's key")
	flags.StringVar(&s.webhookSecretFile, "webhook-secret-file", "", "file with the secret of /webhook on that port, one a line; or set FLUMEN_WEBHOOK_SECRET")
	flags.StringVar(&s.tokensFile, "tokens-file", "", "file of who may POST /apply, /pause, /resume, /rollback on that port, a line each: NAME TOKEN; or set FLUMEN_TOKENS")
	flags.StringArrayVar(&s.notify.addresses, "notify", nil, "tell this URL when the project's condition changes: signed JSON to https://…, a text to slack://…, smtp://… and the like (may be repeated)")
	flags.StringVar(&s.notify.file, "notify-file", "", "file with more of these URLs, one a line: for those that are secret")
	flags.StringVar(&s.notify.secretFile, "notify-secret-file", "", "file with the secret that signs these messages; or set FLUMEN_NOTIFY_SECRET")
	flags.StringVar(&s.forge.tokenFile, "forge-token-file", "", "file with a token of the forge: tells it the status of commits; or set FLUMEN_FORGE_TOKEN")
	flags.StringVar(&s.forge.kind, "forge", "", "which forge the repository is at: github, gitlab, gitea or forgejo (default: told from its host)")
	flags.StringVar(&s.forge.url, "forge-url", "", "address of the forge's pages (default: https:// and the host of the repository)")
	flags.StringVar(&s.forge.project, "forge-project", "", "OWNER/NAME there, if the repository is a mirror (default: the path of the repository)")
	flags.StringVar(&s.otlpEndpoint, "otlp-endpoint", "", "send traces of runs to this collector, by OTLP over HTTP (http://localhost:4318); or set OTEL_EXPORTER_OTLP_ENDPOINT")
	flags.StringVar(&s.logFormat, "log-format", "text", "text or json")
	flags.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

func (a *app) runAgent(ctx context.Context, s runSettings) error {
	log, err := a.logger(s)
	if err != nil {
		return err
	}
	a.warn = func(text string) { log.Warn(text) }
	if err := a.checkRun(s); err != nil {
		return err
	}
	if s.once {
		return a.runOnce(ctx, log, s)
	}
	source, err := a.repository()
	if err != nil {
		return err
	}
	others, err := a.audience(ctx, s, log)
	if err != nil {
		return err
	}
	target, err := a.target(ctx)
	if err != nil {
		return err
	}
	project := newProjectName()
	agent := a.newAgent(target, s.noHeal, log)
	from, again, err := a.feed(agent, source, project, log)
	if err != nil {
		return err
	}
	a.keepTables(agent, log)
	board := others.follow(agent, source, again)
	agent.Triggers = append(agent.Triggers,
		func(ctx context.Context, look func(string)) { hangUps(ctx, again, look) },
		func(ctx context.Context, _ func(string)) { a.makeChecks(ctx, agent, log, board) },
		func(ctx context.Context, look func(string)) {
			watchEngine(ctx, target, project, log, look, agent.Happened)
		})
	debug.SetGCPercent(gcPercent)
	log.Info("agent starts", "version", version(), "source", from)
	agent.Run(ctx)
	log.Info("agent stopped")
	return nil
}

func (a *app) newAgent(target *docker.Target, noHeal bool, log *slog.Logger) *reconciler.Agent {
	return &reconciler.Agent{
		Reconciler: &reconciler.Reconciler{Targets: targets(target), Listen: reconciler.LogTo(log), Window: windowAt, Tables: a.tableDrift},
		Hold:       func(ctx context.Context, project string) (string, error) { return a.holdAsAgent(ctx, target, project) },
		Memory: func(ctx context.Context, project string) (*state.Store, error) {
			id, err := target.EngineID(ctx)
			if err != nil {
				return nil, err
			}
			return a.agentMemory(ctx, id, project)
		},
		Interval: a.settings.interval, NoHeal: noHeal, Log: log,
		Reported: giveBack,
	}
}

// checkRun refuses flags that do not go together.
func (a *app) checkRun(s runSettings) error {
	switch {
	case a.settings.interval < time.Second:
		return fmt.Errorf("--interval %s is too short: a second is the least", a.settings.interval)
	case s.watch && a.settings.git.URL != "":
		return errors.New("--watch is for a file and --repo for a repository: name one of them")
	case s.once && s.listen != "":
		return errors.New("--listen is for an agent that goes on, and --once is not")
	case s.once && s.notify.given():
		return errors.New("--notify is for an agent that goes on, and --once is not")
	case s.once && s.forge != (forgeSettings{}):
		return errors.New("--forge-token-file is for an agent that goes on, and --once is not")
	case s.once && s.otlpEndpoint != "":
		return errors.New("--otlp-endpoint is for an agent that goes on, and --once is not")
	case s.listen == "" && (s.certificate != status.Certificate{} || s.webhookSecretFile != "" || s.tokensFile != ""):
		return errors.New("--listen-cert, --listen-key, --webhook-secret-file and --tokens-file need --listen")
	}
	return nil
}

// giveBack gives memory back to the system after a run: loading and looking in full take many
// times what is kept. The runs of an agent that has nothing to do are left to the collector.
func giveBack(rep report.Report) {
	if rep.Trigger != "interval" || len(rep.Steps) > 0 {
		debug.FreeOSMemory()
	}
}

// feed has an agent get its spec from the repository, or else from the file. It gives the
// name of that, and what has it read anew.
func (a *app) feed(agent *reconciler.Agent, source *git.Source, project *projectName, log *slog.Logger) (from string, again func(), err error) {
	if source != nil {
		f := &followed{app: a, source: source, project: project, log: log}
		agent.Load, agent.Recall, agent.Enter = f.load, f.recall, f.enter
		agent.Triggers = append(agent.Triggers, source.Watch)
		return source.String(), source.Hurry, nil
	}
	watcher, err := file.New(settle)
	if err != nil {
		return "", nil, fmt.Errorf("watch files: %w", err)
	}
	w := &watched{app: a, watcher: watcher, project: project, log: log}
	agent.Load = w.load
	agent.Triggers = append(agent.Triggers, w.watch)
	return a.settings.file, func() { w.changed.Store(true) }, nil
}

// holdAsAgent makes this process the agent of a project, for as long as it lives.
func (a *app) holdAsAgent(ctx context.Context, target *docker.Target, project string) (other string, err error) {
	id, err := target.EngineID(ctx)
	if err != nil {
		return "", err
	}
	release, holder, err := lock{a.lockDir(), id, project}.try(asAgent)
	a.holding.Store(err == nil && holder == nil)
	a.holds = release // never called: a lock that nothing refers to would be let go of
	switch {
	case err != nil:
		return "", err
	case holder != nil:
		return fmt.Sprintf("another flumen-agent (process %s) has the project", holder.process), nil
	}
	return "", nil
}

// hangUps has the agent read its spec anew at SIGHUP, and look.
func hangUps(ctx context.Context, again func(), look func(string)) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	for {
		select {
		case <-signals:
			again()
			look("SIGHUP")
		case <-ctx.Done():
			return
		}
	}
}

// runOnce is apply with the agent's output.
func (a *app) runOnce(ctx context.Context, log *slog.Logger, s runSettings) error {
	c, err := a.connect(ctx, "")
	if err != nil {
		return err
	}
	c.reconciler.Listen = reconciler.LogTo(log)
	if s.noHeal {
		return a.conclude(c.reconciler.Check(ctx, c.want, a.withLast(ctx, c, reconciler.Options{Trigger: "once"})))
	}
	if err := a.lock(c).refuseAgent(); err != nil {
		return err
	}
	rep := c.reconciler.Converge(ctx, c.want, a.withLast(ctx, c, reconciler.Options{Trigger: "once", Refresh: true, Enter: a.entering(c)}))
	a.noteRun(ctx, c, rep)
	return a.conclude(rep)
}

// readAgain is within what time a spec is read again of which the watcher tells no change; within
// an interval if that is longer.
const readAgain = 10 * time.Minute

// watched is the file that an agent follows, with all that it is made of.
type watched struct {
	*app
	watcher *file.Watcher
	project *projectName
	log     *slog.Logger
	changed atomic.Bool // since it was read
	blind   atomic.Bool // the watcher tells of nothing any more

	// What follows is the agent's goroutine's.
	want spec.Desired // zero: it did not load
	read time.Time
	said string
}

// load reads the spec if it may have changed, and has the watcher follow all files that were
// read.
func (w *watched) load(ctx context.Context) (spec.Desired, error) {
	if changed := w.changed.Swap(false); !changed && !w.blind.Load() && w.want.Project != "" && time.Since(w.read)+w.settings.interval <= readAgain {
		return w.want, nil
	}
	loaded, err := w.app.load(ctx)
	if watchErr := w.watcher.Follow(append(loaded.Files, w.settings.file)); watchErr != nil && ctx.Err() == nil {
		w.log.Warn("some files are not watched", "err", watchErr)
	}
	if reason := w.watcher.Polling(); reason != "" && reason != w.said && ctx.Err() == nil {
		w.said = reason
		w.log.Warn("files are looked at every two seconds instead of watched", "cause", reason)
	}
	if err == nil {
		err = w.project.set(loaded.Desired.Project)
	}
	w.want, w.read = spec.Desired{}, time.Now()
	if err == nil {
		w.want = loaded.Desired
	}
	return w.want, err
}

// watch tells of changes until ctx is done.
func (w *watched) watch(ctx context.Context, look func(string)) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := w.watcher.Run(ctx); err != nil && ctx.Err() == nil {
			w.blind.Store(true)
			w.log.Error("files are no longer watched, only read once per interval", "err", err)
		}
	}()
	for {
		select {
		case <-w.watcher.Changed():
			w.changed.Store(true)
			look("file changed")
		case <-ctx.Done():
			<-stopped
			return
		}
	}
}

// watchEngine passes the engine's events on, and asks for them again when the
// connection ends: what happened in between is seen by looking.
func watchEngine(ctx context.Context, target *docker.Target, project *projectName, log *slog.Logger, look func(string), happened func(spec.Ref, string, time.Time)) {
	for {
		name, err := project.wait(ctx)
		if err != nil {
			return
		}
		events, errs := target.Events(ctx, name)
		for open := true; open; {
			select {
			case e, ok := <-events:
				if !ok {
					events = nil
					continue
				}
				happened(e.Ref, e.What, e.At)
				look(e.Ref.String() + ": " + e.What)
			case err = <-errs:
				open = false
			}
		}
		if ctx.Err() != nil {
			return
		}
		log.Warn("engine's events interrupted", "err", err)
		select {
		case <-time.After(reconnect):
			look("engine's events are back")
		case <-ctx.Done():
			return
		}
	}
}
