// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// TestReadLimits: names, content in the image and xattrs count; what is just
// enough is enough.
func TestReadLimits(t *testing.T) {
	tr := tree.New(fsverity.SHA256)
	set := tr.Xattrs(tree.Xattr{Name: "user.x", Value: "value"})                               // 11, for each of two
	tr.Link(tree.Root, []byte("abc"), tr.NewInline(tree.Meta{Xattrs: set}, []byte("content"))) // 3 + 7
	tr.Link(tree.Root, []byte("s"), tr.NewSymlink(tree.Meta{Xattrs: set}, []byte("target")))   // 1 + 6
	tr.Link(tree.Root, []byte("big"), tr.NewExternal(tree.Meta{}, 100, make([]byte, 32)))      // 3
	const entries, text = 3, 42
	c, err := tr.Check()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(&b, c, Options{Format: V2, Algorithm: fsverity.SHA256}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		most amounts
		want error
	}{
		{amounts{entries, text}, nil},
		{amounts{entries - 1, text}, ErrLimit},
		{amounts{entries, text - 1}, ErrLimit},
	} {
		_, _, err := readWithin(tc.most, bytes.NewReader(b.Bytes()), int64(b.Len()))
		if !errors.Is(err, tc.want) {
			t.Errorf("limits %+v: error %v, want %v", tc.most, err, tc.want)
		}
	}
}
