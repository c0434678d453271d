package status_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/status"
)

// scraped are the agent's own metrics, as Prometheus reads them.
func scraped(t *testing.T, b *status.Board) map[string]*dto.MetricFamily {
	t.Helper()
	code, text := get(t, b, "/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if code != 200 || err != nil {
		t.Fatalf("%d %v:\n%s", code, err, text)
	}
	if families["go_goroutines"] == nil {
		t.Error("nothing is told of the process itself")
	}
	maps.DeleteFunc(families, func(name string, _ *dto.MetricFamily) bool { return !strings.HasPrefix(name, "flumen_") })
	return families
}

// lines are the values of metrics, one a line, without what Prometheus makes of a histogram.
func lines(families map[string]*dto.MetricFamily) []string {
	var all []string
	for name, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%s", l.GetName(), l.GetValue()))
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			if h := m.GetHistogram(); h != nil {
				all = append(all, fmt.Sprintf("%s{%s} %d times, %gs", name, strings.Join(labels, " "), h.GetSampleCount(), h.GetSampleSum()))
				continue
			}
			all = append(all, fmt.Sprintf("%s{%s} %.0f", name, strings.Join(labels, " "), value))
		}
	}
	slices.Sort(all)
	return all
}

func TestMetricsTellHowThingsStandAndWhatRunsHaveDone(t *testing.T) {
	hour := noon.Add(time.Hour).Add(time.Minute).Unix()
	want := []string{
		"flumen_bucket_objects{bucket=kept tier=} 1204",
		"flumen_bucket_size_bytes{bucket=kept tier=} 94489280512",
		"flumen_build_info{version=v1.2.3} 1",
		"flumen_degraded_resources{} 1",
		"flumen_differences{kind=bucket tier= verdict=extra} 1",
		"flumen_differences{kind=bucket tier=foundation verdict=missing} 1",
		"flumen_differences{kind=service tier= verdict=extra} 1",
		"flumen_differences{kind=service tier=sql verdict=changed} 1",
		fmt.Sprintf("flumen_drift_report_timestamp_seconds{} %d", noon.Add(30*time.Minute).Unix()),
		fmt.Sprintf("flumen_drift_start_timestamp_seconds{} %d", hour),
		"flumen_heals_total{verb=start} 1",
		"flumen_held_steps{rule=backoff} 1",
		"flumen_holds_project{} 0",
		"flumen_in_sync{kind=bucket tier=foundation} 0",
		"flumen_in_sync{kind=bucket tier=} 0",
		"flumen_in_sync{kind=image tier=foundation} 1",
		"flumen_in_sync{kind=image tier=sql} 1",
		"flumen_in_sync{kind=service tier=foundation} 1",
		"flumen_in_sync{kind=service tier=sql} 0",
		"flumen_in_sync{kind=service tier=} 0",
		"flumen_in_sync{kind=volume tier=foundation} 1",
		fmt.Sprintf("flumen_last_look_timestamp_seconds{} %d", hour),
		"flumen_notifications_total{result=dropped} 1",
		"flumen_notifications_total{result=sent} 3",
		"flumen_paused{} 1",
		"flumen_quarantined_revision_info{revision=4d1c} 1",
		"flumen_quarantined_revisions{} 1",
		"flumen_ready{} 0",
		"flumen_resources{kind=bucket tier=foundation} 1",
		"flumen_resources{kind=image tier=foundation} 2",
		"flumen_resources{kind=image tier=sql} 1",
		"flumen_resources{kind=service tier=foundation} 2",
		"flumen_resources{kind=service tier=sql} 1",
		"flumen_resources{kind=volume tier=foundation} 1",
		"flumen_revision_info{project=lake revision=0000} 1",
		"flumen_rollbacks_total{verb=replace} 1",
		"flumen_run_duration_seconds{result=done} 1 times, 0.02s",
		"flumen_run_duration_seconds{result=failed} 1 times, 60s",
		"flumen_run_duration_seconds{result=looked} 1 times, 0.02s",
		fmt.Sprintf("flumen_source_fetch_timestamp_seconds{} %d", noon.Add(-time.Hour).Unix()),
		"flumen_source_ok{} 0",
		"flumen_step_duration_seconds{outcome=done verb=start} 1 times, 2s",
		"flumen_step_duration_seconds{outcome=rolled_back verb=replace} 1 times, 40s",
		"flumen_table_files{class=can_go table=bronze.events} 1204",
		"flumen_table_files{class=can_go table=silver.orders} 0",
		"flumen_table_files{class=live table=bronze.events} 310",
		"flumen_table_files{class=live table=silver.orders} 7",
		"flumen_table_size_bytes{class=can_go table=bronze.events} 9000",
		"flumen_table_size_bytes{class=can_go table=silver.orders} 0",
		"flumen_table_size_bytes{class=live table=bronze.events} 4000",
		"flumen_table_size_bytes{class=live table=silver.orders} 70",
		"flumen_table_standing_info{standing=reclaimable table=bronze.events} 1",
		"flumen_table_standing_info{standing=refused table=silver.orders} 1",
		"flumen_tables_files{class=can_go} 1204",
		"flumen_tables_files{class=live} 317",
		"flumen_tables_findings{effect=note} 3",
		"flumen_tables_findings{effect=refuse} 1",
		fmt.Sprintf("flumen_tables_look_timestamp_seconds{} %d", noon.Add(10*time.Minute).Unix()),
		"flumen_tables_size_bytes{class=can_go} 9000",
		"flumen_tables_size_bytes{class=live} 4070",
		"flumen_tables_unseen_places{} 1",
		"flumen_tables{standing=critical} 0",
		"flumen_tables{standing=in_policy} 0",
		"flumen_tables{standing=reclaimable} 1",
		"flumen_tables{standing=refused} 1",
		"flumen_tier_ready{tier=foundation} 0",
		"flumen_tier_ready{tier=sql} 1",
		"flumen_wanted_revision_enforced{} 0",
		"flumen_window_closed{} 1",
	}
	if diff := cmp.Diff(want, lines(scraped(t, troubled(t)))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestMetricsOfTheLastLookAreNotThereBeforeIt(t *testing.T) {
	got := lines(scraped(t, status.New(status.Options{Version: "v1", Standing: func() (status.Standing, bool) { return status.Standing{}, false }})))
	if diff := cmp.Diff([]string{"flumen_build_info{version=v1} 1"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRunThatCouldNotLookLeavesWhatIsKnown(t *testing.T) {
	b := board(good)
	b.Reported(run(t, noon, "everything\nservice db exited"))
	before := scraped(t, b)
	failed := run(t, noon.Add(time.Hour), "everything")
	failed.Fault = "the engine does not answer"
	b.Reported(failed)
	after := scraped(t, b)
	for _, name := range []string{"flumen_last_look_timestamp_seconds", "flumen_drift_start_timestamp_seconds", "flumen_ready"} {
		if before[name].String() != after[name].String() {
			t.Errorf("%s became %v", name, after[name])
		}
	}
	if got := lines(after); !slices.Contains(got, "flumen_run_duration_seconds{result=error} 1 times, 0.02s") {
		t.Error(got)
	}
}

func TestDriftIsAsOldAsTheLookThatFirstSawIt(t *testing.T) {
	b := board(good)
	for i, observed := range []string{"everything\nservice db exited", "everything\nservice trino exited", "everything", "everything\nservice db exited"} {
		b.Reported(run(t, noon.Add(time.Duration(i)*time.Hour), observed))
		start := scraped(t, b)["flumen_drift_start_timestamp_seconds"]
		want := map[int]time.Time{0: noon, 1: noon, 3: noon.Add(3 * time.Hour)}[i]
		switch {
		case want.IsZero() && start != nil:
			t.Errorf("run %d: still there, though all is in sync", i)
		case !want.IsZero() && int64(start.GetMetric()[0].GetGauge().GetValue()) != want.Unix():
			t.Errorf("run %d: %v", i, start)
		}
	}
}

func TestStepsOfANewRevisionAreNoHeals(t *testing.T) {
	b := board(good)
	b.Reported(run(t, noon, "everything"))
	next := run(t, noon.Add(time.Hour), "everything")
	next.Revision.ID = "another"
	next.Steps = startedSteps
	b.Reported(next)
	if heals := scraped(t, b)["flumen_heals_total"]; heals != nil {
		t.Errorf("%v", heals)
	}
}

func TestMetricsFollowPrometheusRules(t *testing.T) {
	_, text := get(t, troubled(t), "/metrics")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "flumen_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

var update = flag.Bool("update", false, "rewrite the table of metrics in docs/monitoring.md")

const monitoringPage = "../../docs/monitoring.md"

// table is that of all metrics for people.
func table(families map[string]*dto.MetricFamily) string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | tells |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(families)) {
		var labels []string
		for _, l := range families[name].GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(families[name].GetType().String()), strings.Join(labels, ", "), families[name].GetHelp())
	}
	return b.String()
}

func TestPageOfMetricsIsComplete(t *testing.T) {
	page, err := os.ReadFile(monitoringPage)
	if err != nil {
		t.Fatal(err)
	}
	const begins, ends = "<!-- metrics: written by a test -->\n", "<!-- end of metrics -->"
	head, rest, _ := strings.Cut(string(page), begins)
	_, tail, ok := strings.Cut(rest, ends)
	if !ok {
		t.Fatalf("%s has no place for the table", monitoringPage)
	}
	want := head + begins + table(scraped(t, troubled(t))) + ends + tail
	if *update {
		if err := os.WriteFile(monitoringPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(page)); diff != "" {
		t.Errorf("run go test ./reconciler/status -update (-want +got)\n%s", diff)
	}
}

// asked are the names of metrics in an expression, with their braces.
var asked = regexp.MustCompile(`\b(flumen_[a-z_]+)(\{[^}]*\})?`)

func TestDashboardAndAlertsAskOnlyForMetricsThereAre(t *testing.T) {
	families := scraped(t, troubled(t))
	for _, file := range []string{"../../docs/monitoring/grafana-dashboard.json", "../../docs/monitoring/prometheus-alerts.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all := asked.FindAllStringSubmatch(string(text), -1)
		if len(all) < 5 {
			t.Errorf("%s asks for hardly anything", file)
		}
		for _, m := range all {
			name := m[1]
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base := strings.TrimSuffix(name, suffix); families[base].GetType() == dto.MetricType_HISTOGRAM && base != name {
					name = base
				}
			}
			if families[name] == nil {
				t.Errorf("%s asks for %s", file, m[1])
			}
		}
	}
}

// TestAlertsAreRulesOfPrometheus has Prometheus' own program read them, play them through,
// and read what the dashboard asks for.
func TestAlertsAreRulesOfPrometheus(t *testing.T) {
	promtool := os.Getenv("FLUMEN_TEST_PROMTOOL")
	if promtool == "" {
		enginetest.Lacks(t, "Prometheus' promtool, which FLUMEN_TEST_PROMTOOL names")
	}
	for _, args := range [][]string{
		{"check", "rules", "../../docs/monitoring/prometheus-alerts.yaml"},
		{"test", "rules", "testdata/alerts.yaml"},
		{"check", "rules", asRules(t, "../../docs/monitoring/grafana-dashboard.json")},
	} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

// asRules writes what a dashboard asks for as rules of Prometheus, for its program to read.
func asRules(t *testing.T, dashboard string) (file string) {
	t.Helper()
	text, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, p := range read.Panels {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(target.Expr)
			rules = append(rules, rule{fmt.Sprintf("panel:%d", len(rules)), expr})
		}
	}
	written, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil || len(rules) < 10 {
		t.Fatalf("%d rules, %v", len(rules), err)
	}
	file = filepath.Join(t.TempDir(), "rules.json") // JSON is YAML too
	if err := os.WriteFile(file, written, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
