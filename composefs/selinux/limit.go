// SPDX-License-Identifier: Apache-2.0

package selinux

import (
	"errors"
	"fmt"
)

// ErrLimit is what all errors are that say nothing of what hosts do with the
// policy: it is over a bound of this package, or has a pattern whose meaning for
// hosts it cannot hold to.
var ErrLimit = errors.New("a limit that hosts do not have")

// limitError is an ErrLimit.
type limitError struct{ text string }

func (e *limitError) Error() string { return e.text }

func (e *limitError) Is(target error) bool { return target == ErrLimit }

func limitf(format string, args ...any) error { return &limitError{fmt.Sprintf(format, args...)} }
