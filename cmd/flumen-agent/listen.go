package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/control"
	"github.com/flumendata/flumen-agent/reconciler/notify"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/status"
	"github.com/flumendata/flumen-agent/reconciler/webhook"
	"github.com/flumendata/flumen-agent/spec/git"
)

// front is where an agent answers over HTTP.
type front struct {
	*app
	listener net.Listener
	tls      bool
	hook     *webhook.Hook // nil: no webhook is taken
	tokens   []control.Token
	log      *slog.Logger
}

// openFront opens what --listen names, before the agent begins: a port that is taken is an
// error at the start. It gives nil where nothing is named.
func (a *app) openFront(ctx context.Context, s runSettings, log *slog.Logger) (*front, error) {
	if s.listen == "" {
		return nil, nil
	}
	address, err := status.Address(s.listen)
	if err != nil {
		return nil, err
	}
	hook, err := a.webhook(s, log)
	if err != nil {
		return nil, err
	}
	tokens, err := a.tokens(s.tokensFile)
	if err != nil {
		return nil, err
	}
	listener, err := status.Listen(ctx, address, s.certificate)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	return &front{app: a, listener: listener, tls: s.certificate.File != "", hook: hook, tokens: tokens, log: log}, nil
}

// webhook is what takes the calls of forges, or nil where no secret is given.
func (a *app) webhook(s runSettings, log *slog.Logger) (*webhook.Hook, error) {
	text := a.environ["FLUMEN_WEBHOOK_SECRET"]
	if s.webhookSecretFile != "" {
		b, err := os.ReadFile(s.webhookSecretFile)
		if err != nil {
			return nil, fmt.Errorf("the webhook's secret: %w", err)
		}
		text = string(b)
	} else if text == "" {
		return nil, nil
	}
	a.hide(strings.Split(text, "\n")...)
	secrets, err := webhook.ParseSecrets(text)
	if err != nil {
		return nil, err
	}
	return webhook.New(secrets, log), nil
}

// answer has the front answer for an agent, for as long as that runs. again has the agent's
// source looked at anew; notifier may be nil. A nil front has no board either.
func (f *front) answer(agent *reconciler.Agent, source *git.Source, again func(), notifier *notify.Notifier) *status.Board {
	if f == nil {
		return nil
	}
	options := status.Options{
		Version: version(), Hide: f.hideInJSON,
		Standing: func() (status.Standing, bool) { return f.standingOf(agent, source) },
		Tables:   f.lastTables(agent),
	}
	if notifier != nil {
		options.Notified = func() (sent, dropped int) {
			counts := notifier.Counts()
			return counts.Sent, counts.Dropped
		}
	}
	board := status.New(options)
	before := agent.Reported
	agent.Reported = func(rep report.Report) {
		board.Reported(rep)
		before(rep)
	}
	mux := http.NewServeMux()
	mux.Handle("/", board.Handler())
	if f.hook != nil {
		mux.Handle("/webhook", f.hook)
		agent.Triggers = append(agent.Triggers, func(ctx context.Context, look func(string)) {
			f.hook.Watch(ctx, func(why string) {
				again()
				look(why)
			})
		})
	}
	asker := newAsker(f.app, agent)
	if len(f.tokens) > 0 {
		door := control.New(f.tokens, asker.ask, f.hideInJSON, f.log)
		for _, verb := range control.Verbs {
			mux.Handle("/"+verb, door)
		}
	}
	agent.Triggers = append(agent.Triggers, func(ctx context.Context, look func(string)) {
		asker.ctx, asker.look = ctx, look
		f.serve(ctx, mux)
		asker.waiting.Wait()
	})
	return board
}

func (f *front) serve(ctx context.Context, handler http.Handler) {
	f.log.Info("listening", "address", f.listener.Addr().String())
	if !f.tls && !status.Loopback(f.listener.Addr()) {
		f.log.Warn("other machines can read how the project stands, and nobody encrypts it on the way: give --listen-cert and --listen-key, or keep the port to yourself")
	}
	if !f.tls && !status.Loopback(f.listener.Addr()) && len(f.tokens) > 0 {
		f.log.Warn("nobody encrypts the tokens on the way, so who listens there can change the project: give --listen-cert and --listen-key")
	}
	if err := status.Serve(ctx, f.listener, handler, f.log); err != nil {
		f.log.Error("nothing is answered any more on the port of --listen", "err", err)
	}
}

// standingOf is what an agent says of itself.
func (f *front) standingOf(agent *reconciler.Agent, source *git.Source) (status.Standing, bool) {
	s, _, ok := agent.Standing()
	if !ok {
		return status.Standing{}, false
	}
	shown := status.Standing{
		Kept:  keptAs(s, time.Now(), max(lookedBound, 3*agent.Interval)),
		Holds: f.holding.Load(),
	}
	if shown.Holds {
		shown.Agent = strconv.Itoa(os.Getpid())
	}
	if source != nil {
		shown.Fetched, _ = source.Reached()
	}
	return shown, true
}
