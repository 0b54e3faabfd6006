// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLimits: entries and all text that is kept count, equal sets of xattrs
// once; what is just enough is enough.
func TestLimits(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []error{
		os.WriteFile(filepath.Join(dir, "abc"), []byte("content"), 0o600),      // 3 + 7
		os.Symlink("target", filepath.Join(dir, "s")),                          // 1 + 6
		os.WriteFile(filepath.Join(dir, "big"), make([]byte, 1000), 0o600),     // 3
		unix.Setxattr(filepath.Join(dir, "big"), "user.x", []byte("value"), 0), // 32 + 6 + 5
		unix.Setxattr(filepath.Join(dir, "abc"), "user.x", []byte("value"), 0), // the same
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	const entries, text = 3, 63
	tests := []struct {
		limits amount
		ok     bool
	}{
		{amount{entries, text}, true},
		{amount{entries - 1, text}, false},
		{amount{entries, text - 1}, false},
	}
	for _, tt := range tests {
		_, err := dirWithin(t.Context(), tt.limits, dir, Options{})
		if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrTooMany) {
			t.Errorf("%+v: %v", tt.limits, err)
		}
	}
}

// TestExplain: what an error of the kernel means is said, and the error stays.
func TestExplain(t *testing.T) {
	for err, want := range map[unix.Errno]error{
		unix.ENOENT: ErrVanished, unix.ESTALE: ErrVanished,
		unix.EACCES: ErrPermission, unix.EPERM: ErrPermission,
		unix.EMFILE: ErrTooDeep,
	} {
		got := explain(err)
		if !errors.Is(got, want) || !errors.Is(got, err) || !strings.Contains(got.Error(), err.Error()) {
			t.Errorf("%v is explained as %v", err, got)
		}
	}
	if got := explain(unix.EIO); !errors.Is(got, unix.EIO) {
		t.Errorf("EIO is explained as %v", got)
	}
}
