package main

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// wallClock is that of one process, which a test sets. A Go program reads its clocks through
// the page of code that the kernel maps into it, and each process has its own copy of that
// page. Time that passes (CLOCK_MONOTONIC) is left alone, as it is when a person, or NTP, sets
// a machine's clock.
type wallClock struct {
	memory *os.File
	offset int64 // where in memory it stands by how many seconds it is off
}

// shiftingClock is what newClock puts into a process:
//
//	mov   eax, 228        clock_gettime
//	syscall
//	test  edi, edi        CLOCK_REALTIME is 0
//	jne   out
//	mov   rcx, [rip+6]    the offset
//	add   [rsi], rcx      seconds
//	out:  ret             and the offset, aligned
var shiftingClock = []byte{
	0xb8, 0xe4, 0, 0, 0, 0x0f, 0x05, 0x85, 0xff, 0x75, 0x0a,
	0x48, 0x8b, 0x0d, 0x06, 0, 0, 0, 0x48, 0x01, 0x0e, 0xc3, 0, 0,
}

// newClock takes over the clock of a process, which goes on as it was.
func newClock(t *testing.T, pid int) *wallClock {
	t.Helper()
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { memory.Close() })
	begin, page := kernelsPage(t, pid, memory)
	entry := begin + clockGettime(t, page)
	const room = 32 // what is at the end of the page is padding
	code := begin + int64(len(page)) - room
	if !bytes.Equal(page[len(page)-room:], make([]byte, room)) {
		t.Skip("this kernel's page has no room at its end")
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	sendSignal(t, process, syscall.SIGSTOP)
	defer sendSignal(t, process, syscall.SIGCONT)
	write(t, memory, code, append(slices.Clone(shiftingClock), make([]byte, room-len(shiftingClock))...))
	jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(code-entry-5))
	write(t, memory, entry, jump)
	return &wallClock{memory, code + int64(len(shiftingClock))}
}

// kernelsPage gives where the kernel's code is in a process, and that code.
func kernelsPage(t *testing.T, pid int, memory *os.File) (begin int64, page []byte) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		var end int64
		if _, err := fmt.Sscanf(line, "%x-%x", &begin, &end); err != nil || !strings.Contains(line, "[vdso]") {
			continue
		}
		page = make([]byte, end-begin)
		if _, err := memory.ReadAt(page, begin); err != nil {
			t.Fatal(err)
		}
		return begin, page
	}
	t.Skip("the kernel maps no code into processes")
	return 0, nil
}

func clockGettime(t *testing.T, page []byte) int64 {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "__vdso_clock_gettime" })
	if i < 0 {
		t.Skip("the kernel's code has no clock")
	}
	return int64(symbols[i].Value)
}

func sendSignal(t *testing.T, process *os.Process, s os.Signal) {
	t.Helper()
	if err := process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, memory *os.File, at int64, what []byte) {
	t.Helper()
	if _, err := memory.WriteAt(what, at); err != nil {
		t.Fatal(err)
	}
}

// set has the clock be off by so much from now on.
func (c *wallClock) set(t *testing.T, by time.Duration) {
	t.Helper()
	write(t, c.memory, c.offset, binary.LittleEndian.AppendUint64(nil, uint64(int64(by/time.Second))))
}

// clocked is an agent whose clock is set while it runs.
type clocked struct {
	*testing.T
	engine       *client.Client
	dir, project string
	agent        *exec.Cmd
	said         bytes.Buffer
}

const clockedSpec = `name: %s
services:
  db: {image: '%[2]s', restart: "no", stop_grace_period: 1s}
  web: {image: '%[2]s', command: %[3]s, restart: "no", stop_grace_period: 1s}
drift: {schedule: "@every 1s", reports: {dir: reports}}
`

func (c *clocked) write(command string) {
	c.Helper()
	text := fmt.Sprintf(clockedSpec, c.project, enginetest.Sleeper, command)
	if err := os.WriteFile(filepath.Join(c.dir, "flumen.yaml"), []byte(text), 0o644); err != nil {
		c.Fatal(err)
	}
}

