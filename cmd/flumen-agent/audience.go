package main

import (
	"context"
	"log/slog"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/forge"
	"github.com/flumendata/flumen-agent/reconciler/notify"
	"github.com/flumendata/flumen-agent/reconciler/status"
	"github.com/flumendata/flumen-agent/reconciler/trace"
	"github.com/flumendata/flumen-agent/spec/git"
)

// audience are those whom an agent tells what it does; nil is one whom nobody asked for.
type audience struct {
	app      *app
	notifier *notify.Notifier
	teller   *forge.Teller
	tracer   *trace.Tracer
	front    *front
}

// audience opens what the flags ask for.
func (a *app) audience(ctx context.Context, s runSettings, log *slog.Logger) (others audience, err error) {
	others.app = a
	if others.notifier, err = a.notifier(s.notify, log); err != nil {
		return others, err
	}
	if others.teller, err = a.teller(s.forge, log); err != nil {
		return others, err
	}
	if others.tracer, err = a.tracer(ctx, s.otlpEndpoint, log); err != nil {
		return others, err
	}
	others.front, err = a.openFront(ctx, s, log)
	return others, err
}

// follow has all of them told of an agent's runs. It gives the board that is shown over HTTP, or
// nil.
func (o audience) follow(agent *reconciler.Agent, source *git.Source, again func()) *status.Board {
	o.app.tellOthers(agent, o.notifier)
	o.app.tellForge(agent, o.teller)
	traceRuns(agent, o.tracer)
	return o.front.answer(agent, source, again, o.notifier)
}
