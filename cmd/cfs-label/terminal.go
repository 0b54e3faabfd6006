// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	cfslabel "github.com/cfs-label/cfs-label"
)

// How the program talks: the answer alone goes to stdout; all else goes to
// stderr, begins with the program's name, has no capital at its beginning and
// no period at its end.

// terminal is where the program talks to.
type terminal struct {
	stdout, stderr io.Writer
	quiet          bool
	verbose        bool
	output         outputFormat
	noProgress     bool
	timeout        time.Duration // zero is none
	running        bool          // a command was understood and began

	stats  *cfslabel.Stats    // to be told at the end; nil: nobody asked
	cancel context.CancelFunc // ends what the timeout began
	isOver func() bool        // whether the timeout did
	warned sync.Map           // what was warned of

	mu   sync.Mutex       // one message at a time
	held *strings.Builder // what waits until the bars are gone; nil: nothing has to
}

// errTimeout is why the context ends when --timeout is over.
var errTimeout = errors.New("it took too long")

// start is called when the command line was understood.
func (t *terminal) start(cmd *cobra.Command, _ []string) error {
	t.running = true
	var empty error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" { // a variable of a script that is not set
			empty = &usageError{fmt.Errorf("--%s is given without a value", f.Name)}
		}
	})
	if empty != nil {
		return empty
	}
	if t.timeout < 0 {
		return &usageError{errors.New("--timeout must not be negative")}
	}
	if t.timeout > 0 {
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), t.timeout, errTimeout)
		t.cancel = cancel
		t.isOver = func() bool { return errors.Is(context.Cause(ctx), errTimeout) }
		cmd.SetContext(ctx)
	}
	return nil
}

// explain says which end of the context an error is.
func (t *terminal) explain(err error) error {
	if t.isOver != nil && t.isOver() {
		return fmt.Errorf("%w: not done after %v (--timeout): %w", errTimeout, t.timeout, err)
	}
	return err
}

// answer writes a line of the answer.
func (t *terminal) answer(format string, args ...any) error {
	_, err := fmt.Fprintf(t.stdout, format+"\n", args...)
	return err
}

// answerJSON writes the answer as one object.
func (t *terminal) answerJSON(v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(t.stdout, cleanJSON(text.String()))
	return err
}

// say tells what happens.
func (t *terminal) say(format string, args ...any) {
	if !t.quiet {
		t.print(format, args...)
	}
}

// detail tells what only --verbose asks for.
func (t *terminal) detail(format string, args ...any) {
	if t.verbose && !t.quiet {
		t.print(format, args...)
	}
}

// warn warns of each thing once, though several find it.
func (t *terminal) warn(message string) {
	if _, said := t.warned.LoadOrStore(message, true); !said {
		t.say("warning: %s", message)
	}
}

// sayStats tells what was read.
func (t *terminal) sayStats() {
	switch s := t.stats; {
	case s == nil:
	case s.Layers == 0:
		t.say("read no layers; %d inodes", s.Inodes)
	default:
		t.say("read %s of %d bytes, %d of them again; %d inodes", counted(s.Layers, "layer"), s.Bytes, s.LayersAgain, s.Inodes)
	}
}

// fail tells of the error that ends the program.
func (t *terminal) fail(err error) {
	if m, ok := errors.AsType[*cfslabel.MismatchError](err); ok {
		for _, finding := range m.Findings {
			t.print("%s", finding)
		}
		err = cfslabel.ErrMismatch
	}
	t.print("%v", err)
	if _, ok := errors.AsType[*usageError](err); ok {
		t.print("see cfs-label --help")
	}
}

// print writes a message; what comes from elsewhere cannot control a terminal.
func (t *terminal) print(format string, args ...any) {
	text := clean(fmt.Sprintf(format, args...)) // a message is one line: nobody else can begin one
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.stderr
	if t.held != nil {
		w = t.held
	}
	_, _ = fmt.Fprintf(w, "cfs-label: %s\n", text)
}

// hold makes messages wait: a line between the bars would push them apart.
func (t *terminal) hold() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = &strings.Builder{}
}

// release writes the messages that waited.
func (t *terminal) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held != nil {
		_, _ = io.WriteString(t.stderr, t.held.String())
	}
	t.held = nil
}

// isTerminal reports whether a person looks at stderr.
func (t *terminal) isTerminal() bool {
	f, ok := t.stderr.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// outputFormat is the form of the answer.
type outputFormat string

const (
	textOutput outputFormat = "text"
	jsonOutput outputFormat = "json"
)

func (f *outputFormat) String() string { return string(*f) }

func (f *outputFormat) Type() string { return "text|json" }

func (f *outputFormat) Set(s string) error {
	switch outputFormat(s) {
	case textOutput, jsonOutput:
		*f = outputFormat(s)
		return nil
	}
	return errors.New("use text or json")
}
