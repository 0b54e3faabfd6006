// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// fd is an open file, or one that is only pointed at (O_PATH).
type fd int

func (f fd) close() { _ = unix.Close(int(f)) } // nothing was written

// proc returns the path by which the kernel finds the file itself, even if it
// is a symlink: the system calls for xattrs take no O_PATH descriptor.
func (f fd) proc() string { return "/proc/self/fd/" + strconv.Itoa(int(f)) }

// at points at a name in the directory, without opening what it means.
func (f fd) at(name string) (fd, error) {
	return open(int(f), name, unix.O_PATH|unix.O_NOFOLLOW)
}

// reopen opens for reading what f points at.
func (f fd) reopen() (fd, error) { return open(unix.AT_FDCWD, f.proc(), unix.O_RDONLY) }

// list opens the directory that f points at.
func (f fd) list() (fd, error) { return open(int(f), ".", unix.O_RDONLY|unix.O_DIRECTORY) }

func open(dir int, name string, flags int) (fd, error) {
	var n int
	err := retry(func() (err error) {
		n, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		return err
	})
	return fd(n), explain(err)
}

// retry calls again what a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// explain says what the error means for who reads a directory.
func explain(err error) error {
	var meaning error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESTALE):
		meaning = ErrVanished
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		meaning = ErrPermission
	case errors.Is(err, unix.EMFILE):
		meaning = ErrTooDeep
	default:
		return err
	}
	return fmt.Errorf("%w (%w)", meaning, err)
}

// inode is what the kernel says of a file.
type inode struct {
	id    inodeID
	mode  uint32
	uid   uint32
	gid   uint32
	size  uint64
	rdev  uint64
	mtime unix.StatxTimestamp
	ctime unix.StatxTimestamp

	mount    uint64
	hasMount bool // the kernel tells mounts
}

// inodeID tells files apart on one machine.
type inodeID struct{ dev, ino uint64 }

func (f fd) stat() (inode, error) {
	var st unix.Statx_t
	err := retry(func() error {
		return unix.Statx(int(f), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st)
	})
	return inode{
		id:   inodeID{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino},
		mode: uint32(st.Mode),
		uid:  st.Uid, gid: st.Gid,
		size:  st.Size,
		rdev:  unix.Mkdev(st.Rdev_major, st.Rdev_minor),
		mtime: st.Mtime, ctime: st.Ctime,
		mount: st.Mnt_id, hasMount: st.Mask&unix.STATX_MNT_ID != 0,
	}, explain(err)
}

// unchanged fails unless f still is as it was.
func (f fd) unchanged(was *inode) error {
	is, err := f.stat()
	if err != nil {
		return err
	}
	if is != *was {
		return ErrChanged
	}
	return nil
}

// meta returns what the tree keeps of the inode, but for its xattrs.
func (i *inode) meta() tree.Meta {
	return tree.Meta{
		Mode: i.mode &^ tree.ModeTypeMask, UID: i.uid, GID: i.gid,
		MtimeSec: i.mtime.Sec, MtimeNsec: i.mtime.Nsec,
	}
}

// xattrMax is the most that a list of names and a value have, in bytes
// (XATTR_LIST_MAX, XATTR_SIZE_MAX: linux/include/uapi/linux/limits.h).
const xattrMax = 64 << 10

// xattrReader reads extended attributes.
type xattrReader struct {
	names, value [xattrMax]byte
}

// read returns all attributes that the kernel shows of f, sorted as it has
// them. A file system that knows none has none.
func (r *xattrReader) read(f fd) ([]tree.Xattr, error) {
	path := f.proc()
	n, err := unix.Listxattr(path, r.names[:])
	if n == 0 && err == nil || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("its extended attributes: %w", explain(err))
	}
	var xattrs []tree.Xattr
	for field := range bytes.SplitSeq(bytes.TrimSuffix(r.names[:n], []byte{0}), []byte{0}) {
		name := string(field)
		n, err := unix.Getxattr(path, name, r.value[:])
		if errors.Is(err, unix.ENODATA) {
			return nil, fmt.Errorf("its extended attribute %q: %w", name, ErrChanged)
		}
		if err != nil {
			return nil, fmt.Errorf("its extended attribute %q: %w", name, explain(err))
		}
		xattrs = append(xattrs, tree.Xattr{Name: name, Value: string(r.value[:n])})
	}
	return xattrs, nil
}

// target returns where the symlink that f points at leads.
func (f fd) target() ([]byte, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(f), "", buf)
	return buf[:max(n, 0)], explain(err)
}

// read reads into p until it is full or the file ends.
func (f fd) read(p []byte) (int, error) {
	got := 0
	for got < len(p) {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Read(int(f), p[got:])
			return err
		})
		if err != nil {
			return got, explain(err)
		}
		if n <= 0 {
			break
		}
		got += n
	}
	return got, nil
}
