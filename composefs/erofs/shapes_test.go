// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"fmt"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// shape is a tree for one rule of the format, or a few that belong together.
type shape struct {
	name string
	rule string
	make func(m *maker)

	// slow trees are left out of -short.
	slow bool
	// strange trees hold what a file system cannot have: readers other than
	// the reference need not read them.
	strange bool
}

// shapes lists trees that layers cannot be made of, or that the vectors lack,
// in two parts.
func shapes() []shape {
	return append(append(contentShapes, xattrShapes...), treeShapes...)
}

const (
	blockSize  = 4096
	direntSize = 12
	// chunkMax is the greatest chunk of a file outside: 31 above the 12 bits of
	// a block.
	chunkMax = 1 << 43
	// indexesMax is how many chunk indexes stand behind an inode at most.
	indexesMax = 1024
)

var contentShapes = []shape{
	{name: "inline-lengths", rule: "inline content up to the 512 bytes of a dump stands behind the inode", make: func(m *maker) {
		for _, n := range []int{0, 1, 31, 32, 33, 63, 64, 65, 511, 512} {
			m.inline(fmt.Sprintf("f%d", n), strings.Repeat("x", n))
		}
	}},
	{name: "inline-tails", rule: "a tail that would cross a block moves, wherever it begins", make: func(m *maker) {
		for i := range 513 {
			m.inline(fmt.Sprintf("f%03d", i), strings.Repeat("x", i), mtime(int64(i%3), 0))
		}
	}},
	{name: "tails-fill-blocks", rule: "a tail that ends where a block ends does not move", make: func(m *maker) {
		// Three slots each, so that each slot of a block is the end of one.
		for i := range 200 {
			m.inline(fmt.Sprintf("f%03d", i), strings.Repeat("x", 64))
		}
		for i := range 200 {
			m.symlink(fmt.Sprintf("l%03d", i), strings.Repeat("t", 64))
		}
		for i := range 200 {
			m.external(fmt.Sprintf("x%03d", i), 8*chunkMax, i, m.xattrs("user.fill", strings.Repeat("v", i%4*4)))
		}
	}},
	{name: "symlink-lengths", rule: "a symlink that would cross a block moves as a whole", make: func(m *maker) {
		for i := 1; i <= 1024; i += 7 {
			m.symlink(fmt.Sprintf("l%04d", i), strings.Repeat("t", i), mtime(int64(i%2), 0))
		}
	}},
	{name: "symlink-xattrs", rule: "the xattrs of a symlink count for the block that it must fit", make: func(m *maker) {
		for _, n := range []int{2990, 2991, 2992, 2993, 3000, 3020, 3021, 3022, 3023, 3024, 3025, 3030, 4000, 5000} {
			m.symlink(fmt.Sprintf("l%d", n), strings.Repeat("t", 1024), m.xattrs("user.a", strings.Repeat("v", n)))
		}
	}},
	{name: "sparse", rule: "a sparse file is in chunks that are nowhere, and has an empty metacopy", make: func(m *maker) {
		for i, size := range []uint64{1, blockSize - 1, blockSize, blockSize + 1, 1 << 20, 1<<20 + 1, 1<<32 - 1, 1 << 32} {
			m.sparse(fmt.Sprintf("s%d", i), size)
		}
	}},
	{name: "unverified", rule: "an unverified file has an empty metacopy, and shares the redirect of its object", make: func(m *maker) {
		m.unverified("one", 100, 1)
		m.external("two", 100, 1)
		m.external("three", 100, 1)
		m.unverified("alone", 100, 2)
		m.external("other", 100, 3)
	}},
	{name: "empty-object", rule: "a file of no bytes may have an object, and no chunk", make: func(m *maker) {
		m.external("e", 0, 1)
		m.unverified("u", 0, 2)
	}},
	{name: "same-object", rule: "objects with equal digests share their xattrs, however many there are", make: func(m *maker) {
		for i := range 300 {
			m.external(fmt.Sprintf("f%d", i), uint64(1+i), i%17)
		}
	}},
	{name: "specials", rule: "devices have their number, fifos and sockets none", make: func(m *maker) {
		m.special("fifo", tree.FIFO, 0)
		m.special("socket", tree.Socket, 0)
		m.special("null", tree.CharDevice, 0x103)
		m.special("block", tree.BlockDevice, 0)
		m.special("large", tree.BlockDevice, 1<<32-1)
	}},
	{name: "chunk-sizes", rule: "a file is in one chunk that fits, or in as few of the greatest as it takes", make: func(m *maker) {
		for i, size := range []uint64{
			1, blockSize, blockSize + 1, 1<<31*blockSize - 1, 1 << 31 * blockSize, 1<<31*blockSize + 1,
			chunkMax - 1, chunkMax, chunkMax + 1, 2 * chunkMax, 2*chunkMax + 1, 9*chunkMax - 5,
		} {
			m.external(fmt.Sprintf("f%02d", i), size, i)
		}
	}},
	{name: "chunk-indexes", rule: "indexes that do not fit into a block with the xattrs move to one of their own", make: func(m *maker) {
		n := 0
		for _, chunks := range []uint64{indexesMax - 9, indexesMax - 8, indexesMax - 1, indexesMax, indexesMax + 1, 1 << 20} {
			for value := range 9 {
				m.external(fmt.Sprintf("f%03d", n), chunks*chunkMax, n, m.xattrs("user.n", strings.Repeat("v", 4*value)))
				n++
			}
		}
		m.sparse("sparse", indexesMax*chunkMax+1)
	}},
	{name: "chunk-indexes-largest", rule: "sizes go up to 64 bits", strange: true, make: func(m *maker) {
		m.external("signed", 1<<63-1, 1)
		m.external("sign", 1<<63, 2)
		m.external("all", 1<<64-1, 3)
		m.sparse("sparse", 1<<64-1)
	}},
	{name: "blocks-in-order", rule: "blocks stand in the order of their inodes, whatever kind they are of", make: func(m *maker) {
		for i := range 6 {
			m.external(fmt.Sprintf("a%d", i), 2*indexesMax*chunkMax, i)
			m.symlink(fmt.Sprintf("l%d", i), strings.Repeat("t", 1024), m.xattrs("user.a", strings.Repeat("v", 3500+i)))
			for j := range 60 {
				m.inline(fmt.Sprintf("d%d/%s%d", i, strings.Repeat("n", 60), j), "")
			}
		}
	}},
}

