package report_test

import (
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/drift/sketch"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// lakehouse is a check of a stack of some size, in which things are amiss in all ways.
func lakehouse(t *testing.T) report.Check {
	t.Helper()
	want, err := sketch.Desired(`
project flumendata
tier foundation
network default
volume postgres_data
service postgres image=postgres:17 volume=postgres_data:/data env.TZ=UTC
service minio image=minio:1
bucket lakehouse in=minio versioning=enabled
bucket storage in=minio
tier data-platform
service hive-metastore image=hive-metastore:4.1.0
service spark-master image=spark:4.0.1 env.SPARK_MODE=master env.SPARK_LOCAL_IP=0.0.0.0
service spark-worker image=spark:4.0.1 count=2
tier analytics
service jupyterlab-for-all-data-scientists image=jupyterlab:4
tier sql
volume superset_home
service trino image=trino:476 env.TZ=UTC
service superset image=superset:6 volume=superset_home:/home
`)
	if err != nil {
		t.Fatal(err)
	}
	want.Revision = spec.Revision{ID: "4d1c5e0f9a2b77aa", Source: "https://git.example.com/data/lakehouse.git (main)", Commit: "9c1b6ad0e35f4411", Subject: "Give Trino more memory"}
	have, err := sketch.Observed(want, `
everything
service spark-worker#2 exited exit=137 oom
service spark-master env.SPARK_MODE=worker -env.SPARK_LOCAL_IP
service trino env.TZ=CET unhealthy
no service superset
blind service/jupyterlab-for-all-data-scientists the engine did not answer within 30s
service old-notebook running
volume old_data
bucket lakehouse holds=1204/94489280512
bucket storage holds=0/0
`)
	if err != nil {
		t.Fatal(err)
	}
	have.At = noon
	d := drift.Compare(want, have)
	c := report.NewCheck(want, have, d)
	p := plan.Build(want, have, d, plan.Around([]plan.Obstacle{
		{Ref: spec.InstanceRef("spark-master", 1), Rule: "port", Reason: "host port 7077 is held by process 4711 (java): stop it, or publish another port"},
	})...)
	c.Would = &p
	c.Age(map[spec.Ref]report.Seen{
		spec.InstanceRef("trino", 1):    {Verdict: drift.Changed, Since: noon.Add(-26 * time.Hour), Cause: "out of band: exec_create at 2026-02-28T10:00:00Z"},
		spec.InstanceRef("postgres", 1): {Verdict: drift.Down, Since: noon.Add(-time.Hour)},
	}, func(ref spec.Ref) string {
		return map[string]string{"spark-worker#2": "out of band: oom at 2026-03-01T11:58:10Z"}[ref.Name]
	})
	return c
}
