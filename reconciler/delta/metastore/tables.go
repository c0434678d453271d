package metastore

import (
	"fmt"
	"strings"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// table is what is wanted of a table of Hive's.
type table struct {
	name, database string
	location       string            // of its storage
	storage        map[string]string // the parameters of its SerDe
	parameters     map[string]string
}

// readTable reads a Table.
func (d *decoder) readTable(k kind, depth int) (t table, err error) {
	err = d.of(k, depth, func(id int64, k kind) (bool, error) {
		var err error
		switch {
		case id == 1 && k == kindString:
			t.name, err = d.text()
		case id == 2 && k == kindString:
			t.database, err = d.text()
		case id == 7 && k == kindStruct:
			err = d.readStorage(&t, depth+1)
		case id == 9 && k == kindMap:
			t.parameters, err = d.textMap()
		default:
			return false, nil
		}
		return true, err
	})
	if err == nil && (t.name == "" || t.database == "") {
		err = garbled("a table without a name")
	}
	return t, err
}

// readStorage reads a StorageDescriptor.
func (d *decoder) readStorage(t *table, depth int) error {
	return d.fields(depth, func(id int64, k kind) (bool, error) {
		var err error
		switch {
		case id == 2 && k == kindString:
			t.location, err = d.text()
		case id == 7 && k == kindStruct:
			err = d.fields(depth+1, func(id int64, k kind) (bool, error) {
				if id != 3 || k != kindMap {
					return false, nil
				}
				var err error
				t.storage, err = d.textMap()
				return true, err
			})
		default:
			return false, nil
		}
		return true, err
	})
}

const (
	// provider is the parameter in which Spark and Trino say of what format a table is.
	provider = "spark.sql.sources.provider"
	// placeholder ends the storage's location of a table that Hive could not read: Spark and
	// Trino write the true one into the parameter path.
	placeholder = "-__PLACEHOLDER__"
)

// entry is the table as the proof knows it.
func (t table) entry() proof.Entry {
	e := proof.Entry{Name: t.database + "." + t.name, Location: t.location, Delta: strings.EqualFold(t.parameters[provider], "delta")}
	if path := t.storage["path"]; path != "" {
		e.Location = path
		if !strings.HasSuffix(t.location, placeholder) {
			e.Other = t.location
		}
	}
	return e
}

// insertOnly tells the server that tables of this kind are understood: it refuses whole batches
// with one of them else.
const insertOnly = 2

func (e *encoder) capabilities(id int64) {
	e.field(kindStruct, id)
	e.field(kindList, 1)
	e.number(int64(kindI32), 1)
	e.number(1, 4)
	e.number(insertOnly, 4)
	e.stop()
}

// databases asks for the names of all databases.
func (c *conn) databases() ([]string, error) {
	var all []string
	err := c.call("get_all_databases", func(*encoder) {}, func(k kind) (err error) {
		all, err = c.in.namesOf(k)
		return err
	})
	return all, err
}

// tableNames asks for those of a database.
func (c *conn) tableNames(database string) ([]string, error) {
	var all []string
	err := c.call("get_all_tables", func(e *encoder) { e.textField(1, database) }, func(k kind) (err error) {
		all, err = c.in.namesOf(k)
		return err
	})
	return all, err
}

func (d *decoder) namesOf(k kind) ([]string, error) {
	if k != kindList {
		return nil, garbled("a value of type %d, expected a list", k)
	}
	return d.texts()
}

// tables asks for tables of a database by name. One that is gone by then is left out.
func (c *conn) tables(database string, names []string) ([]table, error) {
	var all []table
	request := func(e *encoder) {
		e.field(kindStruct, 1)
		e.textField(1, database)
		e.textsField(2, names)
		e.capabilities(3)
		e.stop()
	}
	err := c.call("get_table_objects_by_name_req", request, func(k kind) error {
		return c.in.of(k, 1, func(id int64, k kind) (bool, error) {
			if id != 1 || k != kindList {
				return false, nil
			}
			return true, c.in.list(kindStruct, func() error {
				t, err := c.in.readTable(kindStruct, 3)
				all = append(all, t)
				return err
			})
		})
	})
	return all, err
}

// table asks for one table. there is false if the server says that there is none.
func (c *conn) table(database, name string) (t table, there bool, err error) {
	request := func(e *encoder) {
		e.field(kindStruct, 1)
		e.textField(1, database)
		e.textField(2, name)
		e.capabilities(3)
		e.stop()
	}
	err = c.call("get_table_req", request, func(k kind) error {
		return c.in.of(k, 1, func(id int64, k kind) (bool, error) {
			if id != 1 {
				return false, nil
			}
			var err error
			t, err = c.in.readTable(k, 2)
			there = true
			return true, err
		})
	})
	switch {
	case isAbsent(err):
		return t, false, nil
	case err == nil && !there:
		err = fmt.Errorf("it says nothing of the table %s.%s", database, name)
	}
	return t, there, err
}
