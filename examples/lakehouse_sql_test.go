package examples

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// trino asks Trino over its port, and gives one line for each row.
func (l *lakehouse) trino(query string) ([]string, error) {
	l.t.Helper()
	first, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, l.base("TRINO")+"/v1/statement", strings.NewReader(query))
	if err != nil {
		return nil, err
	}
	var rows []string
	web := l.web()
	for request := first; ; {
		request.Header.Set("X-Trino-User", "test")
		var page struct {
			NextURI string
			Data    [][]any
			Error   struct{ Message string }
		}
		if err := fetchJSON(web, request, &page); err != nil {
			return nil, err
		}
		for _, row := range page.Data {
			rows = append(rows, strings.TrimSuffix(fmt.Sprintln(row...), "\n"))
		}
		switch {
		case page.Error.Message != "":
			return nil, errors.New(page.Error.Message)
		case page.NextURI == "":
			return rows, nil
		}
		if request, err = http.NewRequestWithContext(l.t.Context(), http.MethodGet, page.NextURI, nil); err != nil {
			return nil, err
		}
	}
}

func fetchJSON(c *http.Client, request *http.Request, into any) error {
	answer, err := c.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", request.Method, request.URL, answer.Status, body)
	}
	return json.Unmarshal(body, into)
}

// tells expects rows of Trino. It asks again for a while: a worker that has only just started
// may refuse.
func (l *lakehouse) tells(query string, want ...string) {
	l.t.Helper()
	var got []string
	var err error
	if !within(15*time.Minute, time.Second, func() bool { got, err = l.trino(query); return err == nil }) {
		l.t.Fatalf("%s: %v", query, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Errorf("%s (-want +got):\n%s", query, diff)
	}
}

// theOrders is what Spark left in bronze.orders.
const theOrders = "SELECT id, item, amount, note, origin FROM delta.bronze.orders ORDER BY id"

var orders = []string{"1 anvil 10.00 <nil> <nil>", "2 bolt 0.80 new shop", "4 döner 9.90 hot web"}

func trinoReadsWhatSparkWrote(t *testing.T, l *lakehouse) {
	l.converges("sql")
	if options := l.docker("exec", l.container("trino"), "cat", "/etc/trino/jvm.config"); !strings.Contains(options, l.env["TRINO_JAVA_OPTIONS"]) {
		t.Errorf("Trino's options of Java are:\n%s", options)
	}
	l.tells(theOrders, orders...)
	l.tells(`SELECT operation FROM delta.bronze."orders$history" ORDER BY version`, "CREATE TABLE", "WRITE", "UPDATE", "DELETE", "ADD COLUMNS", "MERGE")
	l.tells("SELECT day, n FROM hive.bronze.visits ORDER BY n", "2026-01-01 3", "2026-01-02 5")
	for _, write := range []string{"INSERT INTO delta.bronze.orders VALUES (9, 'x', 1, 'x')", "DELETE FROM delta.bronze.orders", "DROP TABLE delta.bronze.orders",
		"CREATE SCHEMA delta.mine", "INSERT INTO hive.bronze.visits VALUES (1, DATE '2026-01-03')"} {
		if _, err := l.trino(write); err == nil || !strings.Contains(err.Error(), "Access Denied") {
			t.Errorf("%s: %v", write, err)
		}
	}
	everyContainerIsModest(t, l)
	noServiceHasTheRootKey(t, l)
}

// jupyterRunsTheExample as a person does who keeps what it shows in work: that file and the objects are theirs.
func jupyterRunsTheExample(t *testing.T, l *lakehouse) {
	l.docker("exec", l.container("jupyterlab"), "jupyter", "execute", "--output=/home/jovyan/work/first-table.ipynb", "examples/first-table.ipynb")
	l.tells("SELECT sensor, celsius FROM delta.silver.readings ORDER BY sensor", "attic 31.5", "cellar 12.25")

	notebook := filepath.Join(l.data, "notebooks/first-table.ipynb")
	if content, err := os.ReadFile(notebook); err != nil || !strings.Contains(string(content), "cellar|  12.25") {
		t.Errorf("the notebook has no output (%v):\n%s", err, content)
	}
	for _, file := range []string{notebook, filepath.Join(l.data, "minio/lakehouse/warehouse/silver.db/readings/_delta_log/00000000000000000000.json")} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if owner := strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Uid)); owner != l.env["DATA_UID"] {
			t.Errorf("%s belongs to %s, not to %s", file, owner, l.env["DATA_UID"])
		}
	}
}

