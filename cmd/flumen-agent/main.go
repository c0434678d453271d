// Command flumen-agent keeps a lakehouse on Docker as flumen.yaml says.
//
// This package wires things together: it reads flags and environment, connects the
// parts, and shows what they return. One file per command; no decision about the
// lakehouse is made here.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// run is the whole program: it gives back the exit code. The first SIGINT or
// SIGTERM ends what goes on in order, the second at once.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, environ []string) int {
	logrus.SetOutput(io.Discard) // libraries write there what no mask has seen
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from now on a signal has its usual effect
	defer stop()
	a := newApp(stdin, stdout, stderr, environ)
	return a.close(a.execute(ctx, args))
}
