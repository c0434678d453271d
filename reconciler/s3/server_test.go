package s3

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// errorPage is the error page of a proxy.
func errorPage(rw http.ResponseWriter, status int, server string) {
	rw.Header().Set("Server", server)
	rw.Header().Set("Content-Type", "text/html")
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, "<html><title>"+http.StatusText(status)+"</title></html>")
}

// TestServerIsTheOneThatAnswersFirst holds that neither the error pages of a proxy nor later
// answers change what the server is taken for.
func TestServerIsTheOneThatAnswersFirst(t *testing.T) {
	t.Parallel()
	xml := func(status int, server string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Server", server)
			rw.Header().Set("Content-Type", "application/xml")
			rw.WriteHeader(status)
		}
	}
	html := func(status int, server string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) { errorPage(rw, status, server) }
	}
	for _, first := range []http.HandlerFunc{xml(http.StatusNotFound, "MinIO"), xml(http.StatusOK, "MinIO/2025"), html(http.StatusOK, "MinIO")} {
		var answer http.HandlerFunc
		front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { answer(rw, r) }))
		defer front.Close()
		heard := &hearing{RoundTripper: http.DefaultTransport, failed: func() {}}
		for i, c := range []struct {
			answer http.HandlerFunc
			want   string
		}{
			{html(http.StatusBadGateway, "nginx"), ""}, {html(http.StatusForbidden, "VERSITYGW"), ""}, {xml(http.StatusServiceUnavailable, "proxy"), ""},
			{first, "MinIO"}, {html(http.StatusServiceUnavailable, "nginx"), "MinIO"}, {xml(http.StatusOK, "VERSITYGW"), "MinIO"},
		} {
			answer = c.answer
			got, err := (&http.Client{Transport: heard}).Get(front.URL)
			if err != nil {
				t.Fatal(err)
			}
			got.Body.Close()
			if heard.server() != c.want {
				t.Errorf("after answer %d it is %q, want %q", i, heard.server(), c.want)
			}
		}
	}
}

// testProxyChangesNoRefusal has a proxy give some answers another server's name.
func testProxyChangesNoRefusal(w *world) {
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			rw.Header().Set("Server", "VERSITYGW") // before that of the server
		}
		return false
	})
	b := w.bucket()
	w.byHand(b, nil)
	want := w.desired(b)
	b.Lifecycle = []spec.LifecycleRule{{ID: "uploads", AbortDays: 1}}
	d := w.must(want, b, drift.Changed)
	update := plan.Update{Want: b, Have: *d.Have, Fields: d.Fields}
	if held := w.check(update); len(held) != 1 || !strings.Contains(held[0].Reason, "MINIO_API_STALE_UPLOADS_EXPIRY") {
		w.Errorf("%+v", held)
	}
	b.Lifecycle = []spec.LifecycleRule{{ID: "old", NoncurrentDays: 1}}
	w.mustApply(update)
	w.must(want, b, "")
}
