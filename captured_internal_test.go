// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"testing"

	"github.com/cfs-label/cfs-label/boot"
	"github.com/cfs-label/cfs-label/composefs/selinux"
)

// TestCaptureOfPaths: which files' content is kept, and how much memory that is
// counted as.
func TestCaptureOfPaths(t *testing.T) {
	for _, c := range []struct {
		path  string
		size  uint64
		keeps int // 0: it is not captured
	}{
		{"etc/selinux/config", 100, 100},
		{"etc/selinux/config", selinux.MaxFile, selinux.MaxFile},
		{"etc/selinux/config", selinux.MaxFile + 1, 0},
		{"etc/selinux/config/x", 100, 0},
		{"usr/etc/selinux/config", 100, 0},
		{"etc/selinux/t/contexts/files/file_contexts", 100, 100},
		{"etc/selinux/a/b/contexts/files/file_contexts.subs_dist", 100, 100},
		{"etc/selinux/contexts/files/file_contexts.local", 100, 100},
		{"etc/selinux/xcontexts/files/file_contexts", 100, 0},
		{"etc/selinux/t/contexts/files/file_contexts.bin", 100, 0},
		{"etc/selinux/t/contexts/files/x/file_contexts", 100, 0},
		{"etc/selinux/file_contexts", 100, 0},
		{"etc/contexts/files/file_contexts", 100, 0},
		{"boot/loader/entries/a.conf", 100, 100},
		{"boot/loader/entries/a.conf", entryMax + 1, 0},
		{"boot/loader/entries/a.txt", 100, 0},
		{"boot/EFI/Linux/a.efi", 100, scannerKeeps},
		{"boot/EFI/Linux/a.efi", 1 << 40, scannerKeeps},
		{"boot/EFI/a.efi", 100, 0},
		{"usr/bin/true", 100, 0},
	} {
		o := Options{}
		w, keeps := o.capture([]byte(c.path), c.size)
		if (w != nil) != (c.keeps > 0) || keeps != c.keeps {
			t.Errorf("%s of %d bytes: %T keeps %d, want %d", c.path, c.size, w, keeps, c.keeps)
		}
		_, isScanner := w.(*boot.Scanner)
		if _, isUKI := boot.IsUKI(c.path); w != nil && isScanner != isUKI {
			t.Errorf("%s is captured by %T", c.path, w)
		}
	}
}
