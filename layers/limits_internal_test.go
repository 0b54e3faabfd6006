// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// layerOf makes a plain layer.
func layerOf(t *testing.T, headers ...tar.Header) Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
	return Layer{
		Digest: digest, DiffID: digest, Size: int64(b.Len()),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
	}
}

// flattenWithin flattens with other limits than the usual.
func flattenWithin(t *testing.T, l limits, list ...Layer) error {
	t.Helper()
	return flattenAllWithin(t, l, [][]Layer{list}, 1)
}

// flattenAllWithin does so for several images, and returns an error of the whole
// or of an image.
func flattenAllWithin(t *testing.T, l limits, images [][]Layer, jobs int) error {
	t.Helper()
	old := defaultLimits
	defaultLimits = l
	defer func() { defaultLimits = old }()
	o := Options{Algorithms: []fsverity.Algorithm{fsverity.SHA256}, Jobs: jobs}
	return FlattenAll(t.Context(), images, o, func(_ int, _ *Merged, err error) error { return err })
}

// TestLimits: entries, and bytes of names, targets, attributes and inline
// content, are counted over all layers; the last that may be is taken, and one
// more is ErrTooMany, in a layer.
func TestLimits(t *testing.T) {
	var files []tar.Header
	for i := range 300 {
		files = append(files, tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("%03d", i)})
	}
	long := strings.Repeat("n", 60)
	many := map[string]string{}
	for i := range 100 {
		many[fmt.Sprintf("SCHILY.xattr.%02d", i)] = ""
	}
	const lots = 1 << 40
	for _, c := range []struct {
		rule  string
		exact limits
		list  []Layer
	}{
		{"entries", limits{300, lots, lots}, []Layer{layerOf(t, files...)}},
		{"entries of several layers", limits{600, lots, lots}, []Layer{layerOf(t, files...), layerOf(t, files...)}},
		{"names", limits{lots, 900, lots}, []Layer{layerOf(t, files...)}},
		{"names of several layers", limits{lots, 1800, lots}, []Layer{layerOf(t, files...), layerOf(t, files...)}},
		{"targets", limits{lots, 61, lots}, []Layer{layerOf(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: long})}},
		{"inline content", limits{lots, 65, lots}, []Layer{layerOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 64})}},
		{"not other content", limits{lots, 1, lots}, []Layer{layerOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 100_000})}},
		{"attributes, though they be empty", limits{lots, 1 + 100*(2+xattrOverhead), lots}, []Layer{layerOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", PAXRecords: many})}},
		{"archives", limits{lots, lots, 2 * 1536}, []Layer{layerOf(t, files[0]), layerOf(t, files[1])}},
		{"archives that are there twice, once", limits{lots, lots, 1536}, []Layer{layerOf(t, files[0]), layerOf(t, files[0])}},
	} {
		if err := flattenWithin(t, c.exact, c.list...); err != nil {
			t.Errorf("%s: %v within the limits", c.rule, err)
		}
		less := c.exact
		switch {
		case less.entries < lots:
			less.entries--
		case less.text < lots:
			less.text--
		default:
			less.content--
		}
		err := flattenWithin(t, less, c.list...)
		var placed *Error
		if !errors.Is(err, ErrTooMany) || !errors.As(err, &placed) {
			t.Errorf("%s: error %v, want ErrTooMany in a layer", c.rule, err)
		}
	}
}

// TestDigestAlgorithms: digests of both registered algorithms are checked; one
// of another is an error that names it, and is not taken for damage.
func TestDigestAlgorithms(t *testing.T) {
	long := layerOf(t, tar.Header{Typeflag: tar.TypeDir, Name: "usr/"})
	body, err := long.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(data)
	long.Digest = v1.Hash{Algorithm: "sha512", Hex: hex.EncodeToString(sum[:])}
	long.DiffID = long.Digest
	if _, err := Flatten(t.Context(), []Layer{long}, Options{}); err != nil {
		t.Error(err)
	}
	wrong := long
	wrong.Digest.Hex = strings.Repeat("0", 128)
	if _, err := Flatten(t.Context(), []Layer{wrong}, Options{}); !errors.Is(err, ErrDigest) {
		t.Errorf("wrong digest: %v", err)
	}
	wrong = long
	wrong.DiffID.Hex = strings.Repeat("0", 128)
	if _, err := Flatten(t.Context(), []Layer{wrong}, Options{}); !errors.Is(err, ErrDiffID) {
		t.Errorf("wrong diff ID: %v", err)
	}
	for _, unknown := range []func(*Layer){
		func(l *Layer) { l.Digest.Algorithm = "md5" },
		func(l *Layer) { l.DiffID.Algorithm = "md5" },
	} {
		l := long
		unknown(&l)
		if _, err := Flatten(t.Context(), []Layer{l}, Options{}); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("unknown algorithm: %v", err)
		}
	}
}

