// SPDX-License-Identifier: Apache-2.0

// Command cfs-label seals container images for composefs: it computes the
// composefs digest of an image in a registry and writes it into the image.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// gcPercent is how much garbage may be made of what is in use before it is
// collected. What is in use are buffers, which cost nothing to collect.
const gcPercent = 30

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	t := &terminal{stdout: stdout, stderr: stderr}
	cmd := rootCommand(t) //nolint:contextcheck // commands take the context from cobra
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	t.sayStats()
	if err != nil {
		err = t.explain(err)
		if !t.running {
			err = &usageError{err}
		}
		t.fail(err)
	}
	if t.cancel != nil {
		t.cancel()
	}
	return exitCode(err)
}
