// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// TestDigestIsOfTheBytes: Digest is the fs-verity digest of what Write writes,
// which is whole blocks.
func TestDigestIsOfTheBytes(t *testing.T) {
	for seed := range uint64(10) {
		c := check(t, randomTree(seed))
		for _, f := range formats {
			image := writeImage(t, c, f, fsverity.SHA256)
			got, err := erofs.Digest(c, erofs.Options{Format: f, Algorithm: fsverity.SHA256})
			if err != nil {
				t.Fatal(err)
			}
			if want := fsverity.Sum(fsverity.SHA256, image); got != want {
				t.Errorf("tree %d, %s: digest %s, the image has %s", seed, f, got, want)
			}
			if len(image)%blockSize != 0 {
				t.Errorf("tree %d, %s: %d bytes are not whole blocks", seed, f, len(image))
			}
		}
	}
}

// TestSeveralAlgorithms: an image has the digests of one algorithm; that the
// tree has others, too, changes nothing.
func TestSeveralAlgorithms(t *testing.T) {
	build := func(algs ...fsverity.Algorithm) *tree.Checked {
		tr := tree.New(algs...)
		for i := range 50 {
			var sums []byte
			for _, alg := range algs {
				sums = append(sums, fsverity.Sum(alg, fmt.Append(nil, i%7)).Bytes()...)
			}
			tr.Link(tree.Root, fmt.Append(nil, i), tr.NewExternal(tree.Meta{Mode: 0o644}, 100, sums))
		}
		return check(t, tr)
	}
	for _, algs := range [][]fsverity.Algorithm{
		{fsverity.SHA256, fsverity.SHA512}, {fsverity.SHA512, fsverity.SHA256},
	} {
		several := build(algs...)
		for _, alg := range algs {
			for _, f := range formats {
				if !bytes.Equal(writeImage(t, several, f, alg), writeImage(t, build(alg), f, alg)) {
					t.Errorf("%s %s: the image of a tree with %s is another", f, alg, fsverity.Join(algs))
				}
			}
		}
	}
}

// TestTreeIsNotChanged: images of one tree may be made in any order, and at
// the same time.
func TestTreeIsNotChanged(t *testing.T) {
	c := check(t, randomTree(3))
	want := map[erofs.Format][]byte{}
	for _, f := range formats {
		want[f] = writeImage(t, c, f, fsverity.SHA256)
	}
	var wg sync.WaitGroup
	for _, f := range slices.Concat(formats, formats) {
		wg.Go(func() {
			var b bytes.Buffer
			err := erofs.Write(&b, c, erofs.Options{Format: f, Algorithm: fsverity.SHA256})
			if err != nil || !bytes.Equal(b.Bytes(), want[f]) {
				t.Errorf("%s: another image (%v)", f, err)
			}
		})
	}
	wg.Wait()
}

// TestLeftoversDoNotCount: what has no name any more, and in which order the
// names came, leaves no trace in the image.
func TestLeftoversDoNotCount(t *testing.T) {
	for _, s := range shapes() {
		if s.slow {
			continue
		}
		plain := newMaker()
		s.make(plain)

		messy := newMaker()
		messy.external("lost/object", 100, 1, messy.xattrs("user.a", "v", selinux, "lost", "system.posix_acl_access", ""))
		messy.inline("lost/early", "x", mtime(-1<<63, 0))
		messy.inline("00", "x")
		lost, _ := messy.t.Lookup(tree.Root, []byte("lost"))
		messy.put("again", lost)
		messy.t.Clear(tree.Root)
		s.make(messy)
		messy.symlink("gone", "x", messy.xattrs("trusted.b", "w"))
		messy.t.Unlink(tree.Root, []byte("gone"))

		p, m := check(t, plain.t), check(t, messy.t)
		for _, f := range formats {
			if !bytes.Equal(writeImage(t, p, f, fsverity.SHA256), writeImage(t, m, f, fsverity.SHA256)) {
				t.Errorf("%s %s: leftovers change the image", s.name, f)
			}
		}
	}
}

// limitedWriter takes n bytes, then fails with err, or writes short without an
// error if that is nil. It must not be asked again.
type limitedWriter struct {
	t      *testing.T
	n      int
	err    error
	failed bool
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.failed {
		w.t.Error("written to after it failed")
	}
	if len(p) <= w.n {
		w.n -= len(p)
		return len(p), nil
	}
	w.failed = true
	return w.n, w.err
}

// TestWriteReturnsTheWritersError: whenever the writer fails, its error comes
// back, and it is not written to again. A writer that writes short and does
// not say why, as none should, is an error as well.
func TestWriteReturnsTheWritersError(t *testing.T) {
	m := newMaker()
	for i := range 300 {
		m.dir(fmt.Sprint(i))
		m.fill(fmt.Sprint(i), 3000)
	}
	c := check(t, m.t)
	for _, f := range formats {
		size := len(writeImage(t, c, f, fsverity.SHA256))
		opts := erofs.Options{Format: f, Algorithm: fsverity.SHA256}
		for _, n := range []int{0, 1, 100, 1 << 16, 1<<16 + 1, size / 2, size - 1} {
			for _, tc := range []struct{ give, want error }{{iotest.ErrTimeout, iotest.ErrTimeout}, {nil, io.ErrShortWrite}} {
				if err := erofs.Write(&limitedWriter{t: t, n: n, err: tc.give}, c, opts); !errors.Is(err, tc.want) {
					t.Errorf("%s, writer fails after %d bytes: error %v, want %v", f, n, err, tc.want)
				}
			}
		}
		if err := erofs.Write(&limitedWriter{t: t, n: size}, c, opts); err != nil {
			t.Errorf("%s, writer with just enough room: %v", f, err)
		}
	}
}

// pieces notes the longest write.
type pieces struct{ n, longest int }

func (w *pieces) Write(p []byte) (int, error) {
	w.n += len(p)
	w.longest = max(w.longest, len(p))
	return len(p), nil
}

// TestImageIsAStream: an image is written in pieces, and never held.
func TestImageIsAStream(t *testing.T) {
	m := newMaker()
	for i := range 20000 {
		m.inline(fmt.Sprintf("d%d/%d", i>>8, i), strings.Repeat("x", 500))
	}
	c := check(t, m.t)
	for _, f := range formats {
		var w pieces
		if err := erofs.Write(&w, c, erofs.Options{Format: f, Algorithm: fsverity.SHA256}); err != nil {
			t.Fatal(err)
		}
		if w.n < 10<<20 || w.longest > 128<<10 {
			t.Errorf("%s: an image of %d bytes came in pieces of up to %d", f, w.n, w.longest)
		}
	}
}

// TestFormatNames: a format has the name that ParseFormat reads, and nothing
// else is one.
func TestFormatNames(t *testing.T) {
	for _, f := range formats {
		if got, err := erofs.ParseFormat(f.String()); err != nil || got != f {
			t.Errorf("ParseFormat(%q) = %v, %v", f, got, err)
		}
	}
	for _, name := range []string{"", "v3", "V1", "1", " v1", "Format(3)"} {
		if f, err := erofs.ParseFormat(name); err == nil || !strings.Contains(err.Error(), "v0, v1, v2") {
			t.Errorf("ParseFormat(%q) = %v, %v, want an error that names the formats", name, f, err)
		}
	}
	if got, want := erofs.Format(3).String(), "Format(3)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}
