// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// Options says how a directory is read. The zero value is useful.
type Options struct {
	// Algorithms are those of the files' digests. The default is SHA-512.
	Algorithms []fsverity.Algorithm
	// Jobs is how many files are hashed at once. The default, for 0 or less, is
	// GOMAXPROCS. The result does not depend on it.
	Jobs int
	// CrossMounts reads what is mounted below the directory as a part of it.
	// Without it a mount point there is an error.
	CrossMounts bool
	// Progress, if not nil, is called with the number of bytes that have just
	// been hashed, from several goroutines.
	Progress func(bytes int)
}

func (o *Options) fill() {
	if len(o.Algorithms) == 0 {
		o.Algorithms = []fsverity.Algorithm{fsverity.SHA512}
	}
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = func(int) {}
	}
}

// What can be wrong with a directory.
var (
	ErrPlatform   = errors.New("directories can be read on Linux only")
	ErrRoot       = errors.New("the root directory of the running system, which is never at rest; mount or bind what is to be read elsewhere, and name that")
	ErrMount      = errors.New("something is mounted here, so it is not what the tree below holds; unmount it, or ask for it to be read as a part of the tree (--cross-mounts)")
	ErrNoMountID  = errors.New("the kernel does not tell mounts apart (Linux before 5.8), so one could be read unnoticed; use a newer one, or allow mounts (--cross-mounts)")
	ErrNoProc     = errors.New("extended attributes are read by way of /proc, which is not there; mount it")
	ErrChanged    = errors.New("changed while it was read; stop what writes there, or read a snapshot")
	ErrVanished   = errors.New("vanished while the directory was read; stop what writes there, or read a snapshot")
	ErrInode      = errors.New("another file has the same device and inode number, with other metadata: it changed meanwhile, or the file system gives numbers twice; read a copy on another file system")
	ErrPermission = errors.New("no permission to read it; run as root")
	ErrKind       = errors.New("of a type that composefs does not know; remove it")
	ErrTooMany    = errors.New("more files or names than any real image has")
	ErrTooDeep    = errors.New("more nested directories than files may be open at once; raise the limit (ulimit -n)")
)

// Error says where in a directory something is wrong.
type Error struct {
	Path string // on disk: that of the directory, as it was given, and what is below it
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%q: %v", e.Path, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// amount is what is kept in memory.
type amount struct {
	entries int64
	text    int64 // bytes of names, link targets, xattrs and inline content
}

// defaultLimits are those that layers has, too: about ten times what the
// largest images have.
var defaultLimits = amount{entries: 16 << 20, text: 2 << 30}

// xattrOverhead is what an attribute takes up besides its name and value, in
// bytes: the headers of two strings.
const xattrOverhead = 32

// budget is what a run may use, and what it has used.
type budget struct{ most, used amount }

// take counts so many entries, and bytes of text.
func (b *budget) take(entries, text int) error {
	b.used.entries += int64(entries)
	b.used.text += int64(text)
	if b.used.entries > b.most.entries || b.used.text > b.most.text {
		return fmt.Errorf("%w: over %d entries, or %d bytes of names", ErrTooMany, b.most.entries, b.most.text)
	}
	return nil
}
