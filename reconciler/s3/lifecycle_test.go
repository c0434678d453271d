package s3

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7/pkg/lifecycle"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// someRules have a bit of everything that a rule can have on MinIO.
var someRules = []spec.LifecycleRule{
	{ID: "noncurrent", NoncurrentDays: 14, NewerNoncurrent: 3},
	{ID: "by tags", Prefix: "tmp/", Tags: map[string]string{"a": "1", "b": "2"}, Days: 7},
	{ID: "by size", Larger: 1 << 20, Smaller: 1 << 30, Days: 30},
	{ID: "day", Prefix: "old/", Date: time.Date(2031, 2, 3, 0, 0, 0, 0, time.UTC)},
	{ID: "markers", DeleteMarkers: true},
	{ID: "off", Disabled: true, Tags: map[string]string{"a": "1"}, Days: 1},
}

func TestRuleIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	rules := append([]spec.LifecycleRule{{ID: "uploads", Prefix: "x", AbortDays: 2}, {ID: "small", Smaller: 7, Days: 1}}, someRules...)
	for _, want := range rules {
		if diff := cmp.Diff(want, ruleOf(ruleFor(want))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestRuleSaysWhatNoSpecCanAskFor(t *testing.T) {
	t.Parallel()
	for says, rule := range map[string]lifecycle.Rule{
		"all versions expire with the current one":          {Status: "Enabled", Expiration: lifecycle.Expiration{Days: 1, DeleteAll: true}},
		"all versions expire after 2 days":                  {Status: "Enabled", AllVersionsExpiration: lifecycle.AllVersionsExpiration{Days: 2}},
		"moves to the storage class COLD":                   {Status: "Enabled", Expiration: lifecycle.Expiration{Days: 1}, Transition: lifecycle.Transition{StorageClass: "COLD"}},
		"all versions expire 3 days after their removal":    {Status: "Enabled", Expiration: lifecycle.Expiration{Days: 1}, DelMarkerExpiration: lifecycle.DelMarkerExpiration{Days: 3}},
		"noncurrent versions move to the storage class ICE": {Status: "Enabled", Expiration: lifecycle.Expiration{Days: 1}, NoncurrentVersionTransition: lifecycle.NoncurrentVersionTransition{StorageClass: "ICE"}},
	} {
		if one := ruleOf(rule); !strings.Contains(one.String(), says) || !one.Expires() {
			t.Errorf("%q expires %t, want %q", one, one.Expires(), says)
		}
	}
}

func expire(id, prefix string, days int) lifecycle.Rule {
	return ruleFor(spec.LifecycleRule{ID: id, Prefix: prefix, Days: days})
}

func rulesFor(rules []spec.LifecycleRule) (all []lifecycle.Rule) {
	for _, r := range rules {
		all = append(all, ruleFor(r))
	}
	return all
}

// rules gives a bucket these rules by hand, and no others.
func (w *world) rules(b *spec.Bucket, rules ...lifecycle.Rule) error {
	return w.hand.SetBucketLifecycle(w.Context(), b.Name, &lifecycle.Configuration{Rules: rules})
}

func (w *world) mustHaveRules(b *spec.Bucket, rules ...lifecycle.Rule) {
	w.Helper()
	if err := w.rules(b, rules...); err != nil {
		w.Fatal(err)
	}
}

func testLifecycleIsWhole(w *world) {
	b := w.bucket()
	w.byHand(b, nil)
	w.mustHaveRules(b, expire("theirs", "tmp/", 1))
	want := w.desired(b)
	w.must(want, b, "") // nobody declares any
	for _, rules := range [][]spec.LifecycleRule{{{ID: "ours", NoncurrentDays: 3}}, {}} {
		b.Lifecycle = rules
		d := w.must(want, b, drift.Changed)
		w.mustApply(plan.Update{Want: b, Have: *d.Have, Fields: d.Fields})
		w.must(want, b, "")
	}
	if config, err := w.hand.GetBucketLifecycle(w.Context(), b.Name); codeOf(err) != "NoSuchLifecycleConfiguration" {
		w.Errorf("%v %v", config, err)
	}
}

// testLiveTables asks for rules that would delete files of a table, wherever that is seen from
// their prefixes.
func testLiveTables(w *world) {
	b := w.bucket()
	w.byHand(b, nil)
	for _, key := range []string{"warehouse/bronze.db/events/_delta_log/0.json", "warehouse/bronze.db/events/day=1/a.parquet",
		"other/_delta_logs/x", "tmp/a/b/c", "my_delta_log/x", "warehouse/tmp/x"} {
		w.mustPut(b, key)
	}
	want := w.desired(b)
	for prefix, refused := range map[string]bool{
		"": true, "ware": true, "warehouse": true, "warehouse/": true, "warehouse/b": true, "warehouse/bronze.db/events": true,
		"warehouse/bronze.db/events/day=1/": true, "warehouse/bronze.db/events/_delta_log/0": true,
		"warehouse/bronze.db/events2": false, "tmp/": false, "other": false, "my": false, "warehouse/tmp/": false,
	} {
		b.Lifecycle = []spec.LifecycleRule{{ID: "clean", Prefix: prefix, Days: 1, Tags: map[string]string{"a": "b"}}}
		d := w.must(want, b, drift.Changed)
		update := plan.Update{Want: b, Have: *d.Have, Fields: d.Fields}
		held := w.check(update)
		err := w.apply(update)
		switch {
		case !refused && (err != nil || len(held) > 0):
			w.Errorf("prefix %q: %v, held %v", prefix, err, held)
		case refused && (err == nil || !strings.Contains(err.Error(), "Delta table s3://"+b.Name+"/warehouse/bronze.db/events")):
			w.Errorf("prefix %q: %v", prefix, err)
		case refused && (len(held) != 1 || held[0].Rule != ruleTables || held[0].Ref != b.Ref()):
			w.Errorf("prefix %q is not held: %v", prefix, held)
		}
		w.mustHaveRules(b)
	}
	b.Lifecycle = []spec.LifecycleRule{{ID: "noncurrent", NoncurrentDays: 1}, {ID: "off", Disabled: true, Days: 1}}
	w.mustApply(plan.Create{Want: b})
}

// testCriticalRule: that a rule deletes live tables is seen, whoever set it.
func testCriticalRule(w *world) {
	seen, named := w.bucket(), w.bucket()
	named.Tables = []string{"warehouse"}
	for _, b := range []*spec.Bucket{seen, named} {
		w.byHand(b, nil)
		w.mustHaveRules(b, expire("clean", "warehouse/", 1))
	}
	want := w.desired(seen, named)
	if d := w.mustDiffer(want, named, drift.Critical); !strings.Contains(d.Critical, "the lifecycle rule clean deletes the Delta tables in s3://"+named.Name+"/warehouse") {
		w.Errorf("%q", d.Critical)
	}
	w.mustHaveRules(named)
	w.must(want, seen, "")
	w.mustPut(seen, "warehouse/t/_delta_log/0.json")
	w.must(want, seen, drift.Critical)

	seen.Lifecycle = []spec.LifecycleRule{{ID: "noncurrent", NoncurrentDays: 3}} // which is put right
	d := w.must(want, seen, drift.Changed)
	if !strings.Contains(d.Critical, "the lifecycle rule clean deletes files of the Delta table s3://"+seen.Name+"/warehouse/t") {
		w.Errorf("%q", d.Critical)
	}
	w.mustApply(plan.Update{Want: seen, Have: *d.Have, Fields: d.Fields})
	w.must(want, seen, "")
}

// mustDiffer is must where something else differs as well.
func (w *world) mustDiffer(want spec.Desired, b *spec.Bucket, verdict drift.Verdict) drift.Difference {
	w.Helper()
	d, _ := drift.Compare(want, w.observe(want)).Of(b.Ref())
	if d.Verdict != verdict {
		w.Fatalf("%s is %q, want %q", b.Ref(), d.Verdict, verdict)
	}
	return d
}

func testAbort(w *world) {
	b := w.bucket()
	b.Lifecycle = []spec.LifecycleRule{{ID: "uploads", AbortDays: 1, AbortAt: "flumen.yaml:12:5"}}
	want := w.desired(b)
	w.must(want, b, drift.Missing)
	create := plan.Create{Want: b}
	held := w.check(create)
	if len(held) != 1 || held[0].Rule != ruleFeature || !strings.HasPrefix(held[0].Reason, "flumen.yaml:12:5: the store minio (MinIO) does not take") || !strings.Contains(held[0].Reason, "MINIO_API_STALE_UPLOADS_EXPIRY") {
		w.Errorf("%+v", held)
	}
	if err := w.apply(create); err == nil || !strings.Contains(err.Error(), "minio (MinIO)") {
		w.Errorf("%v", err)
	}
	w.must(want, b, drift.Missing) // nothing was changed
}

// testSearchEnds bounds the search for tables to less than there is.
func testSearchEnds(w *world) {
	b := w.bucket()
	w.byHand(b, nil)
	w.mustPut(b, "a/b/c/d/_delta_log/0.json")
	c, err := w.target.connect(w.Context(), "p", w.store)
	if err != nil {
		w.Fatal(err)
	}
	defer c.close()
	for pages, finds := range map[int]bool{3: false, 10: true} {
		s := &search{c, b.Name, pages}
		table, whole, err := s.reached(w.Context(), "")
		if err != nil || whole != finds || (table != "") != finds {
			w.Errorf("%d pages: found %q, whole %t, %v", pages, table, whole, err)
		}
	}
}
