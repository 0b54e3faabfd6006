// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers/internal/tarscan"
)

// fileOf adds a file with that content to the tree, in its own directory entry.
func fileOf(t *tree.Tree, content string) tree.Ino {
	var sums []byte
	for _, alg := range t.Algorithms() {
		sums = append(sums, fsverity.Sum(alg, []byte(content)).Bytes()...)
	}
	return t.NewExternal(tree.Meta{}, uint64(len(content)), sums)
}

// offer hands the seeker a file, and returns which paths it may have been.
func offer(t *testing.T, s *seeker, content string) (paths []string) {
	t.Helper()
	if err := s.Entry(&tarscan.Entry{Type: tarscan.TypeRegular, Path: []byte("x"), Size: uint64(len(content))}); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.candidates {
		paths = append(paths, c.path)
	}
	s.Data([]byte(content))
	if err := s.EndEntry(); err != nil {
		t.Fatal(err)
	}
	return paths
}

var bufferType = reflect.TypeFor[*bytes.Buffer]()

// TestSeeker: a file is taken by size and all its digests, for each file once;
// and so many may have one size.
func TestSeeker(t *testing.T) {
	tr := tree.New(fsverity.SHA512, fsverity.SHA256)
	one, two := strings.Repeat("1", 100), strings.Repeat("2", 100)
	for name, c := range map[string]struct {
		keeps int
		files []string
		want  [][]string // for one and two in turn: what it may have been
	}{
		"both":       {7, []string{one, two}, [][]string{{"a", "b"}, {"b"}}},
		"another":    {1, []string{one, strings.Repeat("3", 100)}, [][]string{{"a", "b"}, {"b"}}},
		"other size": {1, []string{one, two + "2"}, [][]string{{"a"}, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &seeker{tree: tr, wanted: map[uint64][]wantedLink{}, found: captures{}}
			s.capture = func([]byte, uint64) (io.Writer, int) { return &bytes.Buffer{}, c.keeps }
			for i, content := range c.files {
				s.want(wantedLink{file: fileOf(tr, content), path: string(rune('a' + i)), kind: bufferType})
			}
			found := 0
			for i, content := range []string{one, two} {
				got := offer(t, s, content)
				if !slices.Equal(got, c.want[i]) {
					t.Errorf("file %d may be %v, want %v", i, got, c.want[i])
				}
				if slices.Contains(c.files, content) && len(got) > 0 {
					found++
				}
			}
			if len(s.found) != found || s.kept.text != int64(found*c.keeps) {
				t.Errorf("found %d that keep %d, want %d", len(s.found), s.kept.text, found)
			}
			for _, list := range s.found {
				if b, _ := list[0].(*bytes.Buffer); len(list) != 1 || b.String() != one && b.String() != two {
					t.Errorf("found %q", list)
				}
			}
		})
	}
	s := &seeker{tree: tr, wanted: map[uint64][]wantedLink{}}
	for range againSizeMax + 1 {
		s.want(wantedLink{file: fileOf(tr, one)})
	}
	if got := len(s.wanted[100]); got != againSizeMax {
		t.Errorf("%d of one size are wanted", got)
	}
}

// TestSeekerDigests: a file that has one digest of several in common with a wanted
// one is not it.
func TestSeekerDigests(t *testing.T) {
	tr := tree.New(fsverity.SHA512, fsverity.SHA256)
	content := strings.Repeat("1", 100)
	right := fsverity.Sum(fsverity.SHA512, []byte(content)).Bytes()
	file := tr.NewExternal(tree.Meta{}, 100, append(slices.Clone(right), make([]byte, fsverity.SHA256.Size())...))
	s := &seeker{tree: tr, wanted: map[uint64][]wantedLink{}, found: captures{}}
	s.capture = func([]byte, uint64) (io.Writer, int) { return &bytes.Buffer{}, 1 }
	s.want(wantedLink{file: file, path: "a", kind: bufferType})
	offer(t, s, content)
	if len(s.found) > 0 {
		t.Error("it was taken")
	}
}

// TestLinksMax: links beyond so many are not even asked for.
func TestLinksMax(t *testing.T) {
	asked := 0
	m := &merger{tree: tree.New(fsverity.SHA256), links: make([]wantedLink, linksMax-1)}
	m.capture = func([]byte, uint64) (io.Writer, int) { asked++; return io.Discard, 0 }
	file := fileOf(m.tree, strings.Repeat("1", 100))
	for range 3 {
		m.captureLink(tree.Root, []byte("x"), file, []byte("x"))
	}
	if asked != 1 || len(m.links) != linksMax {
		t.Errorf("asked %d times, %d links", asked, len(m.links))
	}
}

