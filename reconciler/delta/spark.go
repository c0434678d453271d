package delta

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// Spark acts on tables where only Spark may: on S3 it has no lock against other writers of a log.
// One is asked for one thing at a time.
type Spark interface {
	// SQL runs the statements of a job one after the other, in a session of its own, up to the first
	// that fails. The error says what Spark said, or is an ErrSparkBusy: then the job was not begun.
	// When ctx ends Spark is stopped, in the middle of whatever it does, and the error is
	// ctx's. It may be repeated.
	SQL(ctx context.Context, job SparkJob) error
}

// Tidy ends and removes what a call of an owner has left behind that was killed, and says what that was. Which
// Spark that was counts for nothing: whoever asks may have forgotten it since.
type Tidy func(ctx context.Context, owner string) (left []string, err error)

// ErrSparkBusy says that a job has to wait for one of somebody else.
var ErrSparkBusy = errors.New("somebody else has Spark do something")

// SparkJob is one thing that Spark does.
type SparkJob struct {
	// Owner names who asks: of all processes with the same memory only one asks at a time.
	Owner string
	// About names the table. One job about it is done at a time, whoever asks on whatever terms.
	About string
	// Lasts is how long it may take at most.
	Lasts time.Duration
	// Begin is called when Spark is kept for this job, and before it does anything. Its error ends
	// the job, and is that of SQL.
	Begin      func() error
	Statements []string
}

// sparkLock keeps what is asked of Spark in the name of an owner for this process; errBusy where
// another one has it.
func (m *Memory) sparkLock() (owner string, release func(), err error) {
	release, err = tableMemory{m.dir}.hold("spark.lock", syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		return "", nil, err
	}
	owner, err = m.owner()
	if err != nil {
		release()
		return "", nil, fmt.Errorf("remember who asks Spark: %w", err)
	}
	return owner, release, nil
}

const ownerFile = "owner"

// owner is a name that no other memory has: not one elsewhere, nor a copy of this one, whose lock is
// another one. It stays as long as the memory does, whichever machine or container it is used from.
func (m *Memory) owner() (string, error) {
	path := filepath.Join(m.dir, ownerFile)
	name, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		name = []byte(rand.Text())
		err = writeWhole(path, func(f *os.File) error {
			_, err := f.Write(name)
			return err
		})
	}
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s-%d", name, info.Sys().(*syscall.Stat_t).Ino), nil
}

// tidy ends what a killed run has left behind: Spark would go on, and nobody would look after it. end may
// be nil. Where nobody has ever asked Spark from here there is nothing to end.
func (m *Memory) tidy(ctx context.Context, end Tidy) (left []string, err error) {
	if _, err := os.Stat(filepath.Join(m.dir, ownerFile)); end == nil || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	owner, release, err := m.sparkLock()
	if errors.Is(err, errBusy) {
		return nil, nil // whoever has it looks after it
	}
	if err == nil {
		defer release()
		left, err = end(ctx, owner)
	}
	if err != nil {
		err = fmt.Errorf("what an earlier run had Spark do may still go on: %w", err)
	}
	return left, err
}

// alter has Spark set the properties of a table as its rule says. It tells whether it has tried.
func (s *sweep) alter(ctx context.Context) bool {
	t := s.t
	if t.rule.Properties != spec.HandlingEnforce || t.Alter == "" || s.options.Spark == nil || s.options.Quiet == nil {
		return false
	}
	until, quiet := s.options.Quiet(s.now())
	if !quiet {
		return false
	}
	if !proof.Sayable(cmp.Or(map[bool]string{true: t.Name}[t.found.known], string(t.root))) {
		t.find(proof.FoundSpark, proof.EffectStop, "its properties are not set: its name has letters that the shell of Spark reads in other ways; run the statement below by hand")
		return false
	}
	before := int64(-1) // it was not begun
	begin := func(ctx context.Context) error {
		err := s.follow(ctx)
		if err == nil {
			before = t.tail.Version()
		}
		return err
	}
	err := s.bySpark(ctx, delegation{timeout: min(s.options.Retention.Spark.Timeout, until.Sub(s.now())), begin: begin, statements: []string{t.Alter}})
	switch {
	case errors.Is(err, ErrSparkBusy):
		t.find(proof.FoundBusy, proof.EffectStop, "its properties are not set: %v", err)
	case err != nil && before < 0:
		t.find(proof.FoundSpark, proof.EffectStop, "its properties are not set: %v; "+askSparkAgain, err)
	case err != nil:
		t.find(proof.FoundSpark, proof.EffectStop, "its properties were to be set: %v; "+askSparkAgain, err)
	}
	if before >= 0 {
		s.altered(ctx, before)
	}
	return true
}

