package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/trace"
	"github.com/flumendata/flumen-agent/spec/git"
)

// tracer sends an agent's runs to a collector, or is nil where none is named.
func (a *app) tracer(ctx context.Context, endpoint string, log *slog.Logger) (*trace.Tracer, error) {
	named := endpoint != ""
	for _, name := range trace.Variables {
		named = named || a.environ[name] != ""
		a.hide(git.Password(a.environ[name]))
	}
	if !named {
		return nil, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		for pair := range strings.SplitSeq(a.environ[name], ",") {
			_, value, _ := strings.Cut(pair, "=")
			a.hide(value)
			if text, err := url.PathUnescape(value); err == nil {
				a.hide(text)
			}
		}
	}
	if p := cmp.Or(a.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"], a.environ["OTEL_EXPORTER_OTLP_PROTOCOL"]); p != "" && p != "http/protobuf" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: traces are sent by http/protobuf only, which collectors take on port 4318", p)
	}
	if endpoint != "" {
		a.hide(git.Password(endpoint))
		if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, fmt.Errorf("--otlp-endpoint: write the address of a collector, as in http://localhost:4318")
		}
	}
	return trace.New(ctx, trace.Options{Endpoint: strings.TrimRight(endpoint, "/"), Version: version(), Hide: a.stdout.Mask, Log: log})
}

// traceRuns has an agent's runs sent to a collector.
func traceRuns(agent *reconciler.Agent, t *trace.Tracer) {
	if t == nil {
		return
	}
	reported := agent.Reported
	agent.Reported = func(rep report.Report) {
		t.Reported(rep)
		reported(rep)
	}
	agent.Triggers = append(agent.Triggers, func(ctx context.Context, _ func(string)) { t.Run(ctx) })
}
