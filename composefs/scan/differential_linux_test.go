// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
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
	"github.com/cfs-label/cfs-label/composefs/selinux"
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
	do    func(dir string, t *tree.Tree) error
}

var modes = []mode{
	{"as it is", []string{"--no-propagate-usr-to-root"}, func(string, *tree.Tree) error { return nil }},
	{"allowlist-only", nil, func(_ string, t *tree.Tree) error { return transform.OCI(t, transform.AllowlistOnly) }},
	{"keep-user-xattrs", []string{"--xattrs", "keep-user-xattrs"}, func(_ string, t *tree.Tree) error {
		return transform.OCI(t, transform.KeepUserXattrs)
	}},
	{"bootable as it is", []string{"--bootable", "--no-propagate-usr-to-root"}, boot},
	{"bootable", []string{"--bootable"}, func(dir string, t *tree.Tree) error {
		if err := transform.OCI(t, transform.AllowlistOnly); err != nil {
			return err
		}
		return boot(dir, t)
	}},
}

// boot does what hosts do before they boot the directory.
func boot(dir string, t *tree.Tree) error {
	var policy *selinux.Policy
	config, err := scan.File(dir, "etc/selinux/config", selinux.MaxFile)
	if name, ok, _ := selinux.Type(config); err == nil && ok {
		policy, err = selinux.Parse(func(file string) ([]byte, bool, error) {
			data, err := scan.File(dir, "etc/selinux/"+name+"/contexts/files/"+file, selinux.MaxFile)
			if errors.Is(err, os.ErrNotExist) {
				return nil, false, nil
			}
			return data, true, err
		})
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	return transform.Boot(t, policy)
}

// digests returns ours of the directory by format and algorithm, in that order.
func digests(t *testing.T, dir string, m mode) ([]string, error) {
	t.Helper()
	tr, err := scan.Dir(t.Context(), dir, scan.Options{Algorithms: algorithms})
	if err != nil {
		return nil, err
	}
	if err := m.do(dir, tr); err != nil {
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
				if filepath.Dir(path) != merged && !strings.Contains(path, "/selinux") { // without, there is no digest
					must(t, os.RemoveAll(path))
				}
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
