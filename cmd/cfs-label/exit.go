// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

// Exit statuses. They are a contract; the help text of the program lists them.
const (
	exitDone         = 0
	exitFailure      = 1
	exitUsage        = 2
	exitMismatch     = 3
	exitUnauthorized = 4
	exitNotFound     = 5
)

const exitHelp = `Exit status:
  0  done
  1  failure
  2  wrong usage
  3  not sealed, or something in the image is not what was computed (--check)
  4  the registry wants credentials, or others
  5  not found`

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	for _, m := range []struct {
		err  error
		code int
	}{
		{cfslabel.ErrMismatch, exitMismatch},
		{cfslabel.ErrOptions, exitUsage},
		{remote.ErrReference, exitUsage},
		{remote.ErrReadOnly, exitUsage},
		{remote.ErrUnauthorized, exitUnauthorized},
		{remote.ErrNotFound, exitNotFound},
		{cfslabel.ErrPlatform, exitNotFound},
	} {
		if errors.Is(err, m.err) {
			return m.code
		}
	}
	return exitFailure
}
