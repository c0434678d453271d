package proof_test

import (
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

func TestAMonthOfLooksIsRemembered(t *testing.T) {
	var all []proof.Point
	for d := range 100 {
		at := time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC).AddDate(0, 0, d)
		kind := spec.VacuumLite
		if d%7 == 0 {
			kind = spec.VacuumFull
		}
		for range 3 { // the last of a day is the one that counts
			at = at.Add(time.Hour)
			all = proof.Remember(all, proof.Point{At: at, ID: "t", Vacuum: kind, Live: proof.Amount{Files: int64(d)}})
		}
	}
	if len(all) != 40 || all[39].Live.Files != 99 || all[0].Live.Files != 60 || all[0].At.Hour() != 6 {
		t.Errorf("%d: %+v", len(all), all)
	}
	next := proof.Point{At: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), ID: "t", Vacuum: spec.VacuumFull, Live: proof.Amount{Files: 1}}
	if trend := proof.TrendOf(all, next); trend == nil || trend.Live.Files != 1-98 {
		t.Errorf("%+v", trend)
	}
}
