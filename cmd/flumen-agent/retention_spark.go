package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/docker"
	"github.com/flumendata/flumen-agent/spec"
)

// spark runs Spark's shell of SQL in a container that is made for that alone, of a service of the
// spec.
type spark struct {
	app  *app
	want spec.Desired
}

// sparkOf is nil where a spec names no service for it.
func (a *app) sparkOf(want spec.Desired) delta.Spark {
	if want.Retention.Spark.Service == nil {
		return nil
	}
	return spark{a, want}
}

// SQL hands the statements over as the service's command is made for: it is the shell and its
// options.
func (s spark) SQL(ctx context.Context, job delta.SparkJob) error {
	target, err := s.app.target(ctx)
	if err != nil {
		return err
	}
	service := s.want.Retention.Spark.Service
	shell := service.Command
	if len(shell) == 0 {
		shell = []string{"spark-sql"}
	}
	e, err := target.RunOnce(ctx, docker.Once{
		Project: s.want.Project, Service: service, Command: append(slices.Clone(shell), "-e", strings.Join(job.Statements, ";\n")),
		Owner: job.Owner, About: job.About, Lasts: job.Lasts, Begin: job.Begin,
	})
	switch busy := (docker.OnceBusy{}); {
	case errors.As(err, &busy):
		return fmt.Errorf("%w: %w", delta.ErrSparkBusy, err)
	case err != nil:
		return err
	case e.OOM:
		return fmt.Errorf("service %s: it needed more memory than its mem_limit", service.Name)
	case e.Code != 0:
		return fmt.Errorf("service %s: exit code %d: %s", service.Name, e.Code, complaint(e.Lines))
	}
	return nil
}

// complaintMost is how many characters of what Spark says are worth showing.
const complaintMost = 600

// complaint is what a program of Java said last before it told where in its code it was.
func complaint(lines []string) string {
	said := slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		return strings.TrimSpace(line) == "" || strings.HasPrefix(line, "\tat ") || strings.HasPrefix(line, "\t...")
	})
	if i := slices.IndexFunc(said, func(line string) bool { return strings.Contains(line, "Exception") || strings.HasPrefix(line, "[") }); i >= 0 {
		said = said[i:]
	} else {
		said = said[max(0, len(said)-3):]
	}
	text := strings.Join(said, "; ")
	if len(text) > complaintMost {
		text = strings.ToValidUTF8(text[:complaintMost], "") + "..."
	}
	if text == "" {
		return "it said nothing"
	}
	return text
}

// tidySpark ends what an owner has left behind, by its labels: the spec may name another service by now, or none.
func (a *app) tidySpark(project string) delta.Tidy {
	return func(ctx context.Context, owner string) (left []string, err error) {
		target, err := a.target(ctx)
		if err != nil {
			return nil, err
		}
		ended, err := target.RemoveOnces(ctx, project, owner)
		for _, one := range ended {
			left = append(left, leftBehind(one))
		}
		return left, err
	}
}

// leftBehind says what became of what a run had Spark do that was killed.
func leftBehind(one docker.LeftOnce) string {
	table, _, _ := strings.Cut(one.About, " ")
	text := fmt.Sprintf("an earlier run was killed while it had Spark act on %s: ", table)
	switch {
	case one.Ran:
		return text + "Spark was still at it, and was stopped"
	case one.Code < 0:
		return text + "Spark had not begun"
	}
	return text + fmt.Sprintf("Spark has ended since, with exit code %d", one.Code)
}

// quietAt tells whether nobody writes tables at a time, by the windows that say so, and until when.
func quietAt(r spec.Retention, now time.Time) (until time.Time, quiet bool) {
	windows, err := parseWindows(r.Quiet)
	if err != nil || len(windows) == 0 {
		return until, false // nobody knows
	}
	o := windows.At(now)
	if o.Until.IsZero() {
		o.Until = now.Add(r.Spark.Timeout)
	}
	return o.Until, !o.Closed
}