// TestRdev: device numbers are put together as glibc's makedev does it.
func TestRdev(t *testing.T) {
	for _, c := range []struct {
		major, minor uint32
		want         uint64
	}{
		{0, 0, 0},
		{1, 3, 0x103},
		{8, 255, 0x8ff},
		{8, 256, 0x100800},
		{4095, 1<<20 - 1, 0xffffffff},
		{4096, 0, 0x1000_0000_0000},
		{1<<32 - 1, 1<<32 - 1, 1<<64 - 1},
	} {
		if got := rdev(c.major, c.minor); got != c.want {
			t.Errorf("rdev(%d, %d) = %#x, want %#x", c.major, c.minor, got, c.want)
		}
	}
}

// TestPathForms: empty names and dots do not count in a path, at the start,
// inside or at the end; two dots do.
func TestPathForms(t *testing.T) {
	for path, want := range map[string][2]string{ // names of the directory, then the name
		"a": {"", "a"}, "a/b": {"a", "b"}, "/a/b": {"a", "b"}, "./a/b": {"a", "b"}, "a//b": {"a", "b"},
		"a/./b": {"a", "b"}, "a/b/": {"a", "b"}, "a/b//": {"a", "b"}, "a/b/.": {"a", "b"}, "a/b/././/": {"a", "b"},
		".//./a/.//./b/./": {"a", "b"}, "": {"", ""}, "/": {"", ""}, ".": {"", ""}, "./": {"", ""}, "/./.": {"", ""},
		"..": {"", ".."}, "a/..": {"a", ".."}, "a/../": {"a", ".."}, "a/../.": {"a", ".."}, "../a": {"..", "a"},
		"a/b/c": {"a b", "c"}, "a/../c": {"a ..", "c"}, "...": {"", "..."}, ".a/b.": {".a", "b."},
	} {
		dir, name := splitPath([]byte(path))
		var names []string
		for rest := dir; ; {
			var n []byte
			if n, rest = nextName(rest); len(n) == 0 {
				break
			}
			names = append(names, string(n))
		}
		if got := [2]string{strings.Join(names, " "), string(name)}; got != want {
			t.Errorf("%q: directory and name are %q, want %q", path, got, want)
		}
	}
}

// TestLimitsCaptured: what is kept of a file's content counts as names do, also
// where a layer is read again for it.
func TestLimitsCaptured(t *testing.T) {
	file := layerOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "file", Size: 1000})
	link := layerOf(t, tar.Header{Typeflag: tar.TypeLink, Name: "wanted", Linkname: "file"})
	for name, c := range map[string]struct {
		layers []Layer
		wanted string
		names  int64 // bytes
	}{
		"at once": {[]Layer{file}, "file", 4},
		"again":   {[]Layer{file, link}, "wanted", 4 + 6 + 4},
	} {
		for _, room := range []int64{999, 1000} {
			old := defaultLimits
			defaultLimits.text = c.names + room
			o := Options{Capture: func(path []byte, size uint64) (io.Writer, int) {
				if string(path) != c.wanted {
					return nil, 0
				}
				return io.Discard, int(size)
			}}
			err := FlattenAll(t.Context(), [][]Layer{c.layers}, o, func(_ int, m *Merged, err error) error {
				if err != nil {
					return err
				}
				return m.ReadAgain(t.Context(), func(string) bool { return true })
			})
			defaultLimits = old
			if errors.Is(err, ErrTooMany) != (room < 1000) {
				t.Errorf("%s, with %d bytes of room: %v", name, room, err)
			}
		}
	}
}