// askSparkAgain is what to do about a table whose properties Spark did not set.
const askSparkAgain = "mend that, and the next run in retention.quiet tries again; or run the statement below by hand, while nobody writes"

// altered looks whether the properties are set, and nobody else was at the table.
func (s *sweep) altered(ctx context.Context, before int64) {
	after, err := s.at.look(context.WithoutCancel(ctx), math.MaxInt64, nil)
	if err != nil {
		s.t.find(proof.FoundSpark, proof.EffectStop, "nobody could look whether its properties were set: %v; the next look at the table says what they are", err)
		return
	}
	unset := proof.Unset(after.head.Metadata.Properties, s.t.Properties)
	_, failed := s.t.Find(proof.FoundSpark)
	switch {
	case len(unset) == 0:
		s.t.HaveAltered()
	case !failed:
		s.t.find(proof.FoundSpark, proof.EffectStop, "Spark says that its properties were set, and the log of the table does not have %s; look whether Spark has the same metastore and store", strings.Join(unset, ", "))
	}
	if n := after.log.Version - before; n > 1 {
		s.t.find(proof.FoundSpark, proof.EffectStop, "versions %d to %d were committed while its properties were set: retention.quiet is no time without writers, and two of them at once can lose each other's commits; see that all of these versions are in DESCRIBE HISTORY with what their jobs wrote, and choose another time", before+1, after.log.Version)
	}
}

// watchSpark is how often it is looked whether Spark is to go on.
const watchSpark = 5 * time.Second

// delegation is what Spark is to do to a table.
type delegation struct {
	timeout    time.Duration
	begin      func(context.Context) error // called when nobody else has Spark act on the table
	still      func(context.Context) error // says why it may not go on; nil: it may
	statements []string
}

// bySpark has Spark run statements, alone, and stops it when nothing more is to be done.
func (s *sweep) bySpark(ctx context.Context, d delegation) error {
	owner, release, err := s.memory.sparkLock()
	if errors.Is(err, errBusy) {
		return fmt.Errorf("%w: another process of this machine: the next run does it", ErrSparkBusy)
	}
	if err != nil {
		return err
	}
	defer release()
	if err := s.permit(ctx); err != nil {
		return err
	}
	session, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended, asks, answers := make(chan error, 1), make(chan struct{}), make(chan error)
	job := SparkJob{Owner: owner, About: string(s.t.root) + " " + s.t.ID, Lasts: d.timeout, Statements: d.statements, Begin: func() error {
		asks <- struct{}{} // what is known of the table is this goroutine's no more than the other's
		return <-answers
	}}
	go func() { ended <- s.options.Spark.SQL(session, job) }()
	over := time.NewTimer(d.timeout)
	defer over.Stop()
	tick := time.NewTicker(watchSpark)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-asks:
			answers <- d.begin(session)
		case <-over.C:
			stop(fmt.Errorf("Spark was stopped: its time, %s, is over", spec.Span(d.timeout.Round(time.Second))))
		case <-tick.C:
			err := s.permit(session)
			if err == nil && d.still != nil {
				err = d.still(session)
			}
			if err != nil {
				stop(fmt.Errorf("Spark was stopped: %w", err))
			}
		}
	}
}
