package examples

import (
	"encoding/hex"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
	sparkListensInOneNetwork(t, l)
	fetchedJarsAreShared(t, l)
}

// sparkListensInOneNetwork, though workers and drivers are in two: what runs code is out of the reach of
// what has no business with it.
func sparkListensInOneNetwork(t *testing.T, l *lakehouse) {
	const jupyter = "0.0.0.0:8888" // the only one that others than Spark have business with
	for _, service := range append([]string{driver, "spark-master"}, bothWorkers...) {
		want := l.docker("inspect", "-f", `{{(index .NetworkSettings.Networks "`+l.project+`_tier1_network").IPAddress}}`, l.container(service))
		all := slices.DeleteFunc(l.listens(service), func(address string) bool { return service == driver && address == jupyter })
		elsewhere := slices.DeleteFunc(slices.Clone(all), func(address string) bool { return strings.HasPrefix(address, want+":") })
		if len(all) < 2 || len(elsewhere) > 0 {
			t.Errorf("%s listens on %v, its address for Spark is %s", service, all, want)
		}
	}
}

// fetchedJarsAreShared by drivers, whoever they run as.
func fetchedJarsAreShared(t *testing.T, l *lakehouse) {
	const folder = "/var/lib/spark/ivy"
	if got := l.session.sql(l, "SET spark.jars.ivy"); !strings.Contains(got, folder) {
		t.Errorf("fetched jars are kept in %q", got)
	}
	l.docker("exec", l.container(driver), "touch", folder+"/of-a-driver")
	for _, service := range append([]string{"spark-master"}, bothWorkers...) {
		l.docker("exec", l.container(service), "sh", "-c", "test -e "+folder+"/of-a-driver && touch "+folder+"/of-$(hostname)")
	}
}

// listens gives the addresses on which others may connect to a container, with their ports.
func (l *lakehouse) listens(service string) []string {
	l.t.Helper()
	const state, listening = 3, "0A"
	var all []string
	for line := range strings.Lines(l.docker("exec", l.container(service), "cat", "/proc/net/tcp", "/proc/net/tcp6")) {
		cells := strings.Fields(line)
		if len(cells) <= state || cells[state] != listening {
			continue
		}
		host, digits, _ := strings.Cut(cells[1], ":")
		port, err := strconv.ParseUint(digits, 16, 16)
		if err != nil {
			l.t.Fatal(err)
		}
		address, err := hex.DecodeString(host[len(host)-8:]) // of an IPv4 address in IPv6 the end, backwards
		if err != nil {
			l.t.Fatal(err)
		}
		slices.Reverse(address)
		if address := net.IP(address); !address.IsLoopback() {
			all = append(all, net.JoinHostPort(address.String(), strconv.FormatUint(port, 10)))
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
	id := applicationID(t, l.session.sql(l, "SET spark.app.id"))
	l.session.end(l)
	l.hasEventLog(t, id)
}

// applicationID is what Spark calls a driver, in the answer to a question for it.
func applicationID(t *testing.T, answer string) string {
	t.Helper()
	id := regexp.MustCompile(`\bapp-[0-9]+-[0-9]+\b`).FindString(answer)
	if id == "" {
		t.Errorf("Spark says of its application: %s", answer)
	}
	return id
}

// hasEventLog of a driver, wherever it runs.
func (l *lakehouse) hasEventLog(t *testing.T, id string) {
	t.Helper()
	if logs := l.docker("exec", l.container("spark-master"), "ls", "/var/lib/spark/logs"); !strings.Contains(logs, id) {
		t.Errorf("of event logs there is %q, and none of %s", logs, id)
	}
}

// aStreamingQueryRuns in the driver that stays, which copies ten rows one by one, and does so for more than a minute.
func (l *lakehouse) aStreamingQueryRuns() {
	l.t.Helper()
	l.session.must(l, "flow", 10)
}

// isCutOff: the driver is gone, and its query had not copied all.
func (l *lakehouse) isCutOff(before, after int) {
	l.t.Helper()
	l.session.kill()
	*l.session = session{}
	rows, err := l.trino("SELECT count(*) FROM delta.bronze.copied")
	if err != nil {
		l.t.Fatal(err)
	}
	if n, err := strconv.Atoi(strings.Join(rows, "")); err != nil || n <= before || n >= after {
		l.t.Errorf("the streaming query was not cut off on its way from %d rows to %d: there are %q (%v)", before, after, rows, err)
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
