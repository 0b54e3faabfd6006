// SPDX-License-Identifier: Apache-2.0

// Package scan reads a directory on disk into a [tree.Tree], as a host does
// that computes a composefs digest of a mounted root file system. What comes
// out is the directory as it is; what hosts do to it next is the matter of
// composefs/transform.
//
// Nothing is opened by a path but the directory itself: all below it goes from
// one open directory to the next, follows no link, and is looked at before it
// is opened for reading, so a device or a fifo is never opened, though it came
// to be there a moment ago.
//
// A tree that changes meanwhile has no digest. Each inode is looked at again
// after it was read, a directory after all that is in it; a change is an error
// that names it. A change that leaves size, times and inode number as they
// were, within one tick of the file system's clock, is not seen.
//
// While the walk goes on, each file costs some 50 bytes besides what the tree
// takes, as hard links are told by device and inode number alone: the link
// counts of some overlay file systems are wrong.
package scan
