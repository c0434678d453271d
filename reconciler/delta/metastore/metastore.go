package metastore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

const (
	// dialTimeout is how long one address has to take a connection.
	dialTimeout = 3 * time.Second
	// DefaultTimeout is how long a call may take: a metastore that is well answers in
	// milliseconds, and one whose database is slow in seconds.
	DefaultTimeout = 20 * time.Second
	// batch is how many tables are asked for in one call: what a metastore itself does.
	batch = 100
)

// Metastore is a Hive Metastore.
type Metastore struct {
	// Locate gives the addresses at which it may be, as host:port: the first that takes a
	// connection is the one.
	Locate  func(context.Context) ([]string, error)
	Timeout time.Duration // of one call; 0: DefaultTimeout
}

// conn is a connection to one.
type conn struct {
	net.Conn
	in       *decoder
	sequence int64
	timeout  time.Duration
}

// Tables are all tables of its default catalog, in no order. It is all of them or an error.
func (m *Metastore) Tables(ctx context.Context) (all []proof.Entry, err error) {
	err = m.session(ctx, func(c *conn) error {
		all, err = c.entries()
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Answers asks it for the least that it can only know from its database. The error says why it gave no
// answer.
func (m *Metastore) Answers(ctx context.Context) error {
	return m.session(ctx, func(c *conn) error {
		_, err := c.databases()
		return err
	})
}

// session asks something by a connection of its own.
func (m *Metastore) session(ctx context.Context, ask func(*conn) error) error {
	c, err := m.connect(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	err = ask(c)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (m *Metastore) connect(ctx context.Context) (*conn, error) {
	addresses, err := m.Locate(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(addresses) == 0:
		return nil, errors.New("the service that serves it does not run")
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	for _, address := range addresses {
		var one net.Conn
		if one, err = dialer.DialContext(ctx, "tcp", address); err == nil {
			return &conn{one, newDecoder(one), 0, cmp.Or(m.Timeout, DefaultTimeout)}, nil
		}
	}
	return nil, fmt.Errorf("connect to it: %w", err)
}

// call makes one call. arguments writes what it is given, success reads what comes back.
func (c *conn) call(name string, arguments func(*encoder), success func(kind) error) error {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	c.sequence++
	e := message(name, c.sequence)
	arguments(e)
	e.stop()
	_, err := c.Write(*e)
	if err == nil {
		err = c.in.answer(name, c.sequence, success)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("no answer within %s", c.timeout)
	}
	if err != nil {
		return fmt.Errorf("ask it by %s: %w", name, err)
	}
	return nil
}

// entries asks for everything.
func (c *conn) entries() ([]proof.Entry, error) {
	databases, err := c.databases()
	if err != nil {
		return nil, err
	}
	var all []proof.Entry
	for _, database := range databases {
		names, err := c.tableNames(database)
		if err != nil {
			return nil, err
		}
		for len(names) > 0 {
			some := names[:min(batch, len(names))]
			names = names[len(some):]
			if all, err = c.some(all, database, some); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// some adds tables of a database. What the server left out is asked for again, one by one: only
// what it says is not there is not.
func (c *conn) some(all []proof.Entry, database string, names []string) ([]proof.Entry, error) {
	tables, err := c.tables(database, names)
	if err != nil {
		return nil, err
	}
	told := map[string]bool{}
	for _, t := range tables {
		told[t.name] = true
		all = append(all, t.entry())
	}
	for _, name := range names {
		if told[name] {
			continue
		}
		t, there, err := c.table(database, name)
		if err != nil {
			return nil, err
		}
		if there {
			all = append(all, t.entry())
		}
	}
	return all, nil
}