// TestAgainMax: of too many links the first are read again for.
func TestAgainMax(t *testing.T) {
	entries := []tar.Header{{Typeflag: tar.TypeReg, Name: "a", Size: 100}}
	for range againMax {
		entries = append(entries, tar.Header{Typeflag: tar.TypeLink, Name: "wanted", Linkname: "a"})
	}
	entries = append(entries, tar.Header{Typeflag: tar.TypeReg, Name: "b", Size: 101}, tar.Header{Typeflag: tar.TypeLink, Name: "more", Linkname: "b"})
	o := Options{Capture: func(path []byte, _ uint64) (io.Writer, int) {
		if len(path) > 1 {
			return io.Discard, 0
		}
		return nil, 0
	}}
	m, err := Flatten(t.Context(), []Layer{layerOf(t, entries...)}, o)
	if err != nil {
		t.Fatal(err)
	}
	has := func(name string) bool {
		ino, _ := m.Tree.Lookup(tree.Root, []byte(name))
		return len(m.captured[ino]) > 0
	}
	for _, step := range []struct {
		choose func(string) bool
		more   bool // whether what is behind the others was read, too
	}{
		{func(string) bool { return true }, false},
		{func(path string) bool { return path == "more" }, true},
	} {
		if err := m.ReadAgain(t.Context(), step.choose); err != nil {
			t.Fatal(err)
		}
		if !has("a") || has("b") != step.more {
			t.Errorf("a: %t, b: %t, want it: %t", has("a"), has("b"), step.more)
		}
	}
}

// TestMadeParents: directories that are made for what has no parents count as
// entries do, and there are no more than can be in one another.
func TestMadeParents(t *testing.T) {
	deep := func(levels int) Layer {
		return layerOf(t, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("d/", levels) + "f"})
	}
	ignore := func(int, string, error) {}
	for entries, want := range map[int64]error{101: nil, 100: ErrTooMany} {
		old := defaultLimits
		defaultLimits.entries = entries
		_, err := Flatten(t.Context(), []Layer{deep(100)}, Options{Notice: ignore})
		defaultLimits = old
		if !errors.Is(err, want) {
			t.Errorf("100 directories for one file, %d entries are allowed: %v", entries, err)
		}
	}
	m, err := Flatten(t.Context(), []Layer{deep(2 * tree.DepthMax)}, Options{Notice: ignore})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Tree.Inodes(); got != tree.DepthMax+1 {
		t.Errorf("%d inodes, want %d", got, tree.DepthMax+1)
	}
}

// TestAgainCounts: what is kept for an image counts until the image is done,
// whether it was read at once or again; and a layer that is read again counts as
// one more, and Progress is told of its bytes once.
func TestAgainCounts(t *testing.T) {
	const lots = 1 << 40
	file := func(name string) Layer { return layerOf(t, tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 1000}) }
	link := layerOf(t, tar.Header{Typeflag: tar.TypeLink, Name: "wanted1", Linkname: "file"})
	var images [][]Layer
	read := int64(0) // bytes
	for i := range 10 {
		again := file("file")
		images = append(images, []Layer{file(fmt.Sprintf("wanted%d", 2+i))}, []Layer{again, link})
		read += again.Size
	}
	once := int64(0)
	for _, l := range Distinct(images) {
		once += l.Size
	}
	read += once
	for _, less := range []int64{0, 1} {
		old := defaultLimits
		defaultLimits = limits{lots, 4000, read - less} // room for the names of three images
		var told atomic.Int64
		o := Options{Jobs: 1, Progress: func(_, n int) { told.Add(int64(n)) }, Capture: func(path []byte, size uint64) (io.Writer, int) {
			if strings.HasPrefix(string(path), "wanted") {
				return io.Discard, int(size)
			}
			return nil, 0
		}}
		err := FlattenAll(t.Context(), images, o, func(_ int, m *Merged, err error) error {
			if err != nil {
				return err
			}
			return m.ReadAgain(t.Context(), func(string) bool { return true })
		})
		defaultLimits = old
		if errors.Is(err, ErrTooMany) != (less > 0) || less == 0 && (err != nil || told.Load() != once) {
			t.Errorf("%d less: %v, told of %d bytes of %d", less, err, told.Load(), once)
		}
	}
}
