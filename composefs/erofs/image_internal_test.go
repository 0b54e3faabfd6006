// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"testing"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// TestTooLarge: an inode whose number needs more than 32 bits makes the image
// too large. A tree that is large enough does not fit into a test, so the
// inodes begin far behind.
func TestTooLarge(t *testing.T) {
	const first = 1 << 32 * disk.SlotSize // byte of the first slot without a number
	c, err := tree.New(fsverity.SHA256).Check()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Format{V0, V1, V2} {
		for _, tc := range []struct {
			at   uint64
			want bool
		}{{0, false}, {first - disk.BlockSize, false}, {first, true}} {
			im := newImage(c, Options{Format: f, Algorithm: fsverity.SHA256})
			im.order = im.order[:1] // the root, without the stubs behind it
			im.writeInodes(&output{pos: tc.at})
			if im.tooLarge != tc.want {
				t.Errorf("%s: inodes from %#x: too large = %t, want %t", f, tc.at, im.tooLarge, tc.want)
			}
		}
	}
}

// TestPassesAgree: the first pass counts what the second writes, part by part.
func TestPassesAgree(t *testing.T) {
	tr := tree.New(fsverity.SHA256)
	set := tr.Xattrs(tree.Xattr{Name: "user.a", Value: "v"})
	for _, name := range []string{"a", "b", "c"} {
		dir := tr.NewDirectory(tree.Meta{Xattrs: set})
		tr.Link(tree.Root, []byte(name), dir)
		tr.Link(dir, make([]byte, 3000), tr.NewSymlink(tree.Meta{Xattrs: set}, make([]byte, 4000)))
		tr.Link(dir, []byte(name), tr.NewInline(tree.Meta{MtimeSec: 1}, make([]byte, 5000)))
	}
	c, err := tr.Check()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Format{V0, V1, V2} {
		im := newImage(c, Options{Format: f, Algorithm: fsverity.SHA256})
		first, second := output{}, output{w: discard{}}
		for _, part := range []func(*output){im.writeHeader, im.writeInodes, im.writeSharedXattrs, im.writeBlocks} {
			part(&first)
		}
		im.end = first.pos
		ends := []uint64{disk.SuperblockOffset + disk.SuperblockSize, im.inodesEnd, im.dataStart, im.end}
		for i, part := range []func(*output){im.writeHeader, im.writeInodes, im.writeSharedXattrs, im.writeBlocks} {
			if part(&second); second.pos != ends[i] {
				t.Errorf("%s: part %d ends at %d, the first pass said %d", f, i, second.pos, ends[i])
			}
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
