// Command arrow prints the rows of the parquet files of checkpoints, one line of JSON each, as
// Apache Arrow reads them: a second reader to hold the agent's own against.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := show(name); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

// show prints the rows of one file.
func show(name string) error {
	in, err := file.OpenParquetFile(name, false)
	if err != nil {
		return err
	}
	defer in.Close()
	reader, err := pqarrow.NewFileReader(in, pqarrow.ArrowReadProperties{BatchSize: 64}, memory.DefaultAllocator)
	if err != nil {
		return err
	}
	rows, err := reader.GetRecordReader(context.Background(), nil, nil)
	if err != nil {
		return err
	}
	defer rows.Release()
	out := json.NewEncoder(os.Stdout)
	for rows.Next() {
		batch := rows.RecordBatch()
		for i := range batch.NumRows() {
			row := map[string]any{}
			for c, column := range batch.Columns() {
				if column.IsValid(int(i)) {
					row[batch.ColumnName(c)] = column.GetOneForMarshal(int(i))
				}
			}
			if err := out.Encode(map[string]any{"file": name, "row": row}); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}
