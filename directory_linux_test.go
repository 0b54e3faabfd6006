// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/scan"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/image"
)

// aRoot makes a root file system with the files and, for names with a slash at
// the end, directories. What begins with -> is the target of a symlink.
func aRoot(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"usr", "boot", "sysroot", "run"} {
		ok(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		ok(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target, isLink := strings.CutPrefix(content, "->"); isLink {
			ok(t, os.Symlink(target, path))
			continue
		}
		if strings.HasSuffix(name, "/") {
			ok(t, os.MkdirAll(path, 0o755))
			continue
		}
		ok(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// policyOf are the files of a small policy.
func policyOf(label string) map[string]string {
	return map[string]string{
		"etc/selinux/config":                         "SELINUXTYPE=p\n",
		"etc/selinux/p/contexts/files/file_contexts": "/.* " + label + strings.Repeat("\n# so that it is hashed, and not inline", 3) + "\n",
	}
}

// labels returns the SELinux labels of the directory's bootable tree by path.
func labels(t *testing.T, dir string, o cfslabel.DirectoryOptions) (map[string]string, error) {
	t.Helper()
	o.Bootable = true
	c, err := cfslabel.DirectoryTree(t.Context(), dir, o)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	add := func(path string, ino tree.Ino) {
		for _, x := range c.XattrList(c.Meta(ino).Xattrs) {
			if x.Name == transform.SELinuxXattr {
				all[path] = x.Value
			}
		}
	}
	add("/", tree.Root)
	for step := range c.Walk() {
		add(step.Path(), step.Ino)
	}
	return all, nil
}

// TestComputeDirectory: one reading gives what was asked for, in the order of
// roles, formats and algorithms, and each is the digest of the tree that
// DirectoryTree returns.
func TestComputeDirectory(t *testing.T) {
	files := policyOf("u:r:t:s0")
	files["usr/large"] = strings.Repeat("x", 1<<20)
	files["boot/vmlinuz"] = "a kernel"
	dir := aRoot(t, files)
	o := cfslabel.Options{
		Formats:    []erofs.Format{erofs.V2, erofs.V1},
		Algorithms: []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512},
		Bootable:   true,
	}
	var hashed atomic.Int64
	digests, err := cfslabel.ComputeDirectory(t.Context(), dir, cfslabel.DirectoryOptions{
		Options: o, Hashed: func(n int) { hashed.Add(int64(n)) },
	})
	ok(t, err)
	if len(digests) != 8 || hashed.Load() < 1<<20 {
		t.Fatalf("%d digests, of %d bytes", len(digests), hashed.Load())
	}
	i := 0
	for _, role := range []image.Role{image.RoleMerged, image.RoleMergedBootable} {
		for _, format := range o.Formats {
			for _, alg := range o.Algorithms {
				c, err := cfslabel.DirectoryTree(t.Context(), dir, cfslabel.DirectoryOptions{
					Options: cfslabel.Options{Algorithms: o.Algorithms, Bootable: role == image.RoleMergedBootable},
				})
				ok(t, err)
				sum, err := erofs.Digest(c, erofs.Options{Format: format, Algorithm: alg})
				ok(t, err)
				want := cfslabel.Digest{Role: role, Format: format, Digest: sum}
				if digests[i] != want {
					t.Errorf("%d: got %v, want %v", i, digests[i], want)
				}
				i++
			}
		}
	}
}

// TestDirectoryBootable: /boot and /sysroot are emptied, the directory's own
// policy labels the rest, and without one labels are stripped.
func TestDirectoryBootable(t *testing.T) {
	files := policyOf("u:r:t:s0")
	files["boot/vmlinuz"] = "a kernel"
	all, err := labels(t, aRoot(t, files), cfslabel.DirectoryOptions{})
	ok(t, err)
	if all["/"] != "u:r:t:s0" || all["/etc/selinux/config"] != "u:r:t:s0" || all["/boot/vmlinuz"] != "" || len(all) != 12 {
		t.Errorf("labels: %v", all)
	}
	all, err = labels(t, aRoot(t, nil), cfslabel.DirectoryOptions{})
	ok(t, err)
	if len(all) != 0 {
		t.Errorf("labels without a policy: %v", all)
	}
}

// TestDirectoryAsIs: NoPropagate leaves root, /run and xattrs as they are.
func TestDirectoryAsIs(t *testing.T) {
	dir := aRoot(t, map[string]string{"run/file": "x"})
	ok(t, os.Chmod(dir, 0o711))
	if err := unix.Setxattr(filepath.Join(dir, "usr"), "user.a", []byte("v"), 0); err != nil {
		t.Skip("no extended attributes here")
	}
	for asIs, want := range map[bool]bool{true: true, false: false} {
		c, err := cfslabel.DirectoryTree(t.Context(), dir, cfslabel.DirectoryOptions{NoPropagate: asIs})
		ok(t, err)
		var text strings.Builder
		ok(t, dumpfile.Write(&text, c, fsverity.SHA512))
		for _, part := range []string{"/ 0 40711", "/run/file", "user.a=v"} {
			if strings.Contains(text.String(), part) != want {
				t.Errorf("as it is %t: %q is there: %t", asIs, part, !want)
			}
		}
	}
}

// TestDirectoryWholeSeconds: times are cut towards the past.
func TestDirectoryWholeSeconds(t *testing.T) {
	dir := aRoot(t, map[string]string{"usr/file": "x"})
	for name, at := range map[string]time.Time{"usr/file": time.Unix(1000, 999_999_999), "boot": time.Unix(-1000, 999_999_999)} {
		ok(t, os.Chtimes(filepath.Join(dir, name), at, at))
	}
	for whole, want := range map[bool]int64{false: 999_999_999, true: 0} {
		c, err := cfslabel.DirectoryTree(t.Context(), dir, cfslabel.DirectoryOptions{WholeSeconds: whole})
		ok(t, err)
		usr, _ := c.Lookup(tree.Root, []byte("usr"))
		file, _ := c.Lookup(usr, []byte("file"))
		boot, _ := c.Lookup(tree.Root, []byte("boot"))
		for ino, sec := range map[tree.Ino]int64{file: 1000, boot: -1000} {
			if m := c.Meta(ino); m.MtimeSec != sec || int64(m.MtimeNsec) != want {
				t.Errorf("whole seconds %t: got %d.%d, want %d.%d", whole, m.MtimeSec, m.MtimeNsec, sec, want)
			}
		}
	}
}

// TestDirectoryFails: what hosts refuse is refused, with the directory's name.
func TestDirectoryFails(t *testing.T) {
	noUsr, noSysroot := t.TempDir(), aRoot(t, nil)
	ok(t, os.Remove(filepath.Join(noSysroot, "sysroot")))
	tests := []struct {
		dir      string
		bootable bool
		is       error
		says     string
	}{
		{noUsr, false, transform.ErrNoUsr, "/usr"},
		{noSysroot, true, nil, "/sysroot"},
		{"/", false, scan.ErrRoot, "mount or bind"},
		{filepath.Join(noUsr, "none"), false, os.ErrNotExist, "none"},
	}
	for _, tt := range tests {
		_, err := cfslabel.ComputeDirectory(t.Context(), tt.dir, cfslabel.DirectoryOptions{Options: cfslabel.Options{Bootable: tt.bootable}})
		if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), tt.dir) {
			t.Errorf("%s: got %v", tt.says, err)
		}
	}
	// Bootable is the only thing that asks for /sysroot.
	_, err := cfslabel.ComputeDirectory(t.Context(), noSysroot, cfslabel.DirectoryOptions{})
	ok(t, err)
}
