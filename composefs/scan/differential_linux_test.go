// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/scan"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

// go test . -run TestDirectories -args -directories 200 -seed 1000.
var (
	directoriesFlag = flag.Int("directories", 40, "how many random directories to compare")
	seedFlag        = flag.Uint64("seed", 0, "seed of the first directory; the others count up from it")
)

// mode is what is made of a directory before its digest is computed.
type mode struct {
	name  string
	flags []string // of cfsctl
	do    func(t *tree.Tree) error
}

var modes = []mode{
	{"as it is", []string{"--no-propagate-usr-to-root"}, func(*tree.Tree) error { return nil }},
	{"allowlist-only", nil, func(t *tree.Tree) error { return transform.OCI(t, transform.AllowlistOnly) }},
	{"keep-user-xattrs", []string{"--xattrs", "keep-user-xattrs"}, func(t *tree.Tree) error {
		return transform.OCI(t, transform.KeepUserXattrs)
	}},
}

// digests returns ours of the directory by format and algorithm, in that order.
func digests(t *testing.T, dir string, m mode) ([]string, error) {
	t.Helper()
	tr, err := scan.Dir(t.Context(), dir, scan.Options{Algorithms: algorithms})
	if err != nil {
		return nil, err
	}
	if err := m.do(tr); err != nil {
		return nil, err
	}
	c, err := tr.Check()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, f := range []erofs.Format{erofs.V0, erofs.V1, erofs.V2} {
		for _, alg := range algorithms {
			d, err := erofs.Digest(c, erofs.Options{Format: f, Algorithm: alg})
			must(t, err)
			all = append(all, fmt.Sprintf("%s %s %s", f, alg, d))
		}
	}
	return all, nil
}

// reference returns what cfsctl computes, in the same form.
func reference(t *testing.T, cfsctl, dir string, m mode) ([]string, error) {
	t.Helper()
	var all []string
	for _, f := range []string{"0", "1", "2"} {
		for _, alg := range algorithms {
			args := append([]string{"--no-repo", "--hash", alg.String(), "--erofs-version", f, "compute-id"}, m.flags...)
			cmd := exec.CommandContext(t.Context(), cfsctl, append(args, dir)...)
			cmd.Env = append(os.Environ(), "RUST_BACKTRACE=0")
			out, err := cmd.Output()
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
			}
			must(t, err)
			all = append(all, fmt.Sprintf("v%s %s %s", f, alg, bytes.TrimSpace(out)))
		}
	}
	return all, nil
}

// compare fails unless both give the same digests, or both refuse. It returns
// whether there are digests.
func compare(t *testing.T, cfsctl, dir string, m mode) bool {
	t.Helper()
	want, wantErr := reference(t, cfsctl, dir, m)
	got, err := digests(t, dir, m)
	switch {
	case (err == nil) != (wantErr == nil):
		t.Errorf("%s: ours: %v; cfsctl: %v", m.name, err, wantErr)
	case !slices.Equal(got, want):
		t.Errorf("%s: (-cfsctl +ours)\n%s\n%s", m.name, cmp.Diff(want, got), dumps(t, cfsctl, dir))
	}
	return wantErr == nil
}

// dumps returns how cfsctl's dump of a directory differs from ours.
func dumps(t *testing.T, cfsctl, dir string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), cfsctl, "--no-repo", "--hash", algorithms[0].String(),
		"create-dumpfile", "--no-propagate-usr-to-root", dir).Output()
	must(t, err)
	ours := dump(t, read(t, dir, scan.Options{Algorithms: algorithms}))
	return cmp.Diff(strings.Split(string(out), "\n"), strings.Split(ours, "\n"))
}

// TestDirectories: cfsctl computes the same digests of random directories, in
// all formats, with both algorithms, in all modes; and both refuse the same.
func TestDirectories(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	directories := *directoriesFlag
	if testing.Short() {
		directories = min(directories, 12)
	}
	if os.Geteuid() != 0 {
		t.Log("not root: without devices, owners, and xattrs of the system")
	}
	valid := make([]bool, directories)
	t.Run("all", func(t *testing.T) {
		for i := range directories {
			seed := *seedFlag + uint64(i)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				d := newDisk(t, seed, os.Geteuid() == 0)
				d.build()
				valid[i] = true
				for _, m := range modes {
					valid[i] = compare(t, cfsctl, d.dirs[0], m) && valid[i]
				}
			})
		}
	})
	n := 0
	for _, ok := range valid {
		if ok {
			n++
		}
	}
	t.Logf("cfsctl accepts %d of %d directories in all modes", n, directories)
	if n < directories*3/4 {
		t.Error("that are too few to test the digests")
	}
}

// TestRefused: what cfsctl refuses to compute a digest of, we refuse, too.
func TestRefused(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	tests := []struct {
		name string
		make func(dir string) error
		mode mode
		want error
	}{
		{"no /usr", func(string) error { return nil }, modes[1], transform.ErrNoUsr},
		{"/usr is a file", func(dir string) error { return os.WriteFile(dir+"/usr", nil, 0o600) }, modes[1], transform.ErrNoUsr},
		{"/usr is a symlink", func(dir string) error { return os.Symlink(".", dir+"/usr") }, modes[2], transform.ErrNoUsr},
		{"/run is a symlink", func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/usr", 0o755), os.Symlink("usr", dir+"/run"))
		}, modes[1], transform.ErrRunNotDir},
		{"a whiteout with two names", func(dir string) error {
			return errors.Join(unix.Mknod(dir+"/w", unix.S_IFCHR, 0), os.Link(dir+"/w", dir+"/w2"))
		}, modes[0], tree.ErrWhiteout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, tt.make(dir))
			if compare(t, cfsctl, dir, tt.mode) {
				t.Error("cfsctl accepts it: this is no fault")
			}
			if _, err := digests(t, dir, tt.mode); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestOverlay: the same on overlayfs, by which builders show a stage to the
// next: files of both layers, copied up, with hard links that this broke.
func TestOverlay(t *testing.T) {
	requireRoot(t)
	cfsctl := oracle.Require(t, "cfsctl")
	for seed := range uint64(4) {
		d := newDisk(t, seed, false) // without overlayfs' own xattrs, which mean something here
		d.build()
		top := t.TempDir()
		for _, name := range []string{"upper", "work", "merged"} {
			must(t, os.Mkdir(filepath.Join(top, name), 0o755))
		}
		merged := filepath.Join(top, "merged")
		mount(t, "overlay", merged, "overlay", 0,
			fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", d.dirs[0], top, top))
		for i, path := range d.all {
			path = merged + strings.TrimPrefix(path, d.dirs[0])
			if _, err := os.Lstat(path); err != nil {
				continue // its directory was removed
			}
			switch i % 5 {
			case 0:
				must(t, os.Lchown(path, 7, 7))
			case 1:
				must(t, os.RemoveAll(path))
			}
		}
		write(t, merged+"/usr/new", 1000)
		for _, m := range modes {
			if !compare(t, cfsctl, merged, m) {
				t.Errorf("%d: no digest", seed)
			}
		}
	}
}

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
	for _, name := range []string{"usr", "run", "etc"} {
		if d.r.IntN(30) > 0 {
			d.directory(filepath.Join(d.dirs[0], name))
		}
	}
	for range 2 << d.r.IntN(8) {
		d.add()
	}
	// From the inside out: a change in a directory changes its time.
	for _, path := range slices.Backward(append([]string{d.dirs[0]}, d.all...)) {
		d.metadata(path)
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
