// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// disk makes a random directory. An ordinary user cannot make all that root
// can.
type disk struct {
	t     *testing.T
	r     *rand.Rand
	dirs  []string
	links []string // what can have another name
	all   []string
	root  bool
}

func newDisk(t *testing.T, seed uint64, root bool) *disk {
	t.Helper()
	return &disk{t: t, r: rand.New(rand.NewPCG(seed, 3)), dirs: []string{t.TempDir()}, root: root}
}

func (d *disk) build() {
	for _, name := range []string{"usr", "run", "etc", "boot", "sysroot"} {
		if d.r.IntN(50) > 0 {
			d.directory(filepath.Join(d.dirs[0], name))
		}
	}
	d.policy()
	for range 2 << d.r.IntN(8) {
		d.add()
	}
	// From the inside out: a change in a directory changes its time.
	for _, path := range slices.Backward(append([]string{d.dirs[0]}, d.all...)) {
		d.metadata(path)
	}
}

// policy adds an SELinux policy to most directories: rules that overlap, and
// paths that stand for others.
func (d *disk) policy() {
	etc := filepath.Join(d.dirs[0], "etc")
	if _, err := os.Stat(etc); err != nil || d.r.IntN(5) == 0 {
		return
	}
	files := etc + "/selinux/p/contexts/files"
	for _, dir := range []string{"selinux", "selinux/p", "selinux/p/contexts", "selinux/p/contexts/files"} {
		d.directory(filepath.Join(etc, dir))
	}
	pick := func(list ...string) string { return list[d.r.IntN(len(list))] }
	add := func(path string, lines int, line func() string) {
		text := "# generated\n"
		for range lines {
			text += line() + "\n"
		}
		must(d.t, os.WriteFile(path, []byte(text), 0o644))
		d.all = append(d.all, path)
		d.links = append(d.links, path)
	}
	rule := func() string {
		pattern := pick("/", "/usr", "/etc", "/run", "/boot", "") + pick("", "/.*", "(/.*)?", "/[a-m][^/]*", "/.*n+.*", "/(?!x).*", "/x.*[0-9]")
		return pick(pattern, "/"+d.name()[:1]+".*") + " " + pick("", "", "-d ", "-- ", "-l ", "-c ", "-p ", "-s ") +
			pick("<<none>>", "u:r:a_t:s0", "u:r:b_t:s0", "u:r:c_t:s0")
	}
	add(etc+"/selinux/config", 1, func() string { return "SELINUXTYPE=p" })
	add(filepath.Join(files, "file_contexts"), d.r.IntN(20), rule)
	if d.r.IntN(2) == 0 {
		add(filepath.Join(files, "file_contexts.local"), d.r.IntN(5), rule)
	}
	if d.r.IntN(2) == 0 {
		add(filepath.Join(files, "file_contexts.subs"), d.r.IntN(3), func() string { return pick("/usr", "/etc", "/run") + " " + pick("/usr", "/x") })
	}
}

func (d *disk) name() string {
	switch d.r.IntN(6) {
	case 0:
		return fmt.Sprintf("%02x", d.r.IntN(256)) // of an object's directory
	case 1:
		odd := "\x01\xff\x80 \n\t\"\\=-.é"
		b := []byte("x")
		for range d.r.IntN(20) {
			b = append(b, odd[d.r.IntN(len(odd))])
		}
		return string(b)
	}
	return fmt.Sprintf("%c%s%d", 'a'+d.r.IntN(26), strings.Repeat("n", d.r.IntN(8)*d.r.IntN(30)), d.r.IntN(1000))
}

