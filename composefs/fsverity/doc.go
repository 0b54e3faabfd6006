// SPDX-License-Identifier: Apache-2.0

// Package fsverity computes the digests by which the Linux kernel's fs-verity
// knows a file: the hash of a descriptor that holds the file's size and the
// root of a Merkle tree over its 4096-byte blocks, without a salt
// (linux/Documentation/filesystems/fsverity.rst).
//
// A [Hasher] is a hash.Hash over one stream of unknown length. A [Batch] takes
// many files one after the other and any number of algorithms over one read.
package fsverity
