package examples

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// driver is where drivers of Spark run: it is in both networks, and has the key of MinIO.
const driver = "jupyterlab"

// short is for a driver that a test asks little: to compile what runs for hours takes half of all
// its time, and one executor is enough.
var short = []string{"--driver-java-options", shortJava, "--conf", "spark.executor.extraJavaOptions=" + shortJava, "--conf", "spark.cores.max=1"}

const shortJava = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

// compiledOnce are variables of flumen.yaml by which what starts and is asked little takes half as much of a core.
var compiledOnce = map[string]string{"SPARK_JAVA_OPTIONS": shortJava, "TRINO_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}

// onBothWorkers has a driver wait for an executor on each.
const onBothWorkers = "--conf spark.cores.max=2 --conf spark.scheduler.minRegisteredResourcesRatio=1 --conf spark.scheduler.maxRegisteredResourcesWaitingTime=600s"

// quiet is a script for bash that calls its arguments, whose logs only matter when they fail.
const quiet = `"$@" 2>/tmp/log || { cat /tmp/log; exit 1; }`

// sparkSQL asks in a driver of its own, and gives the rows of what is asked last.
func (l *lakehouse) sparkSQL(service, query string, options ...string) string {
	l.t.Helper()
	command := slices.Concat([]string{"exec", l.container(service), "bash", "-c", quiet, "-", "spark-sql"}, short, options, []string{"-e", query})
	return l.docker(command...)
}

// inDriver copies a file of testdata/lakehouse to where drivers run, and gives its path there.
func (l *lakehouse) inDriver(file string) string {
	l.t.Helper()
	path := "/tmp/" + file
	l.docker("cp", filepath.Join("testdata/lakehouse", file), l.container(driver)+":"+path)
	return path
}

// session is a driver that stays (driver.py), as a person has one open who goes on asking: to start one takes
// longer than what the tests ask of it. The zero value starts when it is first asked.
type session struct {
	process *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

// sql has statements run, which a semicolon and a space or an end of a line parts, and gives the rows
// of all of them.
func (s *session) sql(l *lakehouse, statements string) string {
	l.t.Helper()
	return s.must(l, "sql", strings.TrimSuffix(strings.TrimSpace(statements), ";"))
}

// must has driver.py do something.
func (s *session) must(l *lakehouse, what string, how any) string {
	l.t.Helper()
	s.start(l)
	told, err := s.ask(what, how)
	if err != nil {
		_, log := l.run("docker", "exec", l.container(driver), "tail", "-n", "40", "/tmp/log")
		l.t.Fatalf("%s %v: %v\nThe driver's log ends with:\n%s", what, how, err, log)
	}
	return told
}

// ask has a driver that was started do something.
func (s *session) ask(what string, how any) (string, error) {
	tooLong := time.AfterFunc(15*time.Minute, func() { _ = s.process.Process.Kill() })
	defer tooLong.Stop()
	var answer struct{ Told, Error string }
	if err := json.NewEncoder(s.in).Encode(map[string]any{what: how}); err != nil {
		return "", err
	}
	if err := s.out.Decode(&answer); err != nil {
		return "", fmt.Errorf("no answer: %w", err)
	}
	if answer.Error != "" {
		return "", errors.New(answer.Error)
	}
	return answer.Told, nil
}

// file has the statements of a file of testdata/lakehouse run.
func (s *session) file(l *lakehouse, name string) string {
	l.t.Helper()
	statements, err := os.ReadFile(filepath.Join("testdata/lakehouse", name))
	if err != nil {
		l.t.Fatal(err)
	}
	return s.sql(l, string(statements))
}

func (s *session) start(l *lakehouse) {
	l.t.Helper()
	if s.process != nil {
		return
	}
	l.inDriver("stream.py")
	l.inDriver("writer.py")
	// As a notebook does, and not by spark-submit, which keeps its input to itself.
	process := exec.Command("docker", "exec", "-i", l.container(driver), "bash", "-c", quiet, "-", "env", "PYSPARK_SUBMIT_ARGS="+onBothWorkers+" pyspark-shell", "python3", l.inDriver("driver.py"))
	process.Env = l.environ()
	in, inErr := process.StdinPipe()
	out, outErr := process.StdoutPipe()
	if err := errors.Join(inErr, outErr, process.Start()); err != nil {
		l.t.Fatal(err)
	}
	*s = session{process, in, json.NewDecoder(out)}
}

// end has it stop, if it runs.
func (s *session) end(l *lakehouse) {
	l.t.Helper()
	if s.process == nil {
		return
	}
	s.in.Close()
	if err := s.process.Wait(); err != nil {
		l.t.Errorf("the driver ended with %v", err)
	}
	*s = session{}
}

// kill leaves it to its container, which goes too.
func (s *session) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
	}
}
