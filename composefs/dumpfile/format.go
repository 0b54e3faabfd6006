// SPDX-License-Identifier: Apache-2.0

package dumpfile

import "math"

const (
	// none stands for a payload, content or digest that is empty or absent.
	none = "-"
	// loneDash is the field whose only byte is what none is.
	loneDash = `\x2d`
	// linkMark begins the mode of a line that only gives another name.
	linkMark = '@'
	// linkFields is all between path and payload of such a line. Readers look
	// at the mark only; cfsctl writes the type of a symlink behind it.
	linkFields = " 0 @120000 - - - - 0.0 "

	// permMask has the bits of a mode that Read keeps: permissions, setuid,
	// setgid, sticky.
	permMask = 0o7777

	// objectDirLen is the length of the first part of an object's path, which
	// is the first byte of the digest, in hexadecimal digits.
	objectDirLen = 2
)

// What Read accepts of a line.
const (
	// InlineMax is the longest content of a file in the dump itself, in bytes
	// (MAX_INLINE_CONTENT of cfsctl).
	InlineMax = 512
	// SymlinkMax is the longest target of a symlink, in bytes: PATH_MAX of
	// Linux without the NUL. cfsctl reads no more than 1024, but writes longer
	// ones when it dumps an image.
	SymlinkMax = 4095
	// XattrNameMax is the longest name of an attribute, in bytes
	// (XATTR_NAME_MAX, linux/include/uapi/linux/limits.h).
	XattrNameMax = 255
	// XattrValueMax is the longest value of an attribute, in bytes: its length
	// has 16 bits in an image.
	XattrValueMax = math.MaxUint16
	// XattrListMax is how long all names of a file's attributes are together at
	// most, in bytes (XATTR_LIST_MAX, as cfsctl has it).
	XattrListMax = math.MaxUint16
	// LineMax is the longest line, in bytes. The attributes of a file in an
	// image take up 256 KiB at most, four times that when each byte is escaped;
	// the rest is for paths.
	LineMax = 4 << 20
)

// limits bound what Read may use of memory.
type limits struct {
	line    int // bytes of a line
	text    int // bytes of all lines
	entries int // lines that say something
	xattrs  int // attributes of all lines
}

// defaultLimits leave room for twice the million files that an image may have.
// Read takes memory for twice the text, at worst, and 200 bytes for each entry
// and each attribute.
var defaultLimits = limits{line: LineMax, text: 1 << 30, entries: 1 << 21, xattrs: 1 << 23}
