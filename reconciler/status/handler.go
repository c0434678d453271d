package status

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/flumendata/flumen-agent/reconciler/report"
)

// scrapes is how many may ask for metrics at once: more are refused, so that they cannot
// take the machine from the agent.
const scrapes = 4

// Handler answers requests. It only reads.
func (b *Board) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", b.readyz)
	mux.HandleFunc("GET /status", b.serveStatus)
	mux.Handle("GET /metrics", promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{Registry: b.registry, MaxRequestsInFlight: scrapes}))
	return mux
}

// readyz says whether the agent knows how its project stands.
func (b *Board) readyz(w http.ResponseWriter, _ *http.Request) {
	s, ok := b.options.Standing()
	switch {
	case !ok:
		http.Error(w, "no spec has loaded yet", http.StatusServiceUnavailable)
	case s.Verdict == report.VerdictUnknown:
		http.Error(w, "what runs has not been looked at for too long", http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, "ok")
	}
}

// serveStatus gives how everything stood at the last look, as flumen-agent status does.
func (b *Board) serveStatus(w http.ResponseWriter, _ *http.Request) {
	last := b.shown().status
	if last == nil {
		writeJSON(w, http.StatusServiceUnavailable, []byte(`{"error": "nothing has been looked at yet"}`))
		return
	}
	status := *last
	if s, ok := b.options.Standing(); ok {
		status.Kept = &s.Kept
	}
	text, err := json.Marshal(status)
	if err != nil {
		http.Error(w, "the status cannot be written", http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, b.options.Hide(text))
}

func writeJSON(w http.ResponseWriter, code int, text []byte) {
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err == nil {
		text = append(b.Bytes(), '\n')
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(text) // who has gone needs no answer
}
