package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestLockIsWaitedForAndSaysForWhom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	release, err := lockProject(t.Context(), dir, "engine", "shop", nil)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 3*lockAgain)
	defer cancel()
	if _, err := lockProject(ctx, dir, "engine", "shop", &said); err == nil || !strings.Contains(err.Error(), "project shop") {
		t.Errorf("error %v", err)
	}
	if strings.Count(said.String(), "waiting: another flumen-agent (process ") != 1 {
		t.Errorf("said %q", said.String())
	}
	time.AfterFunc(lockAgain/2, release)
	again, err := lockProject(t.Context(), dir, "engine", "shop", &said)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestOtherProjectsAndEnginesHaveLocksOfTheirOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, key := range [][2]string{{"engine", "shop"}, {"engine", "other"}, {"another", "shop"}} {
		release, err := lockProject(t.Context(), dir, key[0], key[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
}
