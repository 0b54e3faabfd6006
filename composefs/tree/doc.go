// SPDX-License-Identifier: Apache-2.0

// Package tree holds a merged file system in memory: inodes, the names that
// directories give them, extended attributes, and the digests of file content,
// never the content itself beyond what composefs keeps inline.
//
// A [Tree] is built by adding inodes and linking names to them. [Tree.Check]
// turns it into a [Checked], which is sorted, counted and free of what a
// composefs image cannot hold; it is the only thing that the writers take.
//
// Everything is kept in slabs without pointers: about 110 bytes for a file, its
// name and the digests of its content besides.
package tree
