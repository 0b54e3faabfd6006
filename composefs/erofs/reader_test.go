// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	reader "github.com/erofs/go-erofs"
	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// openImage opens the image with an independent reader. That one always reads
// a whole block for a shared xattr, also behind the end of the image, so zeros
// follow it here.
func openImage(t testing.TB, image []byte) fs.FS {
	t.Helper()
	padded := append(bytes.Clone(image), make([]byte, 2*blockSize)...)
	img, err := reader.Open(bytes.NewReader(padded))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// entry is what an image says of a path.
type entry struct {
	Mode     fs.FileMode
	Size     int64
	UID, GID uint32
	Mtime    [2]uint64 // seconds and nanoseconds
	Nlink    int
	Rdev     uint32
	Data     string // of inline files and symlinks
	Xattrs   map[string]string
}

// readImage returns what the reader finds at each path, and the inode number
// by path. If indexed, files whose content is not in the image must have their
// chunks where EROFS wants them.
func readImage(t testing.TB, img fs.FS, indexed bool) (map[string]entry, map[string]int64) {
	t.Helper()
	found, inodes := map[string]entry{}, map[string]int64{}
	var visit func(path string)
	visit = func(path string) {
		info, err := fs.Lstat(img, path)
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		st := info.Sys().(*reader.Stat)
		inodes[path] = st.Ino
		found[path] = entry{
			Mode: st.Mode, Size: st.Size, UID: st.UID, GID: st.GID, Mtime: [2]uint64{st.Mtime, uint64(st.MtimeNs)},
			Nlink: st.Nlink, Rdev: st.Rdev, Data: readData(t, img, path, st, indexed), Xattrs: st.Xattrs,
		}
		if !st.Mode.IsDir() {
			return
		}
		entries, err := fs.ReadDir(img, path)
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		for _, e := range entries {
			visit(path + "/" + e.Name())
			if got, want := e.Type(), found[path+"/"+e.Name()].Mode.Type(); got != want {
				t.Errorf("%q: directory entry of type %s, inode of type %s", path+"/"+e.Name(), got, want)
			}
		}
	}
	visit("")
	return found, inodes
}

// layoutChunks is the layout of files whose content is not in the image.
const layoutChunks = 4

// readData returns the target of a symlink, or the content of a file that the
// image itself holds. Of others it checks, if they are indexed, that they begin
// with zeros.
func readData(t testing.TB, img fs.FS, path string, st *reader.Stat, indexed bool) string {
	t.Helper()
	if st.Mode.Type() == fs.ModeSymlink {
		target, err := fs.ReadLink(img, path)
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		return target
	}
	if !st.Mode.IsRegular() || st.InodeLayout == layoutChunks && !indexed {
		return ""
	}
	f, err := img.Open(path)
	if err != nil {
		t.Fatalf("%q: %v", path, err)
	}
	defer func() { _ = f.Close() }() // of a file in memory
	data, err := io.ReadAll(io.LimitReader(f, 2*blockSize))
	if err != nil {
		t.Fatalf("%q: %v", path, err)
	}
	if st.InodeLayout != layoutChunks {
		return string(data)
	}
	if len(bytes.Trim(data, "\x00")) > 0 {
		t.Errorf("%q holds data", path)
	}
	return ""
}

// modeOf returns the mode as package fs has it.
func modeOf(kind tree.Kind, perm uint32) fs.FileMode {
	m := fs.FileMode(perm & 0o777)
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if perm&bit != 0 {
			m |= flag
		}
	}
	return m | map[tree.Kind]fs.FileMode{
		tree.Directory: fs.ModeDir, tree.Symlink: fs.ModeSymlink, tree.FIFO: fs.ModeNamedPipe, tree.Socket: fs.ModeSocket,
		tree.BlockDevice: fs.ModeDevice, tree.CharDevice: fs.ModeDevice | fs.ModeCharDevice,
	}[kind]
}

// expectation says what an image of the tree must hold.
type expectation struct {
	c   *tree.Checked
	f   erofs.Format
	alg fsverity.Algorithm

	entries map[string]entry
	inodes  map[string]tree.Ino
}