var xattrShapes = []shape{
	{name: "acl", rule: "the header says that there are POSIX ACLs", make: func(m *maker) {
		m.dir("d", m.xattrs("system.posix_acl_default", "\x02\x00\x00\x00", "system.posix_acl_access", "\x02\x00\x00\x00"))
		m.inline("f", "", m.xattrs("system.posix_acl_access", "\x02\x00\x00\x00"))
	}},
	{name: "acl-default-only", rule: "a default ACL is one, too", make: func(m *maker) {
		m.dir("d", m.xattrs("system.posix_acl_default", "\x02\x00\x00\x00"))
	}},
	{name: "prefixes", rule: "each prefix has its number, but for lustre in V0 and V1; the longest wins", make: func(m *maker) {
		names := []string{
			"user.a", "trusted.a", "security.a", "lustre.a", "lustre.", "system.a", "foo.bar", "a", "user", "user.", "trusted.",
			"security.", "system.posix_acl_access", "system.posix_acl_access.x", "system.posix_acl_default1", "USER.a", "user.user.a",
			"trusted.user.", "security.\xff\x01", "lustre.lov",
		}
		for i, name := range names {
			m.inline(fmt.Sprintf("alone%02d", i), "", m.xattrs(name, fmt.Sprint(i)))
			m.inline(fmt.Sprintf("one%02d", i), "", m.xattrs(name, "shared"))
			m.inline(fmt.Sprintf("two%02d", i), "", m.xattrs(name, "shared"))
		}
		all := make([]string, 0, 2*len(names))
		for _, name := range names {
			all = append(all, name, "shared")
		}
		m.dir("all", m.xattrs(all...))
	}},
	{name: "shared-values", rule: "xattrs of one name sort by the length of their value, then by value", make: func(m *maker) {
		for i, value := range []string{"", "\x00", "\x00\x00", "\xee", "b", "a", "ab", "aa", "b\x00", "zzz", "\xff\xff\xff\xff"} {
			m.inline(fmt.Sprintf("one%d", i), "", m.xattrs("user.a", value))
			m.inline(fmt.Sprintf("two%d", i), "", m.xattrs("user.a", value, "user.b", value))
		}
	}},
	{name: "shared-orders", rule: "references stand in the order of the inode's xattrs, the xattrs in descending order", make: func(m *maker) {
		names := []string{"user.z", "trusted.a", "security.m", "trusted.overlay.x", "user.a", "security.selinux", "u", "system.posix_acl_access"}
		for i := range names {
			for j := range names {
				if i != j {
					m.inline(fmt.Sprintf("f%d%d", i, j), "", m.xattrs(names[i], "v", names[j], "w"))
				}
			}
		}
	}},
	{name: "shared-many", rule: "the count of shared xattrs has 8 bits, and is cut", strange: true, make: func(m *maker) {
		var pairs []string
		for i := range 300 {
			pairs = append(pairs, fmt.Sprintf("user.%03d", i), "v")
		}
		m.inline("one", "", m.xattrs(pairs...))
		m.inline("two", "", m.xattrs(pairs...))
		m.inline("few", "", m.xattrs(pairs[:20]...))
	}},
	{name: "shared-blocks", rule: "references count from the block in which the inodes end", make: func(m *maker) {
		for i := range 40 {
			value := strings.Repeat(string(rune('a'+i)), 900+i)
			for j := range 3 {
				m.inline(fmt.Sprintf("f%02d%d", i, j), "", m.xattrs("user.v", value, "trusted.n", fmt.Sprint(i)))
			}
		}
	}},
	{name: "shared-larger-than-block", rule: "a shared xattr may be longer than a block", make: func(m *maker) {
		for _, name := range []string{"one", "two"} {
			m.inline(name, "tail", m.xattrs("user.large", strings.Repeat("v", 10000), "user.small", "s"))
		}
	}},
	{name: "own-larger-than-block", rule: "xattrs push the tail of an inode over blocks", make: func(m *maker) {
		for i, n := range []int{3900, 4000, 4010, 4020, 4030, 4090, 8100, 65535} {
			m.inline(fmt.Sprintf("f%d", i), strings.Repeat("x", 100), m.xattrs("user.large", strings.Repeat("v", n)))
			m.dir(fmt.Sprintf("d%d", i), m.xattrs("user.large", strings.Repeat("w", n)))
			m.external(fmt.Sprintf("e%d", i), 3*chunkMax, i, m.xattrs("user.large", strings.Repeat("y", n)))
		}
	}},
	{name: "xattr-count-overflows", rule: "the count of xattr words has 16 bits, and is cut", strange: true, make: func(m *maker) {
		var pairs []string
		for i := range 5 {
			pairs = append(pairs, fmt.Sprintf("user.%d", i), strings.Repeat("v", 65535))
		}
		m.inline("f", "tail", m.xattrs(pairs...))
	}},
	{name: "root-xattrs", rule: "the root stays first, however large its xattrs are", make: func(m *maker) {
		m.root(m.xattrs("user.large", strings.Repeat("v", 60000), "trusted.overlay.opaque", "y"))
		m.inline("f", "", m.xattrs("user.large", strings.Repeat("v", 60000)))
	}},
	{name: "overlay-escapes", rule: "names of overlayfs are escaped once more, however often they are", make: func(m *maker) {
		for i, name := range []string{
			"trusted.overlay.opaque", "trusted.overlay.overlay.opaque", "trusted.overlay.", "trusted.overlay",
			"trusted.overlay.overlay.", "trusted.overlay.metacopy", "trusted.overlay.redirect", "user.overlay.opaque",
		} {
			m.dir(fmt.Sprintf("d%d", i), m.xattrs(name, "y"))
			m.external(fmt.Sprintf("f%d", i), 5, i, m.xattrs(name, ""))
		}
		m.root(m.xattrs("trusted.overlay.opaque", "y"))
	}},
	{name: "filter", rule: "the filter of names has the bit of each name", make: func(m *maker) {
		for i := range 120 {
			m.inline(fmt.Sprintf("f%d", i), "", m.xattrs(fmt.Sprintf("user.%d", i), "", fmt.Sprintf("trusted.%x", i*i), ""))
		}
	}},
}
