// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/scan"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// TestKinds: every kind of file comes as it is on disk, with its metadata; a
// file of 64 bytes is the longest that is kept inline; names of one inode stay
// names of one inode, and names outside of the directory do not count.
func TestKinds(t *testing.T) {
	requireRoot(t)
	top := t.TempDir()
	dir := filepath.Join(top, "root")
	in := func(name string) string { return filepath.Join(dir, name) }
	write(t, in("a/inline"), tree.InlineMax)
	write(t, in("a/external"), tree.InlineMax+1)
	write(t, in("empty"), 0)
	must(t, os.Link(in("a/external"), in("second")))
	must(t, os.Link(in("empty"), filepath.Join(top, "outside")))
	must(t, os.Symlink("a/inline", in("link")))
	must(t, os.Link(in("link"), in("link2")))
	must(t, unix.Mknod(in("block"), unix.S_IFBLK|0o600, int(unix.Mkdev(8, 300))))
	must(t, unix.Mknod(in("char"), unix.S_IFCHR|0o644, int(unix.Mkdev(1, 3))))
	must(t, unix.Mknod(in("whiteout"), unix.S_IFCHR, 0))
	must(t, unix.Mkfifo(in("fifo"), 0o640))
	must(t, unix.Mknod(in("socket"), unix.S_IFSOCK|0o700, 0))
	must(t, os.Chmod(in("a"), os.ModeSticky|0o777))
	must(t, os.Chmod(in("empty"), os.ModeSetuid|0o755))
	must(t, os.Lchown(in("link"), 1000, 4_294_967_294))
	must(t, unix.Lsetxattr(in("link"), "trusted.t", []byte("of the link"), 0))
	must(t, unix.Setxattr(in("a"), "user.b", []byte{0, 1}, 0))
	must(t, unix.Setxattr(in("a"), "security.a", nil, 0))
	must(t, unix.Setxattr(in("fifo"), "trusted.t", []byte("v"), 0))
	must(t, os.Chmod(dir, 0o751))
	age(t, dir)

	sum := fsverity.Sum(fsverity.SHA512, []byte(strings.Repeat("x", 65))).String()
	object := sum[:2] + "/" + sum[2:]
	x64 := strings.Repeat("x", 64)
	const time = "1000000000.123456789"
	want := []string{
		`/ 0 40751 3 0 0 0 ` + time + ` - - -`,
		`/a 0 41777 2 0 0 0 ` + time + ` - - - security.a= user.b=\x00\x01`,
		`/a/external 65 100644 2 0 0 0 ` + time + ` ` + object + ` - ` + sum,
		`/a/inline 64 100644 1 0 0 0 ` + time + ` - ` + x64 + ` -`,
		`/block 0 60600 1 0 0 1050668 ` + time + ` - - -`,
		`/char 0 20644 1 0 0 259 ` + time + ` - - -`,
		`/empty 0 104755 1 0 0 0 ` + time + ` - - -`,
		`/fifo 0 10640 1 0 0 0 ` + time + ` - - - trusted.t=v`,
		`/link 8 120777 2 1000 4294967294 0 ` + time + ` a/inline - - trusted.t=of\x20the\x20link`,
		`/link2 0 @120000 - - - - 0.0 /link - -`,
		`/second 0 @120000 - - - - 0.0 /a/external - -`,
		`/socket 0 140700 1 0 0 0 ` + time + ` - - -`,
		`/whiteout 0 20000 1 0 0 0 ` + time + ` - - -`,
		``,
	}
	for _, jobs := range []int{0, 1, 3} {
		got := strings.Split(dump(t, read(t, dir, scan.Options{Jobs: jobs})), "\n")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d jobs (-want +got):\n%s", jobs, diff)
		}
	}
}

// TestDigests: each file has the digests of its own content, under every
// algorithm, however many are hashed at once.
func TestDigests(t *testing.T) {
	dir := t.TempDir()
	const files = 300
	for i := range files {
		write(t, filepath.Join(dir, fmt.Sprint(i)), 65+i*i*13)
	}
	var mu sync.Mutex
	total, hashed := 0, 0
	tr := read(t, dir, scan.Options{Algorithms: algorithms, Jobs: 4, Progress: func(n int) {
		mu.Lock()
		defer mu.Unlock()
		hashed += n
	}})
	for i := range files {
		size := 65 + i*i*13
		total += size
		ino, ok := tr.Lookup(tree.Root, fmt.Append(nil, i))
		object, external := tr.Object(ino)
		if !ok || !external || tr.Size(ino) != uint64(size) {
			t.Fatalf("%d: found %t, external %t, of %d bytes, want %d", i, ok, external, tr.Size(ino), size)
		}
		for _, alg := range algorithms {
			want := fsverity.Sum(alg, []byte(strings.Repeat("x", size)))
			if got, err := fsverity.NewDigest(alg, tr.Sum(object, alg)); err != nil || got != want {
				t.Errorf("%d bytes: %s, want %s (%v)", size, got, want, err)
			}
		}
	}
	if hashed != total {
		t.Errorf("progress of %d bytes, want %d", hashed, total)
	}
}

