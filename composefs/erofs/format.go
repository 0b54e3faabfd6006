// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"fmt"
	"slices"
	"strings"
)

// Format is how an image is laid out. Hosts must be told which one a digest is
// of: the kernel argument composefs.digest=v1-… means V1, composefs= means V2.
type Format uint8

// The formats.
const (
	V0 Format = iota // what C mkcomposefs writes
	V1               // the default of hosts since composefs-rs 0.8
	V2               // the older format of composefs-rs
)

var formatNames = [...]string{V0: "v0", V1: "v1", V2: "v2"}

// String returns the format's name in commands: v0, v1 or v2.
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// ParseFormat returns the format of that name.
func ParseFormat(name string) (Format, error) {
	if i := slices.Index(formatNames[:], name); i >= 0 {
		return Format(i), nil
	}
	return 0, fmt.Errorf("erofs: unknown format %q: use one of %s", name, strings.Join(formatNames[:], ", "))
}

// profile is all in which the formats differ.
type profile struct {
	version uint32 // composefs_version of the header

	// breadthFirst orders the inodes level by level, and not depth first.
	breadthFirst bool
	// compact uses 32-byte inodes where all fields fit and the mtime is the
	// earliest of all, which is then the superblock's build time.
	compact bool
	// nanoseconds keeps the fraction of mtimes.
	nanoseconds bool
	// sequentialIno numbers inodes by their order, and not by their place.
	sequentialIno bool
	// stubs adds 256 overlayfs whiteouts 00 to ff to the root, which hide the
	// directories of the object store when it is a lower layer.
	stubs bool
	// opaqueRoot marks the root for overlayfs as hiding what is below it.
	opaqueRoot bool
	// escapeWhiteouts turns whiteouts of the tree into regular files with
	// xattrs by which overlayfs presents them as whiteouts again.
	escapeWhiteouts bool
	// opaqueWhiteoutDirs marks directories that hold such files as opaque "x",
	// as overlayfs wants it since Linux 6.8.
	opaqueWhiteoutDirs bool
	// aclFlag tells in the header that there are POSIX ACLs.
	aclFlag bool
	// blockContent moves inline content that is too long, symlinks and chunk
	// indexes to blocks of their own.
	blockContent bool
	// sizedChunks describes files elsewhere by chunks that fit their size, and
	// not by chunks of the greatest size there is.
	sizedChunks bool
	// fullKeyOrder sorts xattrs by their whole name, then the length of their
	// value; else by prefix index, rest of the name, value.
	fullKeyOrder bool
	// sharedDescending writes the last of the shared xattrs first.
	sharedDescending bool
	// xattrBlock counts references of shared xattrs from the block in which
	// the inodes end, and not from the beginning.
	xattrBlock bool
	// lustrePrefix knows the prefix lustre.
	lustrePrefix bool
	// tightTails pads only as far as an inline tail needs; else the tail moves
	// to a new block as soon as the block after it would be touched.
	tightTails bool
}

func (f Format) profile() profile {
	if f == V2 {
		return profile{version: 2, lustrePrefix: true}
	}
	return profile{
		version:            uint32(f),
		breadthFirst:       true,
		compact:            true,
		nanoseconds:        true,
		sequentialIno:      true,
		stubs:              true,
		opaqueRoot:         true,
		escapeWhiteouts:    true,
		opaqueWhiteoutDirs: f == V1,
		aclFlag:            true,
		blockContent:       true,
		sizedChunks:        true,
		fullKeyOrder:       true,
		sharedDescending:   true,
		xattrBlock:         true,
		tightTails:         true,
	}
}