// superset is a person who has logged in.
type superset struct {
	*http.Client
	base, token, csrf string
}

func (s *superset) ask(method, path string, send, into any) error {
	body, err := json.Marshal(send)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Referer", s.base)
	if s.token != "" {
		request.Header.Set("Authorization", "Bearer "+s.token)
		request.Header.Set("X-CSRFToken", s.csrf)
	}
	return fetchJSON(s.Client, request, into)
}

func (l *lakehouse) logIn(password string) (*superset, error) { return l.logInAs("admin", password) }

// logInAs is what a person does, in the terms of Superset's API.
func (l *lakehouse) logInAs(user, password string) (*superset, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	s := &superset{Client: l.web(), base: l.base("SUPERSET")}
	s.Jar = jar
	var login struct {
		Token string `json:"access_token"`
	}
	who := map[string]any{"username": user, "password": password, "provider": "db", "refresh": false}
	if err := s.ask(http.MethodPost, "/api/v1/security/login", who, &login); err != nil {
		return nil, err
	}
	s.token = login.Token
	var csrf struct{ Result string }
	err = s.ask(http.MethodGet, "/api/v1/security/csrf_token/", nil, &csrf)
	s.csrf = csrf.Result
	return s, err
}

// askTrino asks the only database that Superset knows, as SQL Lab does.
func (s *superset) askTrino(query string) ([]map[string]any, error) {
	var databases struct {
		Result []struct {
			ID   int
			Name string `json:"database_name"`
		}
	}
	if err := s.ask(http.MethodGet, "/api/v1/database/", nil, &databases); err != nil || len(databases.Result) != 1 || databases.Result[0].Name != "Trino" {
		return nil, fmt.Errorf("the databases are %+v (%v)", databases.Result, err)
	}
	var answer struct{ Data []map[string]any }
	execute := map[string]any{"database_id": databases.Result[0].ID, "sql": query, "runAsync": false}
	err := s.ask(http.MethodPost, "/api/v1/sqllab/execute/", execute, &answer)
	return answer.Data, err
}

func supersetAsksTrino(t *testing.T, l *lakehouse) {
	s, err := l.logIn(l.env["SUPERSET_ADMIN_PASSWORD"])
	if err != nil {
		t.Fatal(err)
	}
	s.hasOrders(t)
	if _, err := l.logIn("not the password"); err == nil {
		t.Error("any password opens it")
	}
}

// hasOrders expects the rows that Spark wrote of Superset.
func (s *superset) hasOrders(t *testing.T) {
	t.Helper()
	rows, err := s.askTrino(theOrders)
	if err != nil {
		t.Fatal(err)
	}
	var items []string
	for _, row := range rows {
		items = append(items, fmt.Sprint(row["item"]))
	}
	if !slices.Equal(items, []string{"anvil", "bolt", "döner"}) {
		t.Errorf("Superset gives %v", rows)
	}
}

// supersetShowsItsPage opens the page for logging in as a person does, and leaves a picture of
// it in the artefacts (go test -artifacts).
func supersetShowsItsPage(t *testing.T, l *lakehouse) {
	browser := enginetest.Browser(t)
	show := func(how string) string {
		code, out := l.run(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--virtual-time-budget=30000",
			"--window-size=1280,900", "--user-data-dir="+t.TempDir(), how, "http://127.0.0.1:"+l.env["SUPERSET_PORT"]+"/login/")
		if code != 0 {
			t.Fatalf("%s: %s", how, out)
		}
		return out
	}
	picture := filepath.Join(t.ArtifactDir(), "superset.png")
	show("--screenshot=" + picture)
	if info, err := os.Stat(picture); err != nil || info.Size() < 10_000 {
		t.Errorf("there is hardly anything in the picture: %v (%v)", info, err)
	}
	page := show("--dump-dom")
	for _, part := range []string{`id="username"`, `type="password"`, "Sign in"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page has no %s", part)
		}
	}
}

