// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net/http"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/scan"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign"
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
  3  not sealed, or something does not hold that the image or a signature says
     (--check, verify), two trees differ (diff), or there are findings (lint)
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
		{errDiffer, exitMismatch},
		{errFindings, exitMismatch},
		{cfslabel.ErrOptions, exitUsage},
		{sign.ErrOptions, exitUsage},
		{scan.ErrRoot, exitUsage},
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
	// Signatures are read and written by a library.
	if a, ok := errors.AsType[*transport.Error](err); ok {
		switch a.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return exitUnauthorized
		case http.StatusNotFound:
			return exitNotFound
		}
	}
	return exitFailure
}
