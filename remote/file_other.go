// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package remote

// noWait is nothing where no file in a directory can be a pipe.
const noWait = 0
