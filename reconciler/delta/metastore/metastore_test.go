package metastore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// recorded is what Hive Metastore 4.1.0 answered to a session about the tables of TestMetastore;
// FLUMEN_TEST_RECORD=1 has that test record it again.
const recorded = "testdata/hive-4.1.0.bin"

// recordedEntries are those tables.
var recordedEntries = []proof.Entry{
	{Name: "bronze.events", Location: "s3a://lake/wh/bronze.db/events", Delta: true},
	{Name: "bronze.moved", Location: "s3a://lake/elsewhere/moved", Other: "file:/var/lib/hive/warehouse/bronze.db/moved", Delta: true},
	{Name: "default.plain", Location: "file:/var/lib/hive/warehouse/plain"},
	{Name: "default.spaete", Location: "s3a://lake/wh/sp%C3%A4te", Delta: true},
}

// server answers one connection.
func server(t *testing.T, answer func(net.Conn)) *Metastore {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		answer(c)
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return at(l.Addr().String())
}

func at(addresses ...string) *Metastore {
	return &Metastore{Locate: func(context.Context) ([]string, error) { return addresses, nil }, Timeout: time.Minute}
}

// says answers with bytes, whatever it is asked, and takes in what it is asked.
func says(t *testing.T, b []byte) *Metastore {
	return server(t, func(c net.Conn) {
		if _, err := c.Write(b); err == nil {
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c) // until the client has gone
		}
	})
}

func TestRecordedMetastoreIsReadAsItsTables(t *testing.T) {
	b, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	have, err := says(t, b).Tables(t.Context())
	if diff := cmp.Diff(recordedEntries, sorted(have)); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestSessionThatEndsAnywhereIsAnErrorAndNoFewerTables(t *testing.T) {
	b, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(b) {
		c := &conn{Conn: fake{}, in: newDecoder(bytes.NewReader(b[:n])), timeout: time.Minute}
		if all, err := c.entries(); err == nil {
			t.Fatalf("after %d of %d bytes there are %d tables and no error", n, len(b), len(all))
		}
	}
}

// fake is a connection that takes everything in.
type fake struct{ net.Conn }

func (fake) Write(b []byte) (int, error)    { return len(b), nil }
func (fake) SetDeadline(time.Time) error    { return nil }
func (fake) Read([]byte) (n int, err error) { return 0, io.EOF }

func TestServerThatHangsIsGivenUp(t *testing.T) {
	m := server(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	m.Timeout = 50 * time.Millisecond
	if _, err := m.Tables(t.Context()); err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Error(err)
	}
}

func TestServerThatHangsDoesNotHoldACancelledRun(t *testing.T) {
	asked := make(chan struct{})
	m := server(t, func(c net.Conn) {
		close(asked)
		_, _ = io.Copy(io.Discard, c)
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	end := errors.New("the agent ends")
	go func() {
		<-asked
		cancel(end)
	}()
	if _, err := m.Tables(ctx); !errors.Is(err, end) {
		t.Error(err)
	}
}

func TestConnectionThatIsClosedIsAnError(t *testing.T) {
	m := server(t, func(net.Conn) {})
	if _, err := m.Tables(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestMetastoreThatIsNotThereIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := at(l.Addr().String()).Tables(t.Context()); err == nil || !strings.Contains(err.Error(), "connect to it") {
		t.Error(err)
	}
	if _, err := at().Tables(t.Context()); err == nil || !strings.Contains(err.Error(), "does not run") {
		t.Error(err)
	}
	if err := at(l.Addr().String()).Answers(t.Context()); err == nil || !strings.Contains(err.Error(), "connect to it") {
		t.Error(err)
	}
}

func TestMetastoreThatKnowsItsDatabasesAnswers(t *testing.T) {
	b, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	if err := says(t, b).Answers(t.Context()); err != nil {
		t.Error(err)
	}
	for n := range len(reply(0)) {
		if err := says(t, b[:n]).Answers(t.Context()); err == nil {
			t.Errorf("it broke off after %d bytes", n)
		}
	}
}

func TestWhatIsNoMetastoreIsSaidToBeNone(t *testing.T) {
	for name, b := range map[string]string{
		"a web server": "HTTP/1.1 400 Bad Request\r\n\r\n",
		"a TLS server": "\x15\x03\x03\x00\x02\x02\x46 and what else it may say",
		"zeros":        strings.Repeat("\x00", 100),
	} {
		if _, err := says(t, []byte(b)).Tables(t.Context()); !errors.Is(err, errGarbled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// reply is an answer to the first call with a list that claims to have so many items.
func reply(n uint32) []byte {
	e := &encoder{}
	e.number(version1|messageReply, 4)
	e.text("get_all_databases")
	e.number(1, 4)
	e.field(kindList, 0)
	e.number(int64(kindString), 1)
	return binary.BigEndian.AppendUint32(*e, n)
}

func TestHugeLengthsAreRefusedBeforeMemoryIsTaken(t *testing.T) {
	huge := binary.BigEndian.AppendUint32(reply(1), 1<<31-1)
	for name, b := range map[string][]byte{"items": reply(1<<31 - 1), "negative": reply(1 << 31), "a text": huge} {
		if _, err := says(t, b).Tables(t.Context()); !errors.Is(err, errGarbled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExceptionsAreSaidInTheirOwnWords(t *testing.T) {
	e := &encoder{}
	e.number(version1|messageReply, 4)
	e.text("get_all_databases")
	e.number(1, 4)
	e.field(kindStruct, 1)
	e.textField(1, "the database is down")
	e.stop()
	e.stop()
	if _, err := says(t, *e).Tables(t.Context()); err == nil || !strings.Contains(err.Error(), "the database is down") {
		t.Error(err)
	}
	e = &encoder{}
	e.number(version1|messageException, 4)
	e.text("get_all_databases")
	e.number(1, 4)
	e.textField(1, "Invalid method name")
	e.stop()
	if _, err := says(t, *e).Tables(t.Context()); err == nil || !strings.Contains(err.Error(), "Invalid method name") {
		t.Error(err)
	}
}

func TestAnswerToAnotherCallIsRefused(t *testing.T) {
	b, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	b[4+4+len("get_all_databases")+3]++ // the sequence number
	if _, err := says(t, b).Tables(t.Context()); !errors.Is(err, errGarbled) {
		t.Error(err)
	}
}

// FuzzTables: whatever a server says, the answer is tables or an error, and nothing larger than
// what it said.
func FuzzTables(f *testing.F) {
	if b, err := os.ReadFile(recorded); err == nil {
		f.Add(b)
	}
	f.Add(reply(3))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &conn{Conn: fake{}, in: newDecoder(bytes.NewReader(b)), timeout: time.Minute}
		all, err := c.entries()
		if err == nil && len(all) > len(b) {
			t.Errorf("%d tables in %d bytes", len(all), len(b))
		}
	})
}