// everySystemComesBack kills each container in turn, those that do not need one another side by
// side, and expects what needs nearly all of them to answer again: Trino, Superset, and Spark after those that it is
// made of. Workers find a new master by themselves. A streaming query whose driver and one executor are killed on its way
// goes on where it was. The last two are healed by an agent that runs.
func everySystemComesBack(t *testing.T, l *lakehouse) {
	workersStarted := func() string {
		return l.docker("inspect", "-f", "{{.State.StartedAt}}", l.container("spark-worker1"), l.container("spark-worker2"))
	}
	for _, services := range [][]string{{"postgres"}, {"minio"}, {"hive-metastore"}, {"spark-master"}, {"spark-worker1", "jupyterlab", "superset"}} {
		before := workersStarted()
		for _, service := range services {
			l.kill(service)
		}
		report := l.exits(2, "drift")
		if services[0] == "postgres" && !strings.Contains(report, "needed by service/hive-metastore, service/jupyterlab, service/spark-master, service/spark-worker1, service/spark-worker2, service/superset, service/trino") {
			t.Errorf("the report does not say what needs PostgreSQL:\n%s", report)
		}
		began := time.Now()
		l.converges("sql")
		t.Logf("%v is back after %s, a plan included", services, time.Since(began).Round(100*time.Millisecond))
		l.tells(theOrders, orders...)
		switch services[0] {
		case "spark-master":
			if workersStarted() != before {
				t.Error("a worker was restarted though only the master was killed")
			}
			l.readsOrders()
			l.aStreamingQueryRuns()
		case "spark-worker1":
			l.isCutOff(10, 20)
			l.readsOrders()
			l.session.end(l)
		}
		l.supersetHasOrders()
	}
	l.agentHeals("spark-worker2", "trino")
	l.tells(theOrders, orders...)
	l.supersetHasOrders()
	l.streams(30)
}

// agentHeals what is killed while an agent runs: nobody calls it.
func (l *lakehouse) agentHeals(services ...string) {
	l.t.Helper()
	state := func(service string) (started, health string) {
		started, health, _ = strings.Cut(l.docker("inspect", "-f", "{{.State.StartedAt}} {{.State.Health.Status}}", l.container(service)), " ")
		return started, health
	}
	l.agentRuns(func() bool {
		before := map[string]string{}
		for _, service := range services {
			before[service], _ = state(service)
			l.kill(service)
		}
		return within(10*time.Minute, time.Second, func() bool {
			for _, service := range services {
				if started, health := state(service); started == before[service] || health != "healthy" {
					return false
				}
			}
			return true
		})
	})
	l.exits(0, "plan")
}

// readsOrders by Spark.
func (l *lakehouse) readsOrders() {
	l.t.Helper()
	l.reads("SELECT id, item FROM bronze.orders ORDER BY id", "1\tanvil\n2\tbolt\n4\tdöner\n")
}

func (l *lakehouse) supersetHasOrders() {
	l.t.Helper()
	s, err := l.logIn(l.env["SUPERSET_ADMIN_PASSWORD"])
	if err != nil {
		l.t.Fatal(err)
	}
	s.hasOrders(l.t)
}

func aChangeReplacesTrinoAlone(t *testing.T, l *lakehouse) {
	l.edit("conf/trino/catalog/delta.properties", "# another line")
	if got := l.planned("sql"); !slices.Equal(got, []string{"replace service/trino"}) {
		t.Errorf("the plan is %q", got)
	}
	l.converges("sql")
	l.tells(theOrders, orders...)
}

// onlyTheServerFails is an end of the metastore's Dockerfile with which the job of the same image
// does its work and the server ends at once.
const onlyTheServerFails = `ENTRYPOINT ["sh", "-c", "[ $0 = schema ] && exec entrypoint.sh schema; exit 1"]`