func expect(c *tree.Checked, f erofs.Format, alg fsverity.Algorithm) *expectation {
	x := &expectation{c: c, f: f, alg: alg, entries: map[string]entry{}, inodes: map[string]tree.Ino{"": tree.Root}}
	x.entries[""] = x.entry(tree.Root)
	for step := range c.Walk() {
		x.inodes[step.Path()] = step.Ino
		x.entries[step.Path()] = x.entry(step.Ino)
	}
	if f == erofs.V2 {
		return x
	}
	x.setXattr("", "trusted.overlay.opaque", "y")
	root := c.Meta(tree.Root)
	for i := range 256 {
		if path := fmt.Sprintf("/%02x", i); x.inodes[path] == 0 {
			x.entries[path] = entry{
				Mode: modeOf(tree.CharDevice, 0o644), UID: root.UID, GID: root.GID, Nlink: 1,
				Mtime: x.mtime(root), Xattrs: onlySELinux(x.entries[""].Xattrs),
			}
		}
	}
	for step := range c.Walk() {
		if c.Kind(step.Ino) == tree.CharDevice && c.Rdev(step.Ino) == 0 {
			path := step.Path()
			x.escapeWhiteout(path, path[:strings.LastIndexByte(path, '/')])
		}
	}
	return x
}

func onlySELinux(xattrs map[string]string) map[string]string {
	only := map[string]string{}
	if label, ok := xattrs[selinux]; ok {
		only[selinux] = label
	}
	return only
}

// escapeWhiteout makes of a whiteout what overlayfs presents as one again.
func (x *expectation) escapeWhiteout(path, dir string) {
	w, root := x.entries[path], x.entries[""]
	likeStub := len(path) == 3 && strings.Trim(path[1:], "0123456789abcdef") == "" &&
		w.Mode == modeOf(tree.CharDevice, 0o644) && w.UID == root.UID && w.GID == root.GID && w.Mtime == root.Mtime &&
		cmp.Equal(w.Xattrs, onlySELinux(root.Xattrs))
	if likeStub {
		return
	}
	w.Mode &^= fs.ModeType
	x.entries[path] = w
	x.setXattr(path, "trusted.overlay.overlay.whiteout", "")
	x.setXattr(path, "user.overlay.whiteout", "")
	x.setXattr(dir, "trusted.overlay.overlay.whiteouts", "")
	x.setXattr(dir, "user.overlay.whiteouts", "")
	if x.f == erofs.V1 {
		x.setXattr(dir, "trusted.overlay.overlay.opaque", "x")
		x.setXattr(dir, "user.overlay.opaque", "x")
	}
}

func (x *expectation) setXattr(path, name, value string) { x.entries[path].Xattrs[name] = value }

func (x *expectation) mtime(m tree.Meta) [2]uint64 {
	if x.f == erofs.V2 {
		return [2]uint64{uint64(m.MtimeSec), 0}
	}
	return [2]uint64{uint64(m.MtimeSec), uint64(m.MtimeNsec)}
}

func (x *expectation) entry(ino tree.Ino) entry {
	m, kind := x.c.Meta(ino), x.c.Kind(ino)
	e := entry{
		Mode: modeOf(kind, m.Mode), Size: int64(x.c.Size(ino)), UID: m.UID, GID: m.GID, Mtime: x.mtime(m),
		Nlink: int(x.c.Nlink(ino)), Rdev: uint32(x.c.Rdev(ino)), Data: string(x.c.Data(ino)), Xattrs: map[string]string{},
	}
	for _, a := range x.c.XattrList(m.Xattrs) {
		name := a.Name
		if rest, ok := strings.CutPrefix(name, "trusted.overlay."); ok {
			name = "trusted.overlay.overlay." + rest
		}
		e.Xattrs[readerName(name)] = a.Value
	}
	switch object, ok := x.c.Object(ino); {
	case ok:
		sum := x.c.Sum(object, x.alg)
		e.Xattrs["trusted.overlay.redirect"] = fmt.Sprintf("/%x/%x", sum[:1], sum[1:])
		e.Xattrs["trusted.overlay.metacopy"] = ""
		if x.c.Storage(ino) == tree.External {
			e.Xattrs["trusted.overlay.metacopy"] = string([]byte{0, byte(4 + len(sum)), 0, byte(x.alg)}) + string(sum)
		}
	case kind == tree.Regular && x.c.Storage(ino) == tree.Sparse:
		e.Xattrs["trusted.overlay.metacopy"] = ""
	case kind == tree.Directory:
		x.expectDirectory(&e, ino)
	}
	return e
}

// readerName returns the name that the reader gives an xattr: it appends a
// point to the names of ACLs, which the kernel does not have.
func readerName(name string) string {
	for _, acl := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
		if rest, ok := strings.CutPrefix(name, acl); ok {
			return acl + "." + rest
		}
	}
	return name
}

// expectDirectory counts subdirectories, and the bytes of the entries, block
// by block.
func (x *expectation) expectDirectory(e *entry, ino tree.Ino) {
	e.Nlink = 2
	names := []string{".", ".."}
	for name, child := range x.c.Entries(ino) {
		names = append(names, string(name))
		if x.c.Kind(child) == tree.Directory {
			e.Nlink++
		}
	}
	e.Size = directorySize(x.f, ino == tree.Root, names)
}
