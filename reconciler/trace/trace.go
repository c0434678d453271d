// Package trace sends the runs of an agent to a collector of OpenTelemetry, by OTLP over HTTP.
//
//	report.Report ──▶ Tracer ──▶ a span for the run, and one below it for each step
//
// A run is traced when it is over, from its Report, which knows when everything began and
// ended: so nothing that runs knows of tracing, and where no collector is named nothing is
// done. Nobody waits for a collector: what it does not take in time is dropped and said so.
package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/flumendata/flumen-agent/reconciler/report"
)

const (
	// scope is under which name the spans are made.
	scope = "github.com/flumendata/flumen-agent"
	// farewell is how long a collector may still take when the agent ends.
	farewell = 2 * time.Second
)

// Variables are those of OpenTelemetry's that say where a collector is.
var Variables = []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}

// Options say where spans go. All else is said by OpenTelemetry's own variables.
type Options struct {
	Endpoint string // URL of a collector, without /v1/traces; "" is that of the Variables
	Version  string // of the agent
	// Hide takes the secrets out of a text.
	Hide func(text string) string
	Log  *slog.Logger
}

// Tracer sends the runs that it is told of. Its methods may be called from any goroutine.
type Tracer struct {
	options  Options
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New gives a tracer. It calls nobody yet.
func New(ctx context.Context, o Options) (*Tracer, error) {
	var where []otlptracehttp.Option
	if o.Endpoint != "" {
		where = append(where, otlptracehttp.WithEndpointURL(o.Endpoint+"/v1/traces"))
	}
	client, err := otlptracehttp.New(ctx, where...)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	who, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "flumen-agent"), attribute.String("service.version", o.Version)),
		resource.WithHost(), resource.WithFromEnv()) // what the environment says wins
	if err != nil && who == nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(&exporter{SpanExporter: client, log: o.Log}), sdk.WithResource(who))
	return &Tracer{o, provider, provider.Tracer(scope)}, nil
}

// Reported sends a run. It waits for nobody.
func (t *Tracer) Reported(rep report.Report) {
	ctx, run := t.tracer.Start(context.Background(), "run", trace.WithNewRoot(), trace.WithTimestamp(rep.At), trace.WithAttributes(
		attribute.String("flumen.project", rep.Project),
		attribute.String("flumen.revision", rep.Revision.ID),
		attribute.String("flumen.trigger", t.options.Hide(rep.Trigger)),
		attribute.Bool("flumen.ready", rep.Ready),
		attribute.Int("flumen.held", len(rep.Held)),
		attribute.Int("flumen.differences", len(rep.Before)),
	))
	if rep.Revision.Commit != "" {
		run.SetAttributes(attribute.String("vcs.ref.head.revision", rep.Revision.Commit))
	}
	for _, s := range rep.Steps {
		if !s.Began.IsZero() {
			t.step(ctx, s)
		}
	}
	if err := rep.Err(); err != nil {
		run.SetStatus(codes.Error, t.options.Hide(err.Error()))
	}
	run.End(trace.WithTimestamp(rep.At.Add(rep.Took)))
}

// failed are the outcomes of steps that failed.
var failed = []report.Outcome{report.Failed, report.RolledBack, report.Stale}

func (t *Tracer) step(ctx context.Context, s report.Step) {
	_, span := t.tracer.Start(ctx, string(s.Verb)+" "+s.Ref.String(), trace.WithTimestamp(s.Began), trace.WithAttributes(
		attribute.String("flumen.ref", s.Ref.String()),
		attribute.String("flumen.verb", string(s.Verb)),
		attribute.String("flumen.tier", s.Tier),
		attribute.String("flumen.reason", t.options.Hide(s.Reason)),
		attribute.String("flumen.outcome", string(s.Outcome)),
	))
	if slices.Contains(failed, s.Outcome) {
		span.SetStatus(codes.Error, t.options.Hide(s.Error))
	}
	span.End(trace.WithTimestamp(s.Began.Add(s.Took)))
}

// Run waits until ctx is done, and sends what is left.
func (t *Tracer) Run(ctx context.Context) {
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := t.provider.Shutdown(last); err != nil {
		t.options.Log.Warn("the last traces are not sent", "err", plain(err))
	}
}

// exporter says once that a collector takes nothing, and that it does again.
type exporter struct {
	sdk.SpanExporter
	log *slog.Logger

	mu   sync.Mutex
	down bool
}

func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err != nil && !e.down:
		e.log.Warn("traces are dropped: the collector does not take them", "err", plain(err))
	case err == nil && e.down:
		e.log.Info("the collector takes traces again")
	}
	e.down = err != nil
	return nil // said
}

// plain takes addresses, which may have a password, out of an error.
func plain(err error) error { return errors.New(urls.ReplaceAllString(err.Error(), "its address")) }

var urls = regexp.MustCompile(`[a-z]+://[^\s"']+`)
