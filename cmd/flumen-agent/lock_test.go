package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLockIsWaitedForAndSaysForWhom(t *testing.T) {
	t.Parallel()
	shop := lock{t.TempDir(), "engine", "shop"}
	release, err := shop.wait(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	say := func(text string) { said = append(said, text) }
	ctx, cancel := context.WithTimeout(t.Context(), 3*lockAgain)
	defer cancel()
	if _, err := shop.wait(ctx, say); err == nil || !strings.Contains(err.Error(), "project shop") {
		t.Errorf("error %v", err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "another flumen-agent (process ") {
		t.Errorf("said %q", said)
	}
	time.AfterFunc(lockAgain/2, release)
	again, err := shop.wait(t.Context(), say)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestOtherProjectsAndEnginesHaveLocksOfTheirOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, key := range [][2]string{{"engine", "shop"}, {"engine", "other"}, {"another", "shop"}} {
		release, err := lock{dir, key[0], key[1]}.wait(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
}

func TestAgentIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	shop := lock{t.TempDir(), "engine", "shop"}
	release, _, err := shop.try(asAgent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shop.wait(t.Context(), nil); !errors.Is(err, errAgentHolds) {
		t.Error(err)
	}
	if agent, err := shop.agent(); err != nil || agent == nil || agent.process != strconv.Itoa(os.Getpid()) {
		t.Error(agent, err)
	}
	release()
	// A program that another test has just forked holds the lock until it is executed.
	if !within(patience, func() bool { agent, err := shop.agent(); return err == nil && agent == nil }) {
		agent, err := shop.agent()
		t.Error(agent, err)
	}
}
