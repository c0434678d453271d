package metastore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// metastoreVariable names the environment variable with the images of a Hive Metastore and of
// PostgreSQL, which make test-lakehouse builds.
const metastoreVariable = "FLUMEN_TEST_METASTORE"

// hive is a real metastore with its database.
type hive struct {
	*testing.T
	name    string
	address string
}

const settings = `<configuration>
<property><name>javax.jdo.option.ConnectionURL</name><value>jdbc:postgresql://postgres:5432/metastore</value></property>
<property><name>javax.jdo.option.ConnectionDriverName</name><value>org.postgresql.Driver</value></property>
<property><name>javax.jdo.option.ConnectionUserName</name><value>postgres</value></property>
<property><name>javax.jdo.option.ConnectionPassword</name><value>hunter22</value></property>
<property><name>metastore.warehouse.dir</name><value>file:/var/lib/hive/warehouse</value></property>
<property><name>metastore.server.min.threads</name><value>4</value></property>
<property><name>datanucleus.schema.autoCreateAll</name><value>false</value></property>
<property><name>metastore.schema.verification</name><value>false</value></property>
<property><name>metastore.housekeeping.leader.election</name><value>host</value></property>
<property><name>metastore.housekeeping.leader.hostname</name><value>nobody</value></property>
</configuration>`

const schema = `javax.jdo.PersistenceManagerFactoryClass=org.datanucleus.api.jdo.JDOPersistenceManagerFactory
javax.jdo.option.ConnectionURL=jdbc:postgresql://postgres:5432/metastore
javax.jdo.option.ConnectionDriverName=org.postgresql.Driver
javax.jdo.option.ConnectionUserName=postgres
javax.jdo.option.ConnectionPassword=hunter22
datanucleus.identifierFactory=datanucleus1
datanucleus.rdbms.useLegacyNativeValueStrategy=true
datanucleus.transactionIsolation=read-committed
datanucleus.connectionPoolingType=None
`

// newHive starts one, which is gone after the test.
func newHive(t *testing.T) *hive {
	images := strings.Fields(os.Getenv(metastoreVariable))
	if len(images) != 2 {
		t.Skipf("needs the images of a Hive Metastore and of PostgreSQL in %s: run make test-lakehouse, which brings them", metastoreVariable)
	}
	engine := enginetest.Connect(t, enginetest.Hosts(t)[0])
	h := &hive{T: t, name: enginetest.Project(t, engine)}
	t.Setenv("DOCKER_HOST", engine.DaemonHost())
	dir := t.TempDir()
	for name, content := range map[string]string{"hive-site.xml": settings, "schema.properties": schema} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h.docker("network", "create", "--subnet", enginetest.Subnet()+".0/24", h.name)
	t.Cleanup(func() { h.docker("network", "rm", h.name) })
	h.start("postgres", "--network-alias", "postgres", "-e", "POSTGRES_PASSWORD=hunter22", "-e", "POSTGRES_DB=metastore", images[1])
	h.await("postgres", "pg_isready", "--quiet", "--host=127.0.0.1", "--dbname=metastore")
	h.docker("run", "--rm", "--network", h.name, "-v", dir+":/etc/hive:ro", images[0], "schema")
	h.start("metastore", "-p", "127.0.0.1::9083", "-v", dir+":/etc/hive:ro", images[0])
	h.await("metastore", "healthy.sh")
	h.address = strings.TrimSpace(h.docker("port", h.name+"-metastore", "9083/tcp"))
	return h
}

