package trace_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/trace"
	"github.com/flumendata/flumen-agent/spec"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// broken is a run of three steps: done, failed, never begun.
var broken = report.Report{
	Project: "lake", Revision: spec.Revision{ID: "4d1c", Commit: "c0ffee"}, Trigger: "newer revision", At: noon, Took: 10 * time.Second,
	Steps: []report.Step{
		{Tier: "base", Verb: plan.VerbCreate, Ref: spec.InstanceRef("db", 1), Reason: "is not there", Outcome: report.Done, Began: noon.Add(time.Second), Took: 2 * time.Second},
		{Tier: "base", Verb: plan.VerbReplace, Ref: spec.InstanceRef("web", 1), Reason: "env.A", Outcome: report.RolledBack, Error: "password canary is wrong", Began: noon.Add(3 * time.Second), Took: time.Second},
		{Tier: "top", Verb: plan.VerbCreate, Ref: spec.InstanceRef("ui", 1), Outcome: report.Skipped},
	},
}

// start has a tracer that sends to an endpoint run until stop.
func start(t *testing.T, endpoint string, log io.Writer) (tracer *trace.Tracer, stop func()) {
	t.Helper()
	tracer, err := trace.New(t.Context(), trace.Options{
		Endpoint: endpoint, Version: "v1", Log: slog.New(slog.NewTextHandler(log, nil)),
		Hide: func(text string) string { return strings.ReplaceAll(text, "canary", "***") },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); tracer.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return tracer, stop
}

// collect is a collector that decodes what it is sent.
func collect(t *testing.T, into chan<- *collector.ExportTraceServiceRequest) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(r.Body); err != nil {
				t.Error(err)
			}
		}
		text, err := io.ReadAll(body)
		request := new(collector.ExportTraceServiceRequest)
		if err == nil {
			err = proto.Unmarshal(text, request)
		}
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s %s: %v", r.Method, r.URL, r.Header.Get("Content-Type"), err)
		}
		answer, _ := proto.Marshal(new(collector.ExportTraceServiceResponse))
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.Write(answer)
		into <- request
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// span is what a test looks at of one.
type span struct {
	Name, Parent string
	Took         time.Duration
	Attributes   map[string]string
	Error        string
}

func attributes(all []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range all {
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			m[a.Key] = v.StringValue
		default:
			m[a.Key] = strings.TrimSpace(a.Value.String())
		}
	}
	return m
}

func TestRunIsASpanAndEachStepOneBelowIt(t *testing.T) {
	requests := make(chan *collector.ExportTraceServiceRequest, 4)
	tracer, stop := start(t, collect(t, requests), io.Discard)
	tracer.Reported(broken)
	stop() // which sends what waits
	got := (<-requests).ResourceSpans[0]
	if who := attributes(got.Resource.Attributes); who["service.name"] != "flumen-agent" || who["service.version"] != "v1" {
		t.Error(who)
	}
	names, all, one := map[string]string{}, map[string]span{}, ""
	for _, s := range got.ScopeSpans[0].Spans {
		names[hex.EncodeToString(s.SpanId)] = s.Name
		one = hex.EncodeToString(s.TraceId)
	}
	for _, s := range got.ScopeSpans[0].Spans {
		if hex.EncodeToString(s.TraceId) != one {
			t.Error("it is more than one trace")
		}
		if s.Name == "run" && s.StartTimeUnixNano != uint64(noon.UnixNano()) {
			t.Error("the run began at another time")
		}
		read := span{Name: s.Name, Parent: names[hex.EncodeToString(s.ParentSpanId)], Took: time.Duration(s.EndTimeUnixNano - s.StartTimeUnixNano), Attributes: attributes(s.Attributes)}
		if s.Status.GetCode() == spans.Status_STATUS_CODE_ERROR {
			read.Error = s.Status.Message
		}
		all[s.Name] = read
	}
	run := all["run"]
	if run.Parent != "" || run.Took != 10*time.Second || run.Attributes["flumen.revision"] != "4d1c" || run.Attributes["vcs.ref.head.revision"] != "c0ffee" ||
		run.Attributes["flumen.trigger"] != "newer revision" || !strings.Contains(run.Error, "replace service/web: password *** is wrong") {
		t.Errorf("%+v", run)
	}
	delete(all, "run")
	want := map[string]span{
		"create service/db": {"create service/db", "run", 2 * time.Second, map[string]string{
			"flumen.ref": "service/db", "flumen.verb": "create", "flumen.tier": "base", "flumen.reason": "is not there", "flumen.outcome": "done"}, ""},
		"replace service/web": {"replace service/web", "run", time.Second, map[string]string{
			"flumen.ref": "service/web", "flumen.verb": "replace", "flumen.tier": "base", "flumen.reason": "env.A", "flumen.outcome": "rolled_back"}, "password *** is wrong"},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
}

func TestCollectorThatHangsDelaysNoRunAndNoEnd(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hang) })
	var log bytes.Buffer
	tracer, stop := start(t, server.URL, &log)
	before := time.Now()
	for range 10_000 { // more than wait for it
		tracer.Reported(broken)
	}
	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("the runs took %s", took)
	}
	before = time.Now()
	if stop(); time.Since(before) > 5*time.Second {
		t.Errorf("the end took %s", time.Since(before))
	}
	if !strings.Contains(log.String(), "not sent") || strings.Contains(log.String(), server.URL) {
		t.Error(log.String())
	}
}