func (c *clocked) command(args ...string) *exec.Cmd {
	cmd := exec.Command("flumen-agent", args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"DOCKER_HOST=" + c.engine.DaemonHost(), "FLUMEN_STATE=" + filepath.Join(c.dir, "state"), "PATH=" + os.Getenv("PATH")}
	return cmd
}

func (c *clocked) says(text string, args ...string) {
	c.Helper()
	var out []byte
	if !within(patience, func() bool {
		out, _ = c.command(args...).CombinedOutput() // its exit code tells how things stand
		return strings.Contains(string(out), text)
	}) {
		c.Fatalf("flumen-agent %v never says %q:\n%s\nthe agent says:\n%s", args, text, out, &c.said)
	}
}

func (c *clocked) runs(service string) bool {
	one, err := c.engine.ContainerInspect(context.Background(), c.project+"-"+service+"-1")
	return err == nil && one.State.Running
}

func (c *clocked) kill(service string) {
	c.Helper()
	if err := c.engine.ContainerKill(context.Background(), c.project+"-"+service+"-1", "KILL"); err != nil {
		c.Fatal(err)
	}
}

// heals kills a service and expects it to run again.
func (c *clocked) heals(service string) {
	c.Helper()
	c.kill(service)
	if !within(patience, func() bool { return c.runs(service) }) {
		c.Fatalf("%s was not brought back; the agent says:\n%s", service, &c.said)
	}
}

// checks expects a drift check that was made when the agent's clock was off by so much.
func (c *clocked) checks(by time.Duration) {
	c.Helper()
	if !within(patience, func() bool {
		reports, _ := filepath.Glob(filepath.Join(c.dir, "reports", reportPrefix+"*.json"))
		return slices.ContainsFunc(reports, func(name string) bool {
			at, ok := madeAt(filepath.Base(name), reportPrefix)
			return ok && time.Until(at.Add(-by)).Abs() < 2*time.Minute
		})
	}) {
		c.Fatalf("no drift check was made when the clock was off by %s; the agent says:\n%s", by, &c.said)
	}
}

// The agent lives on though its clock is set forward, back, and forward in its sleep: it
// heals, follows the spec, condemns what fails, checks, and ends a pause.
func TestAgentOutlivesAClockThatIsSet(t *testing.T) {
	t.Parallel()
	hosts := enginetest.Hosts(t)
	engine := enginetest.Connect(t, hosts[len(hosts)-1])
	enginetest.Images(t, engine)
	c := &clocked{T: t, engine: engine, dir: shortDir(t), project: enginetest.Project(t, engine)}
	c.write("[]")
	c.agent = c.command("run", "--interval", "2s")
	c.agent.Stdout, c.agent.Stderr = &c.said, &c.said
	if err := c.agent.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.agent.Process.Kill()
	c.says("in sync", "status")
	clock := newClock(t, c.agent.Process.Pid)

	c.says("paused until", "pause", "--for", "1h")
	c.kill("db")
	clock.set(t, 2*time.Hour)
	if !within(patience, func() bool { return c.runs("db") }) {
		t.Fatalf("the pause did not end; the agent says:\n%s", &c.said)
	}

	const ahead, behind = 48 * time.Hour, -30 * 24 * time.Hour
	clock.set(t, ahead)
	c.checks(ahead)
	c.heals("db")

	clock.set(t, behind)
	c.checks(behind)
	c.heals("web")
	c.write("[exit, '3']")
	c.says("failed: replace service/web", "status")
	if !within(patience, func() bool { return c.runs("web") }) {
		t.Fatalf("web does not run at the last good revision; the agent says:\n%s", &c.said)
	}
	c.write("[]")
	c.says("following revision", "status")

	sendSignal(t, c.agent.Process, syscall.SIGSTOP)
	c.kill("db")
	clock.set(t, 8*time.Hour)
	sendSignal(t, c.agent.Process, syscall.SIGCONT)
	if !within(patience, func() bool { return c.runs("db") }) {
		t.Fatalf("db was not brought back after the sleep; the agent says:\n%s", &c.said)
	}
	c.checks(8 * time.Hour)
	sendSignal(t, c.agent.Process, os.Interrupt)
	if err := c.agent.Wait(); err != nil {
		t.Errorf("it ends with %v and says:\n%s", err, &c.said)
	}
}