func (h *hive) docker(args ...string) string {
	h.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	if err != nil {
		h.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (h *hive) start(name string, args ...string) {
	h.Helper()
	full := h.name + "-" + name
	h.docker(append([]string{"run", "-d", "--name", full, "--network", h.name}, args...)...)
	h.Cleanup(func() { h.docker("rm", "-f", "-v", full) })
}

// await waits for a server that no event tells of.
func (h *hive) await(name string, test ...string) {
	h.Helper()
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		if exec.Command("docker", append([]string{"exec", h.name + "-" + name}, test...)...).Run() == nil {
			return
		}
	}
	h.Fatalf("%s does not become ready: %s", name, h.docker("logs", "--tail", "30", h.name+"-"+name))
}

// do makes a call whose result is of no interest.
func (h *hive) do(name string, arguments func(*encoder)) {
	h.Helper()
	c, err := at(h.address).connect(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	defer c.Close()
	err = c.call(name, arguments, func(k kind) error { return c.in.skip(k, 1) })
	if err != nil && err.Error() != "ask it by "+name+": "+garbled("it has no result").Error() {
		h.Fatal(err)
	}
}

func (h *hive) database(name string) {
	h.do("create_database", func(e *encoder) {
		e.field(kindStruct, 1)
		e.textField(1, name)
		e.textField(3, "file:/var/lib/hive/warehouse/"+name+".db")
		e.stop()
	})
}

// table makes an entry as Spark does.
func (h *hive) table(database, name, location string, storage, parameters map[string]string) {
	texts := func(e *encoder, id int64, m map[string]string) {
		e.field(kindMap, id)
		e.number(int64(kindString), 1)
		e.number(int64(kindString), 1)
		e.number(int64(len(m)), 4)
		for k, v := range m {
			e.text(k)
			e.text(v)
		}
	}
	h.do("create_table", func(e *encoder) {
		e.field(kindStruct, 1)
		e.textField(1, name)
		e.textField(2, database)
		e.textField(3, "spark")
		e.field(kindStruct, 7)
		e.field(kindList, 1)
		e.number(int64(kindStruct), 1)
		e.number(1, 4)
		e.textField(1, "col")
		e.textField(2, "array<string>")
		e.stop()
		e.textField(2, location)
		e.textField(3, "org.apache.hadoop.mapred.SequenceFileInputFormat")
		e.textField(4, "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat")
		e.field(kindStruct, 7)
		e.textField(2, "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe")
		texts(e, 3, storage)
		e.stop()
		e.stop()
		parameters["EXTERNAL"] = "TRUE"
		texts(e, 9, parameters)
		e.textField(12, "EXTERNAL_TABLE")
		e.stop()
	})
}

func delta() map[string]string { return map[string]string{"spark.sql.sources.provider": "delta"} }

// TestMetastore asks a real one.
func TestMetastore(t *testing.T) {
	h := newHive(t)
	const warehouse = "file:/var/lib/hive/warehouse/"
	h.database("bronze")
	h.database("empty")
	h.table("bronze", "events", warehouse+"bronze.db/events"+placeholder, map[string]string{"path": "s3a://lake/wh/bronze.db/events"}, delta())
	h.table("bronze", "moved", warehouse+"bronze.db/moved", map[string]string{"path": "s3a://lake/elsewhere/moved"}, delta())
	h.table("default", "plain", warehouse+"plain", nil, map[string]string{})
	h.table("default", "spaete", warehouse+"x"+placeholder, map[string]string{"path": "s3a://lake/wh/sp%C3%A4te"}, map[string]string{"spark.sql.sources.provider": "DELTA"})

	m, heard := h.recording()
	have, err := m.Tables(t.Context())
	if diff := gocmp.Diff(recordedEntries, sorted(have)); diff != "" || err != nil {
		t.Fatalf("%v %s", err, diff)
	}
	if all := <-heard; os.Getenv("FLUMEN_TEST_RECORD") != "" {
		if err := os.WriteFile(recorded, all, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("TableThatIsNotThereIsSaidToBeAbsent", func(t *testing.T) {
		c := h.connect(t)
		defer c.Close()
		if _, there, err := c.table("bronze", "none"); there || err != nil {
			t.Error(there, err)
		}
		if one, there, err := c.table("bronze", "events"); !there || err != nil || one.entry() != recordedEntries[0] {
			t.Error(one, there, err)
		}
	})
	t.Run("MetastoreThatIsWellAnswers", func(t *testing.T) {
		if err := at(h.address).Answers(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("TablesOfManyBatchesAreAllThere", func(t *testing.T) {
		h.database("many")
		for i := range 2*batch + 1 {
			h.table("many", fmt.Sprintf("t%03d", i), fmt.Sprintf("%smany.db/t%03d", warehouse, i), nil, delta())
		}
		have, err := at(h.address).Tables(t.Context())
		if want := len(recordedEntries) + 2*batch + 1; len(have) != want || err != nil {
			t.Errorf("%d tables of %d, %v", len(have), want, err)
		}
	})
	t.Run("MetastoreWhoseDatabaseIsDownIsAnError", func(t *testing.T) {
		h.docker("pause", h.name+"-postgres")
		defer h.docker("unpause", h.name+"-postgres")
		m := at(h.address)
		m.Timeout = 3 * time.Second
		if all, err := m.Tables(t.Context()); err == nil {
			t.Errorf("%d tables, and no error", len(all))
		}
		if err := m.Answers(t.Context()); err == nil {
			t.Error("it answers")
		}
	})
}

func (h *hive) connect(t *testing.T) *conn {
	c, err := at(h.address).connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// recording is the metastore through a proxy that gives what it answered when the session is over.
func (h *hive) recording() (*Metastore, <-chan []byte) {
	heard := make(chan []byte, 1)
	return server(h.T, func(client net.Conn) {
		var all bytes.Buffer
		defer func() { heard <- all.Bytes() }()
		up, err := net.Dial("tcp", h.address)
		if err != nil {
			return
		}
		defer up.Close()
		go func() {
			_, _ = io.Copy(up, client)
			up.Close()
		}()
		_, _ = io.Copy(io.MultiWriter(client, &all), up)
	}), heard
}

func sorted(all []proof.Entry) []proof.Entry {
	return slices.SortedFunc(slices.Values(all), func(a, b proof.Entry) int { return cmp.Compare(a.Name, b.Name) })
}
