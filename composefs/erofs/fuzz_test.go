// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// FuzzWrite holds the writer to these laws, for every dump that is one: it does
// not panic, it writes whole blocks, and an independent reader finds the names
// of the root in them. In images without the features that this reader lacks,
// it finds everything.
func FuzzWrite(f *testing.F) {
	for _, v := range vectors(f) {
		if len(v.dump) < 4<<10 {
			f.Add([]byte(v.dump), true)
		}
	}
	for _, s := range shapes() {
		m := newMaker()
		if s.slow {
			continue
		}
		s.make(m)
		if dump := writeDump(f, check(f, m.t), fsverity.SHA256); len(dump) < 4<<10 {
			f.Add([]byte(dump), false)
		}
	}
	for seed := range uint64(20) {
		if dump := writeDump(f, check(f, randomTree(seed)), fsverity.SHA256); len(dump) < 8<<10 {
			f.Add([]byte(dump), false)
		}
	}
	f.Fuzz(func(t *testing.T, dump []byte, long bool) {
		alg := fsverity.SHA256
		if long {
			alg = fsverity.SHA512
		}
		tr, err := dumpfile.Read(bytes.NewReader(dump), alg)
		if err != nil {
			return
		}
		c, err := tr.Check()
		if err != nil {
			return
		}
		sane, plain := features(c)
		for _, f := range formats {
			if image := writeImage(t, c, f, alg); len(image)%blockSize != 0 {
				t.Fatalf("%s: %d bytes are not whole blocks", f, len(image))
			} else if sane {
				listRoot(t, c, f, image)
			}
			if plain {
				compareWithReader(t, c, f, alg, false)
			}
		}
	})
}

// features says whether the image of a tree is sane, one that a kernel could
// read, and whether it is also plain: without what only overlayfs tells apart,
// and what the independent reader cannot read.
func features(c *tree.Checked) (sane, plain bool) {
	const (
		saneXattrs  = 1 << 15 // bytes of an inode's; the format has room for 256 KiB
		plainXattrs = 1 << 11 // bytes of an inode's: the reader wants each within a block
		plainTarget = 3 << 10 // bytes: longer ones may cross a block in V2
		entrySize   = 32      // bytes, more than an xattr takes besides name and value
	)
	sane, plain = true, true
	inspect := func(ino tree.Ino) {
		size := 0
		for _, x := range c.XattrList(c.Meta(ino).Xattrs) {
			size += entrySize + len(x.Name) + len(x.Value)
			plain = plain && !strings.Contains(x.Name, "overlay.")
		}
		sane = sane && size < saneXattrs
		plain = plain && size < plainXattrs && len(c.Data(ino)) < plainTarget
	}
	inspect(tree.Root)
	for step := range c.Walk() {
		inspect(step.Ino)
		plain = plain && step.Depth() < 64
	}
	return sane, plain
}

// listRoot fails unless the reader finds in the root the names of the tree and
// of the stubs.
func listRoot(t *testing.T, c *tree.Checked, f erofs.Format, image []byte) {
	t.Helper()
	entries, err := fs.ReadDir(openImage(t, image), "")
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	want := map[string]bool{}
	for name := range c.Entries(tree.Root) {
		want[string(name)] = true
	}
	if f != erofs.V2 {
		for i := range 256 {
			want[string("0123456789abcdef"[i>>4])+string("0123456789abcdef"[i&15])] = true
		}
	}
	got := map[string]bool{}
	for _, e := range entries {
		got[e.Name()] = true
	}
	if diff := cmp.Diff(want, got); diff != "" || len(entries) != len(got) {
		t.Fatalf("%s: the root has %d entries (-tree +image):\n%s", f, len(entries), diff)
	}
}

// FuzzRead holds the reader to these laws, whatever it is given: it does not
// panic, and what it reads without an error is a tree whose image reads as the
// same tree. The input is not an image, which would be long, but which of some
// images to change, and how: each four bytes put two at an offset.
func FuzzRead(f *testing.F) {
	images := fuzzImages(f)
	for i := range images {
		f.Add(uint8(i), []byte{})
		for _, at := range []uint16{superblock + 0x0e, 1152 + atMode, 1152 + atSize, 1152 + 64 + 8, 2048} {
			f.Add(uint8(i), binary.LittleEndian.AppendUint32(nil, uint32(at)<<16|0o100644))
		}
	}
	f.Add(uint8(1), []byte("00\x10\x05")) // an escaped whiteout with a block that it does not use
	f.Fuzz(func(t *testing.T, base uint8, edits []byte) {
		image := slices.Clone(images[int(base)%len(images)])
		for ; len(edits) >= 4; edits = edits[4:] {
			copy(image[int(binary.LittleEndian.Uint16(edits[2:]))%len(image):], edits[:2])
		}
		tr, format, err := erofs.Read(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			return
		}
		c, err := tr.Check()
		if err != nil {
			return
		}
		alg := c.Algorithms()[0]
		again, f2 := readBack(t, writeImage(t, c, format, alg))
		if diff := cmp.Diff(writeDump(t, c, alg), writeDump(t, again, alg)); diff != "" || f2 != format {
			t.Fatalf("%s, then %s (-first +second):\n%s", format, f2, diff)
		}
	})
}

// fuzzImages are small images that together have all there is.
func fuzzImages(f *testing.F) [][]byte {
	f.Helper()
	var images [][]byte
	for _, format := range formats {
		images = append(images, writeImage(f, check(f, sample()), format, fsverity.SHA256))
		m := newMaker()
		m.root(mtime(1, 5), m.xattrs(selinux, "label"))
		m.whiteout("dir/w", mtime(2, 0), m.xattrs("trusted.overlay.whiteout", ""))
		m.whiteout("00", mtime(2, 0))
		m.sparse("large", 1<<50)
		m.symlink("long", strings.Repeat("x", 4050), m.xattrs("lustre.a", "1", "system.posix_acl_access", "2"))
		m.fill("many", 200)
		images = append(images, writeImage(f, check(f, m.t), format, fsverity.SHA256))
	}
	return images
}
