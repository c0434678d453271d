package metastore

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// kind is the type of a value in Thrift's binary protocol.
type kind byte

const (
	kindStop   kind = 0
	kindBool   kind = 2
	kindByte   kind = 3
	kindDouble kind = 4
	kindI16    kind = 6
	kindI32    kind = 8
	kindI64    kind = 10
	kindString kind = 11
	kindStruct kind = 12
	kindMap    kind = 13
	kindSet    kind = 14
	kindList   kind = 15
	kindUUID   kind = 16
)

const (
	// version1 begins every message of the strict protocol; its last byte is the message's type.
	version1         = 0x80010000
	messageCall      = 1
	messageReply     = 2
	messageException = 3
)

const (
	// mostText bounds a text: the definition of a view may be long, no text of a table is longer.
	mostText = 16 << 20
	// mostAnswer bounds one answer: a batch of tables with thousands of columns each is far below.
	mostAnswer = 256 << 20
	// deepest is how far types may lie in each other. Hive's go to 7.
	deepest = 32
)

// errGarbled says that what the server sent is not Thrift's binary protocol.
var errGarbled = errors.New("the answer is not one of a Hive Metastore: is this its Thrift port, without TLS and Kerberos")

func garbled(format string, args ...any) error {
	return fmt.Errorf("%w (%s)", errGarbled, fmt.Sprintf(format, args...))
}

// decoder reads one answer. Its first error stays.
type decoder struct {
	in   *bufio.Reader
	left int64 // bytes that the answer may still have
}

func newDecoder(r io.Reader) *decoder {
	return &decoder{in: bufio.NewReaderSize(r, 64<<10), left: mostAnswer}
}

// take counts bytes before they are read.
func (d *decoder) take(n int64) error {
	if d.left -= n; d.left < 0 {
		return garbled("it is longer than %d MiB", mostAnswer>>20)
	}
	return nil
}

func (d *decoder) bytes(b []byte) error {
	if err := d.take(int64(len(b))); err != nil {
		return err
	}
	_, err := io.ReadFull(d.in, b)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the server ended the connection in the middle
	}
	return err
}

func (d *decoder) number(size int) (int64, error) {
	var b [8]byte
	if err := d.bytes(b[:size]); err != nil {
		return 0, err
	}
	switch size {
	case 1:
		return int64(int8(b[0])), nil
	case 2:
		return int64(int16(binary.BigEndian.Uint16(b[:]))), nil
	case 4:
		return int64(int32(binary.BigEndian.Uint32(b[:]))), nil
	}
	return int64(binary.BigEndian.Uint64(b[:])), nil
}

// length reads that of a text or a list, each of whose items has at least so many bytes.
func (d *decoder) length(least, most int64) (int64, error) {
	n, err := d.number(4)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > most || n*least > d.left {
		return 0, garbled("a length of %d", n)
	}
	return n, nil
}

func (d *decoder) text() (string, error) {
	n, err := d.length(1, mostText)
	if err != nil {
		return "", err
	}
	if err := d.take(n); err != nil {
		return "", err
	}
	// It is read as it comes: a server that says 16 MiB and sends none takes no memory.
	b, err := io.ReadAll(io.LimitReader(d.in, n))
	if err == nil && int64(len(b)) < n {
		err = io.ErrUnexpectedEOF
	}
	return string(b), err
}

// fields reads a struct: each gets its fields and reads them or has them skipped.
func (d *decoder) fields(depth int, each func(id int64, k kind) (read bool, err error)) error {
	if depth > deepest {
		return garbled("types lie too deep in each other")
	}
	for {
		k, err := d.number(1)
		if err != nil || kind(k) == kindStop {
			return err
		}
		id, err := d.number(2)
		if err != nil {
			return err
		}
		read, err := each(id, kind(k))
		if err == nil && !read {
			err = d.skip(kind(k), depth+1)
		}
		if err != nil {
			return err
		}
	}
}

// list reads the items of one kind.
func (d *decoder) list(want kind, each func() error) error {
	k, err := d.number(1)
	if err != nil {
		return err
	}
	n, err := d.length(1, mostAnswer)
	if err != nil {
		return err
	}
	if n > 0 && kind(k) != want {
		return garbled("a list of type %d, expected %d", k, want)
	}
	for range n {
		if err := each(); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) texts() (all []string, err error) {
	err = d.list(kindString, func() error {
		one, err := d.text()
		all = append(all, one)
		return err
	})
	return all, err
}

// textMap reads a map of texts.
func (d *decoder) textMap() (map[string]string, error) {
	key, err := d.number(1)
	if err != nil {
		return nil, err
	}
	value, err := d.number(1)
	if err != nil {
		return nil, err
	}
	n, err := d.length(8, mostAnswer)
	if err != nil {
		return nil, err
	}
	if n > 0 && (kind(key) != kindString || kind(value) != kindString) {
		return nil, garbled("a map of types %d and %d, expected texts", key, value)
	}
	all := map[string]string{}
	for range n {
		k, err := d.text()
		if err != nil {
			return nil, err
		}
		if all[k], err = d.text(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// widths are those of values that have one.
var widths = map[kind]int64{kindBool: 1, kindByte: 1, kindI16: 2, kindI32: 4, kindI64: 8, kindDouble: 8, kindUUID: 16}

// skip reads a value that nobody wants.
func (d *decoder) skip(k kind, depth int) error {
	if depth > deepest {
		return garbled("types lie too deep in each other")
	}
	if n, fixed := widths[k]; fixed {
		return d.discard(n)
	}
	switch k {
	case kindString:
		n, err := d.length(1, mostText)
		if err != nil {
			return err
		}
		return d.discard(n)
	case kindStruct:
		return d.fields(depth, func(int64, kind) (bool, error) { return false, nil })
	case kindList, kindSet:
		item, err := d.number(1)
		if err != nil {
			return err
		}
		return d.skipItems(depth, kind(item))
	case kindMap:
		key, err := d.number(1)
		if err != nil {
			return err
		}
		value, err := d.number(1)
		if err != nil {
			return err
		}
		return d.skipItems(depth, kind(key), kind(value))
	}
	return garbled("a value of the unknown type %d", k)
}

// skipItems skips those of a list, or the keys and values of a map.
func (d *decoder) skipItems(depth int, kinds ...kind) error {
	n, err := d.length(int64(len(kinds)), mostAnswer)
	if err != nil {
		return err
	}
	for range n {
		for _, k := range kinds {
			if err := d.skip(k, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *decoder) discard(n int64) error {
	if err := d.take(n); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, d.in, n); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	return nil
}

// encoder writes a call.
type encoder []byte

func (e *encoder) number(n int64, size int) {
	for i := size - 1; i >= 0; i-- {
		*e = append(*e, byte(n>>(8*i)))
	}
}

func (e *encoder) text(s string) {
	e.number(int64(len(s)), 4)
	*e = append(*e, s...)
}

func (e *encoder) field(k kind, id int64) {
	e.number(int64(k), 1)
	e.number(id, 2)
}

func (e *encoder) stop() { e.number(int64(kindStop), 1) }

func (e *encoder) textField(id int64, s string) {
	e.field(kindString, id)
	e.text(s)
}

func (e *encoder) textsField(id int64, all []string) {
	e.field(kindList, id)
	e.number(int64(kindString), 1)
	e.number(int64(len(all)), 4)
	for _, s := range all {
		e.text(s)
	}
}
