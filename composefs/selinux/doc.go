// SPDX-License-Identifier: Apache-2.0

// Package selinux reads the part of an SELinux policy that says which label a
// file gets: file_contexts and the files beside it. It answers as hosts do when
// they compute a bootable composefs digest (composefs-rs, crate composefs-boot,
// module selabel), which is not in all things as libselinux does:
//
//   - file_contexts, .local and .homedirs are one list in this order, and the
//     last entry that matches holds. libselinux reads .homedirs before .local,
//     and prefers entries without special characters.
//   - An entry is the regular expression ^(PATTERN).$, or with the file type's
//     letter in place of the dot, over the path with the letter of its type
//     behind it. The text is put together before it is read, so a pattern
//     a)|(b is two, and \1 is what stands around the pattern, not its first group.
//   - The expression is one of Rust's, over bytes: a dot is any byte but NUL, \d
//     and \w are ASCII. Only what Rust's syntax does not have is PCRE: look-around,
//     back references, atomic groups. There a dot is any byte but newline.
//   - .subs and .subs_dist replace whole paths, the path of a directory for all
//     that is in it. libselinux replaces prefixes.
//   - SELINUX=disabled changes nothing.
//
// A policy comes out of an image, so nobody vouches for it: the sizes of its
// files, the number of entries, and the work that they make are bounded.
package selinux
