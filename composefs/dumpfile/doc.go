// SPDX-License-Identifier: Apache-2.0

// Package dumpfile reads and writes the composefs dump: a merged file system
// as text, which cfsctl and mkcomposefs read and write too.
//
// There is a line for each path, parents before what they hold; [Write] goes
// depth first and sorts names by their bytes. A line has eleven fields and then
// the extended attributes, with one space between them:
//
//	PATH SIZE MODE NLINK UID GID RDEV MTIME PAYLOAD CONTENT DIGEST [NAME=VALUE]...
//
//	PATH     absolute; "/" is the first line
//	SIZE     in bytes: of a file's content, of a symlink's target; 0 for others
//	MODE     octal, with the bits of the file type
//	NLINK    names of a file; 2 + subdirectories of a directory
//	UID, GID decimal
//	RDEV     number of a device, as the kernel encodes it; 0 for others
//	MTIME    seconds since 1970, a point, nanoseconds without leading zeros
//	PAYLOAD  object of a file (the digest, a slash after two digits) or target
//	         of a symlink
//	CONTENT  of a file that the image itself holds
//	DIGEST   fs-verity digest of a file, lowercase hexadecimal
//
// A second name of a file is a line "PATH 0 @120000 - - - - 0.0 FIRSTPATH - -".
//
// In all fields a backslash is \\, a newline \n, a carriage return \r, a tab
// \t, and any byte outside 0x21 to 0x7e is \x with two hexadecimal digits. What
// is empty or absent is "-", and so a field that is a lone "-" is \x2d. In
// names and values of attributes it is the equals sign that becomes \x3d, and
// neither empty nor "-" is special.
//
// The format is that of the manual page composefs-dump(5); where it is silent,
// the reference is cfsctl 0.9, byte for byte.
//
// Read after Write gives the same tree, if no mode has bits outside 07777 and
// the tree keeps to what [Read] accepts.
package dumpfile
