package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

func (a *app) retentionExplainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain FILE",
		Short: "Say whether one file of a Delta table may go, and why",
		Long: `Says of one file which rule counts for it, which versions of its table name it and when,
and why it stays or may go. FILE is its place, as in s3://lake/warehouse/t/part-1.parquet,
or the path of a folder's file. It is the answer of "retention plan": all tables are looked
at as they are there, since another one may use the file.

Exit codes: 0 it stays or is not there, 2 it may go, 1 error.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := placeOf(args[0])
			if err != nil {
				return err
			}
			var e proof.Explanation
			want, err := a.loadRetention(cmd.Context())
			if err != nil {
				return err
			}
			progress := a.retentionProgress()
			defer progress.end()
			err = a.lookAtTables(cmd.Context(), want, progress.tell, func(o delta.Options) (err error) {
				e, err = delta.Explain(cmd.Context(), o, file)
				return err
			})
			if err != nil {
				return err
			}
			if err := a.show(e); err != nil {
				return err
			}
			if e.Goes {
				return exitDiffers
			}
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	return cmd
}

// placeOf is what a person names, as reports write it: a URL, or the path of a file or folder.
func placeOf(text string) (string, error) {
	if strings.Contains(text, "://") {
		return proof.FileOf(text), nil
	}
	return filepath.Abs(text)
}
