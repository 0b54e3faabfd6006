// SPDX-License-Identifier: Apache-2.0

// Package diff says what differs between two trees, path by path, and why:
// the differences are grouped by what most likely caused them.
//
// [Compare] looks at what a composefs image holds of a path: type, mode, owner,
// mtime, extended attributes, size and digest of content, target, device
// number, storage, and which other paths have the same inode. A directory that
// only one tree has is one difference, whatever is below it.
//
// Each difference has exactly one [Cause]. Where several would do, that which
// is first in the list of causes has it ([Causes]): what decides on content
// comes before metadata, owners before what a change of owner takes along, and
// mtimes, which change with everything, last. What else differs on the path is
// counted as Also. A directory of which nothing but the mtime differs has the
// cause of the name in it that came, went or was written anew, if there is one.
package diff
