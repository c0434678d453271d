package metastore

import (
	"cmp"
	"errors"
	"fmt"
)

// fault is an exception of the server: the name of its field says which.
type fault struct {
	id      int64 // of the field of the answer that it came in
	message string
}

func (f *fault) Error() string { return cmp.Or(f.message, "an error without a text") }

// message begins a call.
func message(name string, sequence int64) *encoder {
	e := &encoder{}
	e.number(version1|messageCall, 4)
	e.text(name)
	e.number(sequence, 4)
	return e
}

// answer reads the answer to a call: success reads its result.
func (d *decoder) answer(name string, sequence int64, success func(k kind) error) error {
	d.left = mostAnswer
	exception, err := d.head(name, sequence)
	if err != nil {
		return err
	}
	if exception {
		text, err := d.exception()
		if err != nil {
			return err
		}
		return fmt.Errorf("the metastore refuses %s: %s", name, text)
	}
	answered, fail := false, error(nil)
	err = d.fields(0, func(id int64, k kind) (bool, error) {
		switch {
		case id == 0 && !answered:
			answered = true
			return true, success(k)
		case id > 0 && k == kindStruct:
			text, err := d.exception()
			fail = cmp.Or(fail, error(&fault{id, text}))
			return true, err
		}
		return false, nil
	})
	switch {
	case err != nil:
		return err
	case fail != nil:
		return fail
	case !answered:
		return garbled("it has no result")
	}
	return nil
}

// head reads the beginning of an answer.
func (d *decoder) head(name string, sequence int64) (exception bool, err error) {
	version, err := d.number(4)
	if err != nil {
		return false, err
	}
	if uint32(version)&0xffff0000 != version1 {
		return false, garbled("it begins with %08x", uint32(version))
	}
	n, err := d.length(1, int64(len(name)))
	if err != nil {
		return false, err
	}
	echo := make([]byte, n)
	if err := d.bytes(echo); err != nil {
		return false, err
	}
	s, err := d.number(4)
	if err != nil {
		return false, err
	}
	switch of := version & 0xff; {
	case string(echo) != name || s != sequence:
		return false, garbled("it answers another call")
	case of == messageReply, of == messageException:
		return of == messageException, nil
	default:
		return false, garbled("a message of type %d", of)
	}
}

// exception reads the text of one: its first field, in all that Hive and Thrift have.
func (d *decoder) exception() (text string, err error) {
	err = d.fields(1, func(id int64, k kind) (bool, error) {
		if id != 1 || k != kindString {
			return false, nil
		}
		text, err = d.text()
		return true, err
	})
	return text, err
}

// of reads a struct that a field must be.
func (d *decoder) of(k kind, depth int, each func(id int64, k kind) (bool, error)) error {
	if k != kindStruct {
		return garbled("a value of type %d, expected a struct", k)
	}
	return d.fields(depth, each)
}

// isAbsent tells whether the server says that there is no such thing.
func isAbsent(err error) bool {
	var f *fault
	return errors.As(err, &f) && f.id == faultAbsent
}

// faultAbsent is the field of NoSuchObjectException in the answer of get_table_req.
const faultAbsent = 2
