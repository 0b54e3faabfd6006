// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/scan"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

var algorithms = []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256}

// longAgo is a time that a change does not leave as it is, however coarse the
// clock of a file system.
var longAgo = time.Unix(1_000_000_000, 123_456_789)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// requireRoot skips the test for ordinary users, who cannot mount or make
// devices: that is nothing that CI could install.
func requireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	t.Skip("needs root")
}

// mount mounts for the length of the test.
func mount(t testing.TB, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	err := unix.Mount(source, target, kind, flags, data)
	if errors.Is(err, unix.EPERM) {
		t.Skip("not allowed to mount")
	}
	must(t, err)
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// write makes a file of size bytes, and the directories on its way.
func write(t testing.TB, path string, size int) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(strings.Repeat("x", size)), 0o644))
}

// age gives everything below dir the same time.
func age(t testing.TB, dir string) {
	t.Helper()
	at := unix.NsecToTimespec(longAgo.UnixNano())
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	}))
}

func read(t testing.TB, dir string, o scan.Options) *tree.Tree {
	t.Helper()
	tr, err := scan.Dir(t.Context(), dir, o)
	must(t, err)
	return tr
}

// dump returns the tree as text.
func dump(t testing.TB, tr *tree.Tree) string {
	t.Helper()
	c, err := tr.Check()
	must(t, err)
	var b strings.Builder
	must(t, dumpfile.Write(&b, c, c.Algorithms()[0]))
	return b.String()
}

// openFiles returns how many files the test has open.
func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

// wantError fails unless the error is of the rule, and names the path.
func wantError(t testing.TB, err, rule error, path string) {
	t.Helper()
	if !errors.Is(err, rule) {
		t.Fatalf("got %v, want %v", err, rule)
	}
	at, ok := errors.AsType[*scan.Error](err)
	if !ok || at.Path != path || !strings.Contains(err.Error(), fmt.Sprintf("%q", path)) {
		t.Errorf("%v does not name %q", err, path)
	}
}
