// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"fmt"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

const selinux = "security.selinux"

// fill adds files to the directory until its entries, "." and ".." among them,
// take that many bytes.
func (m *maker) fill(dir string, size int) {
	size -= 2*direntSize + len(".") + len("..")
	const most = 200 // bytes of a name
	for i := 0; size > 0; i++ {
		take := min(size, direntSize+most)
		if rest := size - take; rest > 0 && rest < direntSize+4 {
			take -= direntSize + 4
		}
		m.inline(fmt.Sprintf("%s/%0*d", dir, take-direntSize, i), "")
		size -= take
	}
}

var treeShapes = []shape{
	{name: "empty", rule: "a root without entries", make: func(*maker) {}},
	{name: "directory-sizes", rule: "up to 2048 bytes stand behind the inode, what is more in blocks", make: func(m *maker) {
		for _, size := range []int{
			2047, 2048, 2049, 4095, 4096, 4097, 4200, 4096 + 2047, 4096 + 2048, 4096 + 2049, 8191, 8192, 8193, 3*4096 + 100,
		} {
			m.dir(fmt.Sprintf("d%05d", size))
			m.fill(fmt.Sprintf("d%05d", size), size)
		}
	}},
	{name: "directory-tails", rule: "the tail of a directory does not cross a block, wherever it begins", make: func(m *maker) {
		for i := range 120 {
			dir := fmt.Sprintf("d%03d", i)
			m.dir(dir, mtime(int64(i%2), 0))
			m.fill(dir, 100+16*i)
		}
	}},
	{name: "long-names", rule: "a name has up to 255 bytes of any value", make: func(m *maker) {
		for i := range 40 {
			m.inline(fmt.Sprintf("d/%s%02d", strings.Repeat("n", 253), i), "")
		}
		for b := 1; b < 256; b++ {
			if b != '/' && b != '.' {
				m.inline("bytes/"+string([]byte{byte(b)}), "")
			}
		}
	}},
	{name: "name-order", rule: "names sort as bytes, the dots among them", make: func(m *maker) {
		for _, name := range []string{"!", "-", "...", ".!", "..!", ".x", "a", "a.b", "a-b", "a b", "A", "\xff", "\x01"} {
			m.dir("d/" + name)
			m.inline("e/"+name+"/f", "")
		}
	}},
	{name: "hard-links", rule: "an inode is where it comes first depth first; the order of levels is kept otherwise", make: func(m *maker) {
		for i := range 12 {
			ino := m.external(fmt.Sprintf("a/deep/%d/x", i), 100, i)
			m.put(fmt.Sprintf("b%d", i), ino)
			m.put(fmt.Sprintf("a/%d", i), ino)
			m.put(fmt.Sprintf("a/deep/%d/w", i), ino)
			m.put(fmt.Sprintf("A%d", 11-i), m.inline(fmt.Sprintf("c/%d", i), "x"))
		}
		m.put("z/1", m.symlink("z/2", "target"))
		m.put("y/1", m.special("z/dev", tree.CharDevice, 5))
	}},
	{name: "breadth-first", rule: "levels come one after the other", make: func(m *maker) {
		for i := range 5 {
			m.inline(fmt.Sprintf("d%d/e/f/g", i), "g")
			m.inline(fmt.Sprintf("d%d/a", i), "a")
			m.inline(fmt.Sprintf("f%d", i), "f")
		}
	}},
	{name: "deep", rule: "directories may be nested deeply", make: func(m *maker) {
		m.inline(strings.Repeat("d/", 300)+"f", "")
	}},
	{name: "stub-names", rule: "a name of two hexadecimal digits in the root takes the place of a stub", make: func(m *maker) {
		m.inline("00", "x")
		m.dir("7f")
		m.symlink("ff", "t")
		m.inline("FF", "")
		m.inline("0", "")
		m.dir("d/00")
	}},
	{name: "stub-likes", rule: "a whiteout like a stub stays one; any difference makes it data", make: func(m *maker) {
		m.root(owner(3, 4), mtime(5, 6))
		m.whiteout("00", owner(3, 4), mtime(5, 6))
		m.whiteout("01", owner(2, 4), mtime(5, 6))
		m.whiteout("02", owner(3, 5), mtime(5, 6))
		m.whiteout("03", owner(3, 4), mtime(6, 6))
		m.whiteout("04", owner(3, 4), mtime(5, 7))
		m.whiteout("05", owner(3, 4), mtime(5, 6), mode(0o600))
		m.whiteout("06", owner(3, 4), mtime(5, 6), m.xattrs("user.a", ""))
		m.whiteout("0A", owner(3, 4), mtime(5, 6))
		m.whiteout("007", owner(3, 4), mtime(5, 6))
		m.whiteout("d/00", owner(3, 4), mtime(5, 6))
		m.special("08", tree.BlockDevice, 0, owner(3, 4), mtime(5, 6))
	}},
	{name: "stub-like-only", rule: "a whiteout like a stub does not mark the root", make: func(m *maker) {
		m.whiteout("5a")
	}},
	{name: "stub-labels", rule: "stubs have the label of the root, and so has a whiteout like them", make: func(m *maker) {
		m.root(m.xattrs(selinux, "system_u:object_r:root_t:s0\x00", "user.other", "x"))
		m.whiteout("00", m.xattrs(selinux, "system_u:object_r:root_t:s0\x00"))
		m.whiteout("01", m.xattrs(selinux, "other"))
		m.whiteout("02")
		m.whiteout("03", m.xattrs(selinux, "system_u:object_r:root_t:s0\x00", "user.a", ""))
		m.whiteout("04", m.xattrs("user.other", "x"))
		m.inline("05", "", m.xattrs(selinux, "system_u:object_r:root_t:s0\x00"))
	}},
	{name: "whiteouts", rule: "a whiteout becomes a file with xattrs, and its directory gets some, once", make: func(m *maker) {
		m.whiteout("d/w1")
		m.whiteout("d/w2", m.xattrs("trusted.overlay.whiteout", "", "user.overlay.whiteout", ""))
		m.dir("e", m.xattrs("trusted.overlay.opaque", "x", "user.overlay.opaque", "x", "user.overlay.whiteouts", ""))
		m.whiteout("e/w", mtime(0, 0), mode(0o7777), owner(1<<31, 0))
		m.dir("f")
	}},
	{name: "whiteout-two-values", rule: "what a whiteout gets it gets besides what it has", strange: true, make: func(m *maker) {
		m.whiteout("d/w", m.xattrs("trusted.overlay.whiteout", "other", "user.overlay.whiteout", "other"))
		m.dir("e", m.xattrs("user.overlay.opaque", "y"))
		m.whiteout("e/w")
	}},
	{name: "whiteout-one-xattr-twice", rule: "an inode that has one xattr twice shares it with itself", make: func(m *maker) {
		m.whiteout("d/w", m.xattrs("trusted.overlay.whiteout", "", "user.overlay.whiteout", ""))
	}},
	{name: "whiteouts-everywhere", rule: "their xattrs are shared", make: func(m *maker) {
		for i := range 100 {
			m.whiteout(fmt.Sprintf("d%d/w%d", i%7, i), mtime(int64(i%5), 0))
		}
		m.whiteout("w")
	}},
	{name: "compact-limits", rule: "owners of 16 bits and sizes of 32 fit a compact inode", make: func(m *maker) {
		for i, o := range [][2]uint32{{65535, 65535}, {65536, 0}, {0, 65536}, {1<<32 - 1, 1<<32 - 1}} {
			m.inline(fmt.Sprintf("f%d", i), "x", owner(o[0], o[1]))
			m.dir(fmt.Sprintf("d%d", i), owner(o[0], o[1]))
			m.symlink(fmt.Sprintf("l%d", i), "t", owner(o[0], o[1]))
			m.special(fmt.Sprintf("p%d", i), tree.FIFO, 0, owner(o[0], o[1]))
		}
		m.external("small", 1<<32-1, 1)
		m.external("large", 1<<32, 2)
	}},
	{name: "times-equal", rule: "with one mtime everywhere all inodes are compact", make: func(m *maker) {
		m.root(mtime(7, 8))
		m.inline("f", "x", mtime(7, 8))
		m.dir("d", mtime(7, 8))
	}},
	{name: "times", rule: "the earliest mtime, to the nanosecond, is the image's", make: func(m *maker) {
		for i, at := range [][2]int64{{1, 1}, {1, 0}, {0, 999999999}, {0, 5}, {0, 6}, {1 << 40, 0}, {1<<63 - 1, 0}} {
			m.inline(fmt.Sprintf("f%d", i), "x", mtime(at[0], uint32(at[1])))
		}
	}},
	{name: "times-root-earliest", rule: "the stubs are as old as the root", make: func(m *maker) {
		m.root(mtime(0, 1))
		m.inline("f", "x", mtime(0, 2))
	}},
	{name: "modes", rule: "permission bits, setuid, setgid and sticky are kept", make: func(m *maker) {
		for i, bits := range []uint32{0, 0o777, 0o1777, 0o2755, 0o4755, 0o7777, 0o1, 0o600} {
			m.inline(fmt.Sprintf("f%d", i), "", mode(bits))
			m.dir(fmt.Sprintf("d%d", i), mode(bits))
			m.symlink(fmt.Sprintf("l%d", i), "t", mode(bits))
		}
		m.root(mode(0o1777))
	}},
	{name: "links-65535", rule: "65535 links fit a compact inode, one more does not", slow: true, make: func(m *maker) {
		fits, not := m.inline("fits", "x"), m.symlink("not", "t")
		for i := range 65535 {
			if i > 0 {
				m.put(fmt.Sprintf("a/%d", i), fits)
			}
			m.put(fmt.Sprintf("b/%d", i), not)
		}
	}},
	{name: "subdirs-65535", rule: "a directory of 65533 others fits a compact inode, one more does not", slow: true, make: func(m *maker) {
		for i := range 65534 {
			if i > 0 {
				m.dir(fmt.Sprintf("fits/%d", i))
			}
			m.dir(fmt.Sprintf("not/%d", i))
		}
	}},
}