// aBrokenMetastoreIsRolledBack commits an image whose server ends at once: the one before is
// started again, and names are known again. Its job has a table to make, as that of a newer version may have, while the
// server of the image before still runs.
func aBrokenMetastoreIsRolledBack(t *testing.T, l *lakehouse) {
	const missing = `"PART_COL_PRIVS"`
	l.mustSQL("hive", l.env["HIVE_DB_PASSWORD"], "metastore", "DROP TABLE "+missing)
	before := l.docker("inspect", "-f", "{{.Image}}", l.container("hive-metastore"))
	l.edit("images/hive-metastore/Dockerfile", onlyTheServerFails)
	began := time.Now()
	gap := l.asksMeanwhile()
	out := l.exits(1, "apply", "--yes")
	t.Logf("it is rolled back after %s; for %s no statement that names a table was answered", time.Since(began).Round(time.Second), gap().Round(100*time.Millisecond))
	l.tells(theOrders, orders...)
	if after := l.docker("inspect", "-f", "{{.Image}}", l.container("hive-metastore")); after != before || !strings.Contains(out, "rolled back replace service/hive-metastore") {
		t.Errorf("the metastore runs %s, before it ran %s:\n%s", after, before, out)
	}
	l.mustSQL("hive", l.env["HIVE_DB_PASSWORD"], "metastore", "TABLE "+missing)
	l.git("revert", "--no-edit", "HEAD")
	l.converges("sql")
	l.tells(theOrders, orders...)
}

// asksMeanwhile asks for a table by name again and again. The function it gives ends that and
// tells the longest time between two answers.
func (l *lakehouse) asksMeanwhile() (gap func() time.Duration) {
	ended := make(chan struct{})
	longest := make(chan time.Duration)
	go func() {
		var most time.Duration
		for last := time.Now(); ; {
			if _, err := l.trino("SELECT count(*) FROM delta.bronze.orders"); err == nil {
				most, last = max(most, time.Since(last)), time.Now()
			}
			select {
			case <-ended:
				longest <- max(most, time.Since(last))
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	return func() time.Duration { close(ended); return <-longest }
}

// everythingComesUpAgain after down, tier by tier. It changes no row of a table or of the metastore. The password of
// Superset's admin is another one then, which its job takes over.
func everythingComesUpAgain(t *testing.T, l *lakehouse) {
	tables, names := l.everyTable(), l.rowsOfMetastore()
	password := l.env["SUPERSET_ADMIN_PASSWORD"]
	l.env["SUPERSET_ADMIN_PASSWORD"] = "AnotherAdminPasswordOfATest" // from here on
	if got := l.planned("sql"); !slices.Equal(got, []string{"replace service/superset-init"}) {
		t.Errorf("with another password of Superset's admin the plan is %q", got)
	}
	l.exits(0, "down", "--yes")
	seen := enginetest.Starts(t, enginetest.Connect(t, enginetest.Hosts(t)[0]), l.project)
	began := time.Now()
	l.converges("sql")
	t.Logf("all of it is up after down: %s", time.Since(began).Round(time.Second))
	enginetest.InOrder(t, seen(), theTiers...)
	l.tells(theOrders, orders...)
	l.supersetHasOrders()
	if _, err := l.logIn(password); err == nil {
		t.Error("the admin's password from before still opens Superset")
	}
	if diff := cmp.Diff(tables, l.everyTable()); diff != "" {
		t.Errorf("rows of the tables (-before +after down):\n%s", diff)
	}
	if diff := cmp.Diff(names, l.rowsOfMetastore()); diff != "" {
		t.Errorf("rows of the metastore (-before +after down):\n%s", diff)
	}
}

// rowsOfMetastore is all that it keeps in PostgreSQL, as the sorted lines of a dump, and a sum of its tables' columns,
// which would be others if a table was made anew.
func (l *lakehouse) rowsOfMetastore() []string {
	l.t.Helper()
	dump := l.docker("exec", "-e", "PGPASSWORD="+l.env["HIVE_DB_PASSWORD"], l.container("postgres"), "pg_dump", "-h", "postgres", "-U", "hive", "metastore")
	var rows []string
	for line := range strings.Lines(dump) {
		if !ofTheDump.MatchString(line) {
			rows = append(rows, line)
		}
	}
	if !slices.ContainsFunc(rows, func(row string) bool { return strings.Contains(row, "\torders\t") }) {
		l.t.Fatalf("the metastore's dump does not name a table:\n%s", dump)
	}
	slices.Sort(rows)
	return append(rows, l.mustSQL("hive", l.env["HIVE_DB_PASSWORD"], "metastore", `SELECT md5(string_agg(format('%s %s %s', attrelid, attname, atttypid), ',' ORDER BY attrelid, attnum)) FROM pg_attribute`))
}

// ofTheDump are lines that say how to read it and no row; a word of \restrict is a random one.
var ofTheDump = regexp.MustCompile(`^(\s*$|--|SET |SELECT pg_catalog\.set_config|\\restrict |\\unrestrict )`)
