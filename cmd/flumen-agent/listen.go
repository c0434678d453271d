package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/status"
	"github.com/flumendata/flumen-agent/spec/git"
)

// openListener opens what --listen names, before the agent begins: a port that is taken is
// an error at the start. It gives nil where nothing is named.
func (s runSettings) openListener(ctx context.Context) (net.Listener, error) {
	if s.listen == "" {
		return nil, nil
	}
	address, err := status.Address(s.listen)
	if err != nil {
		return nil, err
	}
	listener, err := status.Listen(ctx, address, s.certificate)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	return listener, nil
}

// showOn has a listener answer for an agent, for as long as that runs. Without one there is
// no board either. tls tells whether it encrypts.
func (a *app) showOn(listener net.Listener, tls bool, agent *reconciler.Agent, source *git.Source, log *slog.Logger) *status.Board {
	if listener == nil {
		return nil
	}
	board := status.New(status.Options{
		Version: version(), Hide: a.hideInJSON,
		Standing: func() (status.Standing, bool) { return a.shownStanding(agent, source) },
	})
	before := agent.Reported
	agent.Reported = func(rep report.Report) {
		board.Reported(rep)
		before(rep)
	}
	agent.Triggers = append(agent.Triggers, func(ctx context.Context, _ func(string)) {
		log.Info("listening", "address", listener.Addr().String())
		if !status.Loopback(listener.Addr()) && !tls {
			log.Warn("other machines can read how the project stands, and nobody encrypts it on the way: give --listen-cert and --listen-key, or keep the port to yourself")
		}
		if err := status.Serve(ctx, listener, board.Handler(), log); err != nil {
			log.Error("nothing is answered any more on the port of --listen", "err", err)
		}
	})
	return board
}

// shownStanding is what an agent says of itself.
func (a *app) shownStanding(agent *reconciler.Agent, source *git.Source) (status.Standing, bool) {
	s, _, ok := agent.Standing()
	if !ok {
		return status.Standing{}, false
	}
	shown := status.Standing{
		Kept:  keptAs(s, time.Now(), max(lookedBound, 3*agent.Interval)),
		Holds: a.holding.Load(),
	}
	if shown.Holds {
		shown.Agent = strconv.Itoa(os.Getpid())
	}
	if source != nil {
		shown.Fetched, _ = source.Reached()
	}
	return shown, true
}
