package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
	"github.com/flumendata/flumen-agent/spec/compose"
)

func (a *app) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Load and check the spec; needs no engine",
		Long: `Loads and checks the spec, with everything it includes. All faults are listed at once,
each with file, line and column.

Exit codes: 0 the spec is right, 1 it is not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.settings.output != "json" {
				loaded, err := a.load(cmd.Context())
				if err != nil {
					return err
				}
				return a.show(newValidation(a.settings.file, loaded, nil))
			}
			loaded, err := a.read(cmd.Context())
			if showErr := a.show(newValidation(a.settings.file, loaded, err)); showErr != nil {
				return showErr
			}
			if err != nil {
				return exitError
			}
			return nil
		},
	}
	a.specFlags(cmd.Flags())
	a.outputFlag(cmd.Flags())
	return cmd
}

// validation is what there is to say of a spec.
type validation struct {
	File     string   `json:"file"`
	Valid    bool     `json:"valid"`
	Project  string   `json:"project,omitempty"`
	Tiers    int      `json:"tiers"`
	Services int      `json:"services"`
	Buckets  int      `json:"buckets"`
	Users    int      `json:"users"` // of stores
	Jobs     []string `json:"jobs"`  // they run again when their container is gone
	Faults   []fault  `json:"faults"`
	Warnings []fault  `json:"warnings"`
}

type fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Passing bool   `json:"passing,omitempty"`
}

func newValidation(file string, loaded compose.Loaded, err error) validation {
	services := spec.Resources[*spec.Service](loaded.Desired)
	v := validation{
		File: file, Valid: err == nil, Project: loaded.Desired.Project,
		Tiers: len(loaded.Desired.Tiers), Services: len(services),
		Buckets: len(spec.Resources[*spec.Bucket](loaded.Desired)),
		Users:   len(spec.Resources[*spec.Access](loaded.Desired)),
		Jobs:    []string{}, Faults: []fault{}, Warnings: []fault{},
	}
	for _, s := range services {
		if s.Job {
			v.Jobs = append(v.Jobs, s.Name)
		}
	}
	for _, w := range loaded.Warnings {
		v.Warnings = append(v.Warnings, fault(*w))
	}
	var all *multierror.Error
	if errors.As(err, &all) {
		for _, one := range all.Errors {
			if f := (*compose.Fault)(nil); errors.As(one, &f) {
				v.Faults = append(v.Faults, fault(*f))
			}
		}
	}
	return v
}

// Text is for a spec that is right: what is wrong is said as any other error.
func (v validation) Text(w io.Writer, paint plan.Paint) {
	holds := report.Counted(v.Tiers, "tier") + ", " + report.Counted(v.Services, "service")
	if v.Buckets > 0 {
		holds += ", " + report.Counted(v.Buckets, "bucket")
	}
	if v.Users > 0 {
		holds += ", " + report.Counted(v.Users, "user") + " of stores"
	}
	fmt.Fprintf(w, "%s %s is valid: project %s, %s.\n", paint.On(plan.Green, "✓"), v.File, v.Project, holds)
	for _, job := range v.Jobs {
		fmt.Fprintf(w, "note: job %s runs again when its container is gone (docker container prune): it must be repeatable.\n", job)
	}
}
