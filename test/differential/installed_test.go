// SPDX-License-Identifier: Apache-2.0

package differential_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/internal/oracle"
)

// TestInstalledPolicy: with the policy that is installed on this machine,
// cfsctl gives the labels that transform.Boot gives, for the names of this
// machine's files. It is skipped where there is no policy.
func TestInstalledPolicy(t *testing.T) {
	if _, err := os.Stat("/etc/selinux/config"); err != nil {
		t.Skip("no policy is installed here")
	}
	cfsctl := oracle.Require(t, "cfsctl")
	root := t.TempDir()
	for _, dir := range []string{"boot", "sysroot", "etc", "usr"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "cp", "-rL", "/etc/selinux", root+"/etc/").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n := 0
	for _, top := range []string{"/etc", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/local", "/usr/share", "/var/lib", "/var/log", "/opt", "/home", "/srv"} {
		n += likeness(t, root, top, 3000)
	}
	want, err := readDirectory(t, cfsctl, root, "--bootable")
	if err != nil {
		t.Fatal(err)
	}
	got, err := bootOurs(t, cfsctl, root)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("(-cfsctl +ours):\n%s", diff)
	}
	labels, err := labelsOf(want)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d labels of %d files are equal", len(labels), n)
	if len(labels) < n/2 {
		t.Error("most files have no label")
	}
}

// likeness makes what has the names and kinds of what is below top, up to a
// number of entries, and returns how many that is.
func likeness(t *testing.T, root, top string, most int) (n int) {
	t.Helper()
	_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || n >= most || strings.HasPrefix(path, "/etc/selinux") {
			return fs.SkipDir
		}
		n++
		to := filepath.Join(root, path)
		switch mode := entry.Type(); {
		case mode.IsDir():
			err = os.MkdirAll(to, 0o755)
		case mode.IsRegular():
			err = os.WriteFile(to, nil, 0o600)
		case mode == fs.ModeSymlink:
			err = os.Symlink("x", to)
		}
		if err != nil {
			t.Error(err)
		}
		return nil
	})
	return n
}
