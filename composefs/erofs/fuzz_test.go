// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"bytes"
	"io/fs"
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
