// SPDX-License-Identifier: Apache-2.0

package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/kballard/go-shellquote"

	"github.com/cfs-label/cfs-label/sign"
)

// waitDelay is how long the output of a program is waited for after it has ended
// or was killed: others that it has started may hold it open.
const waitDelay = 2 * time.Second

// turn is held while a program runs: all of them ask on the same standard input,
// so that two at once would take each other's answers.
var turn = make(chan struct{}, 1)

// signer runs a program. The words after its name may hold a secret and are in no
// error.
type signer struct {
	name   string
	words  []string // without the name
	output io.Writer
}

var _ sign.Signer = (*signer)(nil)

// New returns a signer that runs a command. It is split into words as a POSIX
// shell splits it, with quotes and backslashes, but no shell runs: nothing is
// expanded. What the program says, on standard output and standard error, goes to
// output; nil discards it. Its standard input is that of this process, so that it
// may ask for a password; no two programs of this process run at once.
//
// The error is of type *[sign.Error] and kind [sign.ErrOptions].
func New(command string, output io.Writer) (sign.Signer, error) {
	words, err := shellquote.Split(command)
	switch {
	case err != nil:
		err = errors.New("a quote is not closed, or a backslash is the end")
	case len(words) == 0 || words[0] == "":
		err = errors.New("it names no program")
	}
	if err != nil {
		return nil, &sign.Error{Op: "read the command that signs", Kind: sign.ErrOptions, Err: err, Hint: "give it as in 'cosign sign --key k'"}
	}
	return &signer{name: words[0], words: words[1:], output: output}, nil
}

// Check looks for the program.
func (s *signer) Check(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		_, err = exec.LookPath(s.name)
	}
	if err != nil {
		return s.fail("", err)
	}
	return nil
}

// Has is always false: only the program knows what it would sign.
func (s *signer) Has(context.Context, sign.Image) (bool, error) { return false, nil }

// Sign runs the program and waits for it. It is killed when ctx ends. The result
// is empty: what was made, only the program knows.
func (s *signer) Sign(ctx context.Context, im sign.Image) (sign.Result, error) {
	if err := s.Check(ctx); err != nil {
		return sign.Result{}, err
	}
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return sign.Result{}, s.fail(im.Name.String(), ctx.Err())
	}
	args := append(append([]string(nil), s.words...), im.Name.String())
	c := exec.CommandContext(ctx, s.name, args...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, s.output, s.output
	c.WaitDelay = waitDelay
	err := c.Run()
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended well: what holds its output open is something else
	}
	if err != nil {
		return sign.Result{}, s.fail(im.Name.String(), err)
	}
	return sign.Result{}, nil
}

// fail returns the error of a program that was not there, or failed.
func (s *signer) fail(image string, err error) error {
	e := &sign.Error{Image: image, Op: "run " + s.name, Kind: sign.ErrService, Err: err}
	exit, ended := errors.AsType[*exec.ExitError](err)
	missing, ok := errors.AsType[*exec.Error](err)
	switch {
	case ended:
		e.Err = fmt.Errorf("the program that signs failed: %s", exit.ProcessState)
		e.Hint = "it says why above"
	case ok:
		e.Kind, e.Err, e.Hint = sign.ErrOptions, missing.Err, "name a program that is there"
	}
	return e
}