// TestMounts: a mount point below the directory is an error that names it,
// though it be of the same file system, or of a file alone; what is mounted on
// the directory itself is what was asked for; CrossMounts reads through.
func TestMounts(t *testing.T) {
	requireRoot(t)
	tests := []struct {
		name  string
		point string // the mount point, below the directory
		mount func(t *testing.T, other, point string)
		reads string // what is there with CrossMounts
	}{
		{"another file system", "a/dir", func(t *testing.T, _, point string) {
			t.Helper()
			mount(t, "none", point, "tmpfs", 0, "")
			write(t, filepath.Join(point, "in-tmpfs"), 1)
		}, "/a/dir/in-tmpfs 1 "},
		{"the same file system", "a/dir", func(t *testing.T, other, point string) {
			t.Helper()
			mount(t, other, point, "", unix.MS_BIND, "")
		}, "/a/dir/in-other 100 "},
		{"a file", "a/file", func(t *testing.T, other, point string) {
			t.Helper()
			mount(t, filepath.Join(other, "in-other"), point, "", unix.MS_BIND, "")
		}, "/a/file 100 "},
		{"on the directory itself", "", func(t *testing.T, other, point string) {
			t.Helper()
			mount(t, other, point, "", unix.MS_BIND, "")
		}, "/in-other 100 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			top := t.TempDir()
			dir, other := filepath.Join(top, "root"), filepath.Join(top, "other")
			must(t, os.MkdirAll(dir+"/a/dir", 0o755))
			write(t, dir+"/a/file", 3)
			write(t, filepath.Join(other, "in-other"), 100)
			point := filepath.Join(dir, tt.point)
			tt.mount(t, other, point)

			_, err := scan.Dir(t.Context(), dir, scan.Options{})
			if tt.point == "" {
				must(t, err)
			} else {
				wantError(t, err, scan.ErrMount, point)
			}
			if got := dump(t, read(t, dir, scan.Options{CrossMounts: true})); !strings.Contains("\n"+got, "\n"+tt.reads) {
				t.Errorf("no %q in\n%s", tt.reads, got)
			}
		})
	}
}

// TestSystemRoot: the root directory is refused for what it is, not for its
// name; bound somewhere else it is read.
func TestSystemRoot(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink("/", link))
	for _, path := range []string{"/", "//", "/.", "/proc/self/root", "/usr/..", link} {
		_, err := scan.Dir(t.Context(), path, scan.Options{})
		wantError(t, err, scan.ErrRoot, path)
	}
	t.Run("bound", func(t *testing.T) {
		requireRoot(t)
		dir := t.TempDir()
		mount(t, "/", dir, "", unix.MS_BIND, "")
		canceled, cancel := context.WithCancel(t.Context())
		cancel() // it is large
		if _, err := scan.Dir(canceled, dir, scan.Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it begins", err)
		}
	})
}

// TestNotADirectory: what cannot be read at all is named as it was given.
func TestNotADirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), 1)
	for path, rule := range map[string]error{
		filepath.Join(dir, "none"): os.ErrNotExist,
		filepath.Join(dir, "file"): unix.ENOTDIR,
		"":                         os.ErrNotExist,
	} {
		_, err := scan.Dir(t.Context(), path, scan.Options{})
		wantError(t, err, rule, path)
	}
}

// busy makes a directory in which the walk cannot get past big files before
// the first of them is being hashed, when there is one job: what sorts behind
// "m" is read later than the first call of Progress.
func busy(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 8 {
		write(t, filepath.Join(dir, "d", fmt.Sprintf("m%d", i)), 1<<20)
	}
	write(t, dir+"/d/a-small", 5)
	must(t, os.Link(dir+"/d/a-small", dir+"/d/z-small"))
	write(t, dir+"/d/z-large", 1000)
	must(t, os.Mkdir(dir+"/d/z-dir", 0o755))
	age(t, dir)
	return dir
}

