package status_test

import (
	"fmt"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/status"
)

// TestMetricsOfTablesAreBounded has more tables than there are metrics for: the sums are of all, and
// the gravest have metrics of their own.
func TestMetricsOfTablesAreBounded(t *testing.T) {
	many := &status.Tables{At: noon}
	for i := range 5000 {
		many.All = append(many.All, status.Table{Name: fmt.Sprintf("bronze.t%04d", i), Holds: map[string]status.Amount{"can_go": {Files: 1, Bytes: int64(i)}, "live": {Files: 2}}})
	}
	many.All[17].Standing, many.All[18].Standing = status.TableRefused, status.TableCritical
	b := status.New(status.Options{Standing: func() (status.Standing, bool) { return status.Standing{}, false }, Tables: func() *status.Tables { return many }})
	families := scraped(t, b)
	shown := map[string]bool{}
	for _, m := range families["flumen_table_standing_info"].GetMetric() {
		shown[m.GetLabel()[1].GetValue()] = true
	}
	if len(shown) != 100 || !shown["bronze.t0017"] || !shown["bronze.t0018"] || !shown["bronze.t4999"] || shown["bronze.t4901"] {
		t.Errorf("%d tables are shown: %v", len(shown), shown)
	}
	n := 0
	for _, f := range families {
		n += len(f.GetMetric())
	}
	if n > 600 {
		t.Errorf("%d metrics", n)
	}
	if files := families["flumen_tables_files"].GetMetric()[0].GetGauge().GetValue(); files != 5000 {
		t.Errorf("%.0f files can go", files)
	}
}

func TestTwoTablesOfOneNameLeaveMetricsReadable(t *testing.T) {
	two := &status.Tables{At: noon, All: []status.Table{{Name: "t"}, {Name: "t", Standing: status.TableCritical}}}
	b := status.New(status.Options{Standing: func() (status.Standing, bool) { return status.Standing{}, false }, Tables: func() *status.Tables { return two }})
	if all := scraped(t, b)["flumen_table_standing_info"].GetMetric(); len(all) != 1 || all[0].GetLabel()[0].GetValue() != "critical" {
		t.Errorf("%v", all)
	}
}
