package examples

import (
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sparkKeepsDeltaTables(t *testing.T, l *lakehouse) {
	l.converges("analytics")
	out := l.session.file(l, "orders.sql")

	rows := "1\tanvil\t10.00\tNULL\tNULL\n2\tbolt\t0.80\tnew\tshop\n4\tdöner\t9.90\thot\tweb\n3\n"
	if !strings.Contains(out, rows) {
		t.Errorf("the rows are not as expected:\n%s", out)
	}
	var history []string
	for line := range strings.Lines(out) {
		if cells := strings.Split(line, "\t"); len(cells) > 10 {
			history = append(history, cells[0]+" "+cells[4])
		}
	}
	if diff := cmp.Diff([]string{"5 MERGE", "4 ADD COLUMNS", "3 DELETE", "2 UPDATE", "1 WRITE", "0 CREATE TABLE"}, history); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	for _, want := range []string{"day=2026-01-01", "day=2026-01-02", "bytes, 2 rows"} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing says %q about the partitioned table:\n%s", want, out)
		}
	}
	for _, of := range []string{"driver", "executor"} {
		if got := l.session.sql(l, "SET spark."+of+".extraJavaOptions"); !strings.Contains(got, l.env["SPARK_JAVA_OPTIONS"]) {
			t.Errorf("options of Java for the %s are %q", of, got)
		}
	}
	filesAndNamesAreThere(t, l)
	workersListenInOneNetwork(t, l)
}

// workersListenInOneNetwork, though they are in two: what runs code is out of the reach of
// what has no business with it.
func workersListenInOneNetwork(t *testing.T, l *lakehouse) {
	for _, worker := range bothWorkers {
		want := l.docker("inspect", "-f", `{{(index .NetworkSettings.Networks "`+l.project+`_tier1_network").IPAddress}}`, l.container(worker))
		if got := l.listens(worker); !slices.Equal(got, []string{want}) {
			t.Errorf("%s listens on %v, its address for Spark is %s", worker, got, want)
		}
	}
}

// listens gives the addresses on which others may connect to a container.
func (l *lakehouse) listens(service string) []string {
	l.t.Helper()
	const state, listening = 3, "0A"
	var all []string
	for line := range strings.Lines(l.docker("exec", l.container(service), "cat", "/proc/net/tcp", "/proc/net/tcp6")) {
		cells := strings.Fields(line)
		if len(cells) <= state || cells[state] != listening {
			continue
		}
		host, _, _ := strings.Cut(cells[1], ":")
		address, err := hex.DecodeString(host[len(host)-8:]) // of an IPv4 address in IPv6 the end, backwards
		if err != nil {
			l.t.Fatal(err)
		}
		slices.Reverse(address)
		if address := net.IP(address); !address.IsLoopback() {
			all = append(all, address.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// filesAndNamesAreThere: the files are objects in MinIO, the names are rows in PostgreSQL.
func filesAndNamesAreThere(t *testing.T, l *lakehouse) {
	for _, file := range []string{"orders/_delta_log/00000000000000000005.json", "visits/day=2026-01-01"} {
		if _, err := os.Stat(filepath.Join(l.data, "minio/lakehouse/warehouse/bronze.db", file)); err != nil {
			t.Error(err)
		}
	}
	names := l.mustSQL("hive", l.env["HIVE_DB_PASSWORD"], "metastore", `SELECT "TBL_NAME" FROM "TBLS" ORDER BY 1`)
	if names != "orders\nvisits" {
		t.Errorf("PostgreSQL knows the tables %q", names)
	}
}

// streamed is what stream.py says.
type streamed struct {
	Hosts           []string
	Rows, Different int
}

// bothWorkers are the hosts that a driver's tasks run on.
var bothWorkers = []string{"spark-worker1", "spark-worker2"}

// aStreamingQueryBegins in the driver that stays, which ends then, and leaves its event log. Later ones go on where
// it was.
func aStreamingQueryBegins(t *testing.T, l *lakehouse) {
	l.streams(10)
	l.session.end(l)
	if logs := l.docker("exec", l.container("spark-master"), "ls", "/var/lib/spark/logs"); !strings.Contains(logs, "app-") {
		t.Errorf("of event logs there is %q", logs)
	}
}

// streams has ten rows added and copied, and expects to find so many in all, on both workers.
func (l *lakehouse) streams(all int) {
	l.t.Helper()
	var saw streamed
	said := l.session.must(l, "stream", 10)
	if err := json.Unmarshal([]byte(said), &saw); err != nil {
		l.t.Fatalf("%v in:\n%s", err, said)
	}
	if saw.Rows != all || saw.Different != all || !slices.Equal(saw.Hosts, bothWorkers) {
		l.t.Errorf("%d rows expected: %+v; the master says:\n%s", all, saw, l.docker("logs", "--tail", "60", l.container("spark-master")))
	}
}