// TestChanges: whatever happens to a file or directory under the walk is an
// error that names it, and leaves no file open.
func TestChanges(t *testing.T) {
	tests := []struct {
		name   string
		change func(dir string) error
		path   string
		want   error
	}{
		{"a file grows", func(dir string) error {
			return os.Truncate(filepath.Join(dir, "m0"), 1<<20+1)
		}, "d/m0", scan.ErrChanged},
		{"a file shrinks", func(dir string) error {
			return os.Truncate(filepath.Join(dir, "m0"), 1<<19)
		}, "d/m0", scan.ErrChanged},
		{"a file is written to", func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, "m0"), os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("y")
			return err
		}, "d/m0", scan.ErrChanged},
		{"a file's mode", func(dir string) error {
			return os.Chmod(filepath.Join(dir, "m0"), 0o600)
		}, "d/m0", scan.ErrChanged},
		{"a file comes", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "new"), nil, 0o600)
		}, "d", scan.ErrChanged},
		{"a file that was read goes", func(dir string) error {
			return os.Remove(filepath.Join(dir, "a-small"))
		}, "d", scan.ErrChanged},
		{"a file that was not read goes", func(dir string) error {
			return os.Remove(filepath.Join(dir, "z-large"))
		}, "d/z-large", scan.ErrVanished},
		{"a directory goes", func(dir string) error {
			return os.Remove(filepath.Join(dir, "z-dir"))
		}, "d/z-dir", scan.ErrVanished},
		{"one name of two", func(dir string) error {
			return os.Chmod(filepath.Join(dir, "a-small"), 0o600)
		}, "d/z-small", scan.ErrInode},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := busy(t)
			before := openFiles(t)
			var once sync.Once
			var changeErr error
			_, err := scan.Dir(t.Context(), dir, scan.Options{Jobs: 1, Progress: func(int) {
				once.Do(func() { changeErr = tt.change(filepath.Join(dir, "d")) })
			}})
			must(t, changeErr)
			wantError(t, err, tt.want, filepath.Join(dir, tt.path))
			if after := openFiles(t); after != before {
				t.Errorf("%d files open, before it were %d", after, before)
			}
		})
	}
}

// TestCanceled: the caller's own reason comes back, and no file stays open.
func TestCanceled(t *testing.T) {
	dir := busy(t)
	before := openFiles(t)
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := scan.Dir(ctx, dir, scan.Options{Jobs: 1, Progress: func(int) { cancel(reason) }})
	if !errors.Is(err, reason) {
		t.Errorf("got %v, want %v", err, reason)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files open, before it were %d", after, before)
	}
}

// TestPermission: what an ordinary user must not read is named, with the way
// out.
func TestPermission(t *testing.T) {
	tests := []struct{ name, path string }{
		{"a small file", "small"},
		{"a large file", "large"},
		{"a directory that cannot be listed", "d"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Chmod(dir, 0o755))
			must(t, os.Chmod(filepath.Dir(dir), 0o755))
			path := filepath.Join(dir, tt.path)
			switch tt.path {
			case "d":
				must(t, os.Mkdir(path, 0o111))
			case "small":
				write(t, path, 10)
			default:
				write(t, path, 1000)
			}
			must(t, os.Chmod(path, 0o111))
			_, err := asUser(t, func() (*tree.Tree, error) { return scan.Dir(t.Context(), dir, scan.Options{}) })
			wantError(t, err, scan.ErrPermission, path)
			if !strings.Contains(err.Error(), "run as root") {
				t.Errorf("%v names no way out", err)
			}
		})
	}
}

// asUser calls read as an ordinary user, on all threads.
func asUser[T any](t *testing.T, read func() (T, error)) (T, error) {
	t.Helper()
	const nobody = 65534
	if os.Geteuid() == 0 {
		must(t, syscall.Seteuid(nobody))
		defer func() { must(t, syscall.Seteuid(0)) }()
	}
	return read()
}

// TestTooDeep: a directory holds one file open for each level; when there are
// no more to be had, that is said.
func TestTooDeep(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, strings.Repeat("d/", 200))
	must(t, os.MkdirAll(deep, 0o755))
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(openFiles(t) + 50), Max: old.Max}))
	_, err := scan.Dir(t.Context(), dir, scan.Options{})
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	if !errors.Is(err, scan.ErrTooDeep) || !strings.Contains(err.Error(), "ulimit") {
		t.Errorf("got %v, want %v", err, scan.ErrTooDeep)
	}
	if got := strings.Count(dump(t, read(t, dir, scan.Options{})), "\n"); got != 201 {
		t.Errorf("%d entries, want 201", got)
	}
}