func (d *disk) add() {
	path := filepath.Join(d.dirs[d.r.IntN(len(d.dirs))], d.name())
	if _, err := os.Lstat(path); err == nil || len(path) > 3000 {
		return
	}
	switch n := d.r.IntN(20); {
	case n < 4:
		d.directory(path)
		return
	case n < 7:
		must(d.t, os.Symlink(strings.Repeat("/t\xff", 1+d.r.IntN(2+d.r.IntN(1300))), path))
	case n == 7:
		must(d.t, unix.Mkfifo(path, 0o644))
	case n == 8:
		must(d.t, unix.Mknod(path, unix.S_IFSOCK|0o600, 0))
	case n < 11 && len(d.links) > 0:
		must(d.t, os.Link(d.links[d.r.IntN(len(d.links))], path))
		return
	case n == 11 && d.root:
		kind := []uint32{unix.S_IFCHR, unix.S_IFBLK}[d.r.IntN(2)]
		must(d.t, unix.Mknod(path, kind|0o600, int(unix.Mkdev(1+d.r.Uint32N(4095), d.r.Uint32N(1<<20)))))
	case n == 12 && d.root:
		must(d.t, unix.Mknod(path, unix.S_IFCHR, 0)) // a whiteout
		d.all = append(d.all, path)
		return
	default:
		d.file(path, n)
	}
	d.all = append(d.all, path)
	d.links = append(d.links, path)
}

func (d *disk) directory(path string) {
	must(d.t, os.Mkdir(path, 0o755))
	d.dirs = append(d.dirs, path)
	d.all = append(d.all, path)
}

func (d *disk) file(path string, kind int) {
	size := d.r.IntN(68)
	switch {
	case kind > 18:
		size = d.r.IntN(1 << 20)
	case kind > 15:
		size = d.r.IntN(10000)
	}
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(d.r.IntN(256))
	}
	must(d.t, os.WriteFile(path, content, 0o640))
}

// metadata gives the file owner, mode, xattrs and time, in an order in which
// none undoes another.
func (d *disk) metadata(path string) {
	var st unix.Stat_t
	must(d.t, unix.Lstat(path, &st))
	if d.root && d.r.IntN(3) == 0 {
		must(d.t, os.Lchown(path, []int{0, 1000, 65536, 1<<32 - 2}[d.r.IntN(4)], d.r.IntN(1<<17)))
	}
	link := st.Mode&unix.S_IFMT == unix.S_IFLNK
	if !link && d.r.IntN(2) == 0 {
		must(d.t, unix.Chmod(path, d.mode()))
	}
	d.xattrs(path, st.Mode&unix.S_IFMT)
	if d.r.IntN(4) > 0 {
		sec := []int64{0, 1, -1, -1 << 30, 1 << 31, 1 << 33, int64(d.r.IntN(1 << 31))}[d.r.IntN(7)]
		at := unix.Timespec{Sec: sec, Nsec: []int64{0, 0, 1, 999_999_999, int64(d.r.IntN(1e9))}[d.r.IntN(5)]}
		must(d.t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

func (d *disk) mode() uint32 {
	if !d.root {
		return 0o700 | d.r.Uint32N(0o100) // so that it can be read
	}
	return d.r.Uint32N(0o10000)
}

// A POSIX ACL and a capability in the kernel's own form
// (linux/include/uapi/linux/posix_acl_xattr.h, capability.h): the kernel takes
// no other.
const (
	acl = "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xe8\x03\x00\x00" +
		"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x06\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
	capability = "\x01\x00\x00\x02" + "\x00\x04\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00"
)

// xattrs gives the file some, of those that its kind can have, where the file
// system has them.
func (d *disk) xattrs(path string, kind uint32) {
	if d.r.IntN(3) > 0 {
		return
	}
	plain := kind == unix.S_IFREG || kind == unix.S_IFDIR
	for range 1 + d.r.IntN(4) {
		name, value := "user.", strings.Repeat("v\x00", d.r.IntN(3)*d.r.IntN(100))
		if d.root {
			name = []string{"user.", "trusted.", "trusted.overlay.", "trusted.overlay.overlay.", "security."}[d.r.IntN(5)]
		}
		name += []string{"a", "b", "selinux", "opaque", "whiteout", "metacopy", "long" + strings.Repeat("x", 200)}[d.r.IntN(7)]
		switch n := d.r.IntN(8); {
		case n == 0 && plain && d.root:
			name, value = "system.posix_acl_access", acl
		case n == 1 && kind == unix.S_IFREG && d.root:
			name, value = "security.capability", capability
		case strings.HasPrefix(name, "user.") && !plain:
			continue
		}
		err := unix.Lsetxattr(path, name, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.ENOSPC) {
			d.t.Fatalf("%s: %v", name, err)
		}
	}
}
