// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	reader "github.com/erofs/go-erofs"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// Layouts of inodes, as the reader tells them.
const (
	layoutPlain  = 0
	layoutInline = 2
)

// TestLargeInline: content that is longer than a dump can hold is in whole
// blocks, and behind the inode what remains, if that is no more than half a
// block. In V2 all is behind the inode, which is readable up to a block.
func TestLargeInline(t *testing.T) {
	for _, f := range formats {
		for _, tc := range []struct {
			length int
			layout uint8 // in V0 and V1
		}{
			{blockSize / 2, layoutInline},
			{blockSize/2 + 1, layoutPlain},
			{3000, layoutPlain},
			{blockSize, layoutPlain},
			{blockSize + 1, layoutInline},
			{blockSize + blockSize/2, layoutInline},
			{blockSize + blockSize/2 + 1, layoutPlain},
			{3 * blockSize, layoutPlain},
			{3*blockSize + 100, layoutInline},
		} {
			if f == erofs.V2 {
				if tc.length > 3000 {
					continue
				}
				tc.layout = layoutInline
			}
			m := newMaker()
			want := strings.Repeat("0123456789a", tc.length/11+1)[:tc.length]
			m.inline("f", want)
			m.inline("g", "another with blocks before its tail"+want)
			img := openImage(t, writeImage(t, check(t, m.t), f, fsverity.SHA256))
			info, err := fs.Stat(img, "f")
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Sys().(*reader.Stat).InodeLayout; got != tc.layout {
				t.Errorf("%s, %d bytes: layout %d, want %d", f, tc.length, got, tc.layout)
			}
			if got, err := fs.ReadFile(img, "f"); err != nil || string(got) != want {
				t.Errorf("%s, %d bytes come back as %d: %v", f, tc.length, len(got), err)
			}
		}
	}
}

// TestV2Sizes: inodes of V2 that cfsctl makes neither of layers nor of
// directories take as many slots of 32 bytes as its writer gives them. Each is
// made to fill its slots.
func TestV2Sizes(t *testing.T) {
	const header = 64 + 12 // of the inode and its xattrs, in bytes
	for _, tc := range []struct {
		rule  string
		make  func(m *maker)
		bytes int
	}{
		{"a sparse file has no chunk index", func(m *maker) {
			m.sparse("a", 1<<50)
		}, header + 4 + len("overlay.metacopy")},
		{"an unverified file has none either", func(m *maker) {
			m.unverified("a", 1<<50, 1, m.xattrs("user.a", "bcd"))
		}, header + 4 + len("overlay.metacopy") + 88 + 8},
		{"a verified file has one, however large it is", func(m *maker) {
			m.external("a", 1<<63, 1, m.xattrs("user.", strings.Repeat("v", 28)))
		}, header + 56 + 88 + 32 + 4},
		{"lustre is a prefix", func(m *maker) {
			m.inline("a", "", m.xattrs("lustre.sixteen-in-total", ""))
		}, header + 4 + len("sixteen-in-total")},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			m := newMaker()
			tc.make(m)
			m.inline("b", "")
			_, inodes := readImage(t, openImage(t, writeImage(t, check(t, m.t), erofs.V2, fsverity.SHA256)), false)
			if got, want := inodes["/b"]-inodes["/a"], int64(tc.bytes+31)/32; got != want {
				t.Errorf("%d slots, want %d", got, want)
			}
		})
	}
}

// TestTimes: V0 and V1 keep nanoseconds, V2 does not; a time before 1970 is
// kept as the 64 bits of its seconds.
func TestTimes(t *testing.T) {
	m := newMaker()
	for i, sec := range []int64{-1 << 63, -1, 0, 1<<63 - 1} {
		m.inline(fmt.Sprint("f", i), "", mtime(sec, 999999999))
	}
	c := check(t, m.t)
	for _, f := range formats {
		compareWithReader(t, c, f, fsverity.SHA256, true)
	}
}
