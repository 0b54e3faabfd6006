// SPDX-License-Identifier: Apache-2.0

//go:build unix

package remote

import "syscall"

// noWait is the flag with which opening a pipe does not wait for its other end
// (open(2)).
const noWait = syscall.O_NONBLOCK
