package main

import (
	"maps"
	"syscall"
	"testing"

	"github.com/docker/docker/client"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// TestDiskScripts runs the whole program with its state directory on a disk that becomes
// read-only. $SMALL is one that "remount ro" and "remount rw" change as a person does, which the
// kernel refuses while a file is open for writing; $BRITTLE one that "disk fail" breaks under
// open files, and "disk repair" checks and mounts again.
func TestDiskScripts(t *testing.T) {
	t.Parallel()
	withDisks := maps.Clone(commands)
	withDisks["remount"], withDisks["disk"] = remount, disk
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		t.Parallel()
		enginetest.Images(t, engine)
		testscript.Run(t, testscript.Params{
			Files: enginetest.Share(t, engine, scriptsIn(t, "testdata/disk")),
			Setup: func(env *testscript.Env) error {
				t := env.T().(testing.TB)
				brittle, small := enginetest.NewBrittleDisk(t), enginetest.SmallDisk(t, "4m")
				env.Setenv("SMALL", small)
				env.Setenv("BRITTLE", brittle.Dir)
				env.Values["brittle"] = brittle
				return onEngine(env, engine)
			},
			Cmds: withDisks,
		})
	})
}

// remount makes $SMALL read-only or not: remount ro.
func remount(ts *testscript.TestScript, neg bool, args []string) {
	flags := map[string]uintptr{"ro": syscall.MS_REMOUNT | syscall.MS_RDONLY, "rw": syscall.MS_REMOUNT}
	if neg || len(args) != 1 || flags[args[0]] == 0 {
		ts.Fatalf("usage: remount ro|rw")
	}
	ts.Check(syscall.Mount("", ts.Getenv("SMALL"), "", flags[args[0]], ""))
}

// disk breaks $BRITTLE, or mends it: disk fail.
func disk(ts *testscript.TestScript, neg bool, args []string) {
	brittle := ts.Value("brittle").(*enginetest.BrittleDisk)
	switch {
	case !neg && len(args) == 1 && args[0] == "fail":
		brittle.Fail()
	case !neg && len(args) == 1 && args[0] == "repair":
		brittle.Repair()
	default:
		ts.Fatalf("usage: disk fail|repair")
	}
}
