package delta

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// columns reads columns of a checkpoint, each by itself and none that does not count: an action
// has many fields, and those with statistics are most of the file.
type columns struct{ *parquet.File }

// openColumns opens a parquet file. What a corrupt one makes the library panic with is an error.
func openColumns(r io.ReaderAt, size int64) (c columns, err error) {
	defer recovered(&err)
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	return columns{f}, err
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("not a sound parquet file: %v", p)
	}
}

// column finds one by its path; nil if the file has none.
func (c columns) column(path ...string) *parquet.Column {
	one := c.Root()
	for _, name := range path {
		if one = one.Column(name); one == nil {
			return nil
		}
	}
	return one
}

// leaves are the columns below one, in order: one for a list, two for a map.
func leaves(c *parquet.Column) []*parquet.Column {
	switch {
	case c == nil:
		return nil
	case c.Leaf():
		return []*parquet.Column{c}
	}
	var all []*parquet.Column
	for _, child := range c.Columns() {
		all = append(all, leaves(child)...)
	}
	return all
}

// all reads the values that are there in a column, of all rows.
func (c columns) all(column *parquet.Column) (values []parquet.Value, err error) {
	defer recovered(&err)
	if column == nil {
		return nil, nil
	}
	for _, group := range c.RowGroups() {
		one := newCursor(group, column)
		one.there = true
		for {
			v, err := one.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				one.close()
				return nil, err
			}
			if !v.IsNull() {
				values = append(values, v.Clone())
			}
		}
		one.close()
	}
	return values, nil
}

// texts are the values of a column of texts.
func (c columns) texts(column *parquet.Column) ([]string, error) {
	values, err := c.all(column)
	var all []string
	for _, v := range values {
		all = append(all, string(v.ByteArray()))
	}
	return all, err
}

// cursor goes through the values of a column in one row group.
type cursor struct {
	pages  parquet.Pages
	page   parquet.Page
	reader parquet.ValueReader
	buffer []parquet.Value
	rest   []parquet.Value
	there  bool // pages without a value are left out: most of a column that few rows have
}

// valuesAtOnce bounds what a cursor holds.
const valuesAtOnce = 512

func newCursor(group parquet.RowGroup, column *parquet.Column) *cursor {
	if column == nil {
		return nil
	}
	values := max(1, min(valuesAtOnce, group.NumRows()))
	return &cursor{pages: group.ColumnChunks()[column.Index()].Pages(), buffer: make([]parquet.Value, values)}
}

// next gives the next value, which is good until the next call; of a column that is not there
// every value is null.
func (c *cursor) next() (parquet.Value, error) {
	if c == nil {
		return parquet.Value{}, nil
	}
	for len(c.rest) == 0 {
		if err := c.fill(); err != nil {
			return parquet.Value{}, err
		}
	}
	v := c.rest[0]
	c.rest = c.rest[1:]
	return v, nil
}

func (c *cursor) fill() error {
	if c.reader == nil {
		page, err := c.pages.ReadPage()
		if err != nil {
			return err
		}
		parquet.Release(c.page)
		c.page = page
		if c.there && page.NumNulls() == page.NumValues() {
			return nil
		}
		c.reader = page.Values()
	}
	n, err := c.reader.ReadValues(c.buffer)
	c.rest = c.buffer[:n]
	switch {
	case errors.Is(err, io.EOF):
		c.reader = nil
	case err != nil:
		return err
	}
	return nil
}

func (c *cursor) close() {
	if c == nil {
		return
	}
	parquet.Release(c.page)
	_ = c.pages.Close() // it was read
}

// fileColumns are those of add or remove that count.
type fileColumns struct {
	path, number, vectorType, vectorPath, vectorOffset *cursor
}

func (c columns) fileColumns(group parquet.RowGroup, action, number string) fileColumns {
	at := func(path ...string) *cursor { return newCursor(group, c.column(append([]string{action}, path...)...)) }
	return fileColumns{at("path"), at(number), at("deletionVector", "storageType"), at("deletionVector", "pathOrInlineDv"), at("deletionVector", "offset")}
}

func (f fileColumns) cursors() []*cursor {
	return []*cursor{f.path, f.number, f.vectorType, f.vectorPath, f.vectorOffset}
}

// fileRow is an add or a remove: Path is "" where a row of a checkpoint is another action.
type fileRow struct {
	path      string
	number    int64 // the size of the one, the time of the other
	hasNumber bool
	vector    proof.Vector
}

func (r fileRow) add() proof.Add { return proof.Add{Path: r.path, Size: r.number, Vector: r.vector} }

func (r fileRow) remove() proof.Remove {
	one := proof.Remove{Path: r.path, Vector: r.vector}
	if r.hasNumber {
		one.Deleted = time.UnixMilli(r.number)
	}
	return one
}

func (f fileColumns) next() (fileRow, error) {
	var values [5]parquet.Value
	for i, c := range f.cursors() {
		v, err := c.next()
		if err != nil {
			return fileRow{}, fmt.Errorf("a column has fewer values than the file has rows: %w", err)
		}
		values[i] = v
	}
	row := fileRow{path: text(values[0])}
	if !values[1].IsNull() {
		row.number, row.hasNumber = values[1].Int64(), true
	}
	if kind := text(values[2]); kind != "" {
		row.vector = proof.Vector{Type: kind, Path: text(values[3])}
		if !values[4].IsNull() {
			row.vector.Offset, row.vector.HasOffset = int64(values[4].Int32()), true
		}
	}
	return row, nil
}

func text(v parquet.Value) string {
	if v.IsNull() {
		return ""
	}
	return string(v.ByteArray())
}

// eachFile goes through the files that the rows add and remove. Rows are read while those before them are heard of.
func (c columns) eachFile(action, number string, each func(fileRow) error) (err error) {
	defer recovered(&err) // of each, too
	batches, enough := make(chan []fileRow, 1), make(chan struct{})
	var unsound error
	go func() {
		defer close(batches)
		unsound = c.read(action, number, func(rows []fileRow) bool {
			select {
			case batches <- rows:
				return true
			case <-enough:
				return false
			}
		})
	}()
	defer func() {
		close(enough)
		for range batches { // until nobody reads the file any more
		}
	}()
	for rows := range batches {
		for _, row := range rows {
			if err := each(row); err != nil {
				return err
			}
		}
	}
	return unsound
}

// read reads the rows in batches, as long as somebody takes them.
func (c columns) read(action, number string, take func([]fileRow) bool) (err error) {
	defer recovered(&err)
	for _, group := range c.RowGroups() {
		if more, err := c.readGroup(group, action, number, take); err != nil || !more {
			return err
		}
	}
	return nil
}

func (c columns) readGroup(group parquet.RowGroup, action, number string, take func([]fileRow) bool) (more bool, err error) {
	of := c.fileColumns(group, action, number)
	if of.path == nil {
		return true, nil
	}
	defer func() {
		for _, one := range of.cursors() {
			one.close()
		}
	}()
	var rows []fileRow
	for range group.NumRows() {
		row, err := of.next()
		if err != nil {
			return false, err
		}
		if row.path == "" {
			continue
		}
		if rows = append(rows, row); len(rows) < valuesAtOnce {
			continue
		}
		if !take(rows) {
			return false, nil
		}
		rows = make([]fileRow, 0, valuesAtOnce)
	}
	return len(rows) == 0 || take(rows), nil
}
