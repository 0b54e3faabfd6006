// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers"
)

// wantedIn captures the files below a directory.
func wantedIn(dir string) layers.Capture {
	return func(path []byte, size uint64) (io.Writer, int) {
		if strings.HasPrefix(string(path), dir) {
			return &bytes.Buffer{}, int(size)
		}
		return nil, 0
	}
}

func all(string) bool { return true }

// file is content of 100 bytes that begins with a name.
func file(name string) string { return name + strings.Repeat(".", 100-len(name)) }

// contents returns what was captured of the files of a tree, by path; "-" stands
// for nothing.
func contents(t *testing.T, m *layers.Merged) map[string]string {
	t.Helper()
	c, err := m.Tree.Check()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for step := range c.Walk() {
		if c.Kind(step.Ino) != tree.Regular {
			continue
		}
		got[step.Path()] = "-"
		if w, ok := layers.CapturedAs[*bytes.Buffer](m, step.Ino); ok {
			got[step.Path()] = strings.TrimRight(w.String(), ".")
		}
	}
	return got
}

// captureRules have each rule of capturing: layers, what is captured below etc/
// of their files, and which layers are read again.
var captureRules = []struct {
	rule   string
	layers [][]string
	want   map[string]string
	again  []int
}{
	{
		"a path is cleaned",
		[][]string{{"dir etc", "file ./etc//a \"" + file("1") + "\"", "file /etc/./b \"" + file("2") + "\"", "file c \"" + file("3") + "\""}},
		map[string]string{"/etc/a": "1", "/etc/b": "2", "/c": "-"},
		nil,
	},
	{"an inline file is in the tree", [][]string{{"dir etc", `file etc/a "x"`}}, map[string]string{"/etc/a": "-"}, nil},
	{
		"the file that is there in the end counts",
		[][]string{{"dir etc", "file etc/a \"" + file("1") + "\"", "file etc/b \"" + file("2") + "\""}, {"file etc/a \"" + file("3") + "\"", "file etc/.wh.b"}},
		map[string]string{"/etc/a": "3"},
		nil,
	},
	{
		"a link to what is captured has its content",
		[][]string{{"dir etc", "file etc/a \"" + file("1") + "\""}, {"link b to=etc/a", "link etc/c to=b"}},
		map[string]string{"/etc/a": "1", "/b": "1", "/etc/c": "1"},
		nil,
	},
	{
		"a link to what is not makes that layer be read again, once",
		[][]string{{"dir etc"}, {"dir x", "file x/1 \"" + file("1") + "\"", "file x/2 \"" + file("2") + "\"", "file x/3 \"" + file("3") + "\""}, {"link etc/a to=x/2", "link etc/b to=x/3", "link etc/c to=x/2"}},
		map[string]string{"/x/1": "-", "/x/2": "2", "/x/3": "3", "/etc/a": "2", "/etc/b": "3", "/etc/c": "2"},
		[]int{1},
	},
	{
		"a link's path is cleaned",
		[][]string{{"dir etc", "file x \"" + file("1") + "\"", "link ./etc//a to=x"}},
		map[string]string{"/x": "1", "/etc/a": "1"},
		[]int{0},
	},
	{
		"links in the layer itself, and two layers",
		[][]string{{"dir etc", "file x \"" + file("1") + "\"", "link etc/a to=x"}, {"file y \"" + file("2") + "\"", "link etc/b to=y"}},
		map[string]string{"/x": "1", "/etc/a": "1", "/y": "2", "/etc/b": "2"},
		[]int{0, 1},
	},
	{
		"a link by way of a link",
		[][]string{{"dir etc", "file x \"" + file("1") + "\""}, {"link y to=x"}, {"link etc/a to=y"}},
		map[string]string{"/x": "1", "/y": "1", "/etc/a": "1"},
		[]int{0},
	},
	{
		"a link that is gone, or replaced, is not looked for",
		[][]string{{"dir etc", "file x \"" + file("1") + "\"", "link etc/a to=x", "link etc/b to=x"}, {"file etc/.wh.a", "file etc/b \"" + file("2") + "\""}},
		map[string]string{"/x": "-", "/etc/b": "2"},
		nil,
	},
	{
		"a link to an inline file or a device needs nothing",
		[][]string{{"dir etc", `file x "x"`, "char y rdev=1:2", "symlink z to=x", "link etc/a to=x", "link etc/b to=y", "link etc/c to=z"}},
		map[string]string{"/x": "-", "/etc/a": "-"},
		nil,
	},
}

// TestCapture: the rules of capturing.
func TestCapture(t *testing.T) {
	for _, c := range captureRules {
		t.Run(c.rule, func(t *testing.T) {
			list, opened := captureLayers(t, c.layers)
			m, err := layers.Flatten(t.Context(), list, layers.Options{Capture: wantedIn("etc/")})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.ReadAgain(t.Context(), all); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, contents(t, m)); diff != "" {
				t.Error(diff)
			}
			if !slices.Equal(m.Again, c.again) {
				t.Errorf("layers %v were read again, want %v", m.Again, c.again)
			}
			for i, n := range opened.count {
				want := 1
				if slices.Contains(c.again, i) {
					want = 2
				}
				if n != want {
					t.Errorf("layer %d was opened %d times, want %d", i, n, want)
				}
			}
		})
	}
}

// captureLayers makes layers of which it is counted how often they are opened.
func captureLayers(t *testing.T, archives [][]string) ([]layers.Layer, *opens) {
	t.Helper()
	opened := &opens{}
	var list []layers.Layer
	for i, lines := range archives {
		list = append(list, opened.watch(i, plainLayer(archive(t, lines...))))
	}
	return list, opened
}

// TestCaptureChosen: only what is chosen is read again, and what was read is not
// read another time.
func TestCaptureChosen(t *testing.T) {
	list, opened := captureLayers(t, [][]string{
		{"dir etc", "file x \"" + file("1") + "\""}, {"file y \"" + file("2") + "\""}, {"link etc/a to=x", "link etc/b to=y"},
	})
	m, err := layers.Flatten(t.Context(), list, layers.Options{Capture: wantedIn("etc/")})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		choose func(string) bool
		opens  []int
	}{
		{func(string) bool { return false }, []int{1, 1, 1}},
		{func(path string) bool { return path == "etc/b" }, []int{1, 2, 1}},
		{all, []int{2, 2, 1}},
		{all, []int{2, 2, 1}},
	} {
		if err := m.ReadAgain(t.Context(), step.choose); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(opened.count, step.opens) {
			t.Errorf("layers were opened %v times, want %v", opened.count, step.opens)
		}
	}
}

// TestCaptureTypes: a file whose names ask for writers of two types gets one of
// each, whether its own name told so or its links, and which of them is chosen
// first makes no difference.
func TestCaptureTypes(t *testing.T) {
	capture := func(path []byte, _ uint64) (io.Writer, int) {
		switch {
		case strings.HasPrefix(string(path), "etc/"):
			return &bytes.Buffer{}, 100
		case strings.HasPrefix(string(path), "efi/"):
			return &strings.Builder{}, 100
		}
		return nil, 0
	}
	for _, first := range []string{"etc/1", "efi/1", "usr/1"} {
		list, opened := captureLayers(t, [][]string{
			{"dir etc", "dir efi", "dir usr", "file " + first + " \"" + file("1") + "\""},
			{"link etc/a to=" + first, "link efi/a to=" + first, "link etc/b to=" + first},
		})
		m, err := layers.Flatten(t.Context(), list, layers.Options{Capture: capture})
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{"efi/", "etc/"} {
			if err := m.ReadAgain(t.Context(), func(path string) bool { return strings.HasPrefix(path, dir) }); err != nil {
				t.Fatal(err)
			}
		}
		etc, _ := m.Tree.Lookup(tree.Root, []byte("etc"))
		ino, _ := m.Tree.Lookup(etc, []byte("a"))
		buffer, _ := layers.CapturedAs[*bytes.Buffer](m, ino)
		builder, _ := layers.CapturedAs[*strings.Builder](m, ino)
		if buffer == nil || builder == nil || buffer.String() != file("1") || builder.String() != file("1") {
			t.Errorf("%s: got %v and %v", first, buffer, builder)
		}
		want := map[string]int{"etc/1": 2, "efi/1": 2, "usr/1": 3}[first]
		if opened.count[0] != want {
			t.Errorf("%s: its layer was opened %d times, want %d", first, opened.count[0], want)
		}
	}
}

// TestCaptureShared: images that share a layer share what was captured of it, and
// each finds by itself what its links need.
func TestCaptureShared(t *testing.T) {
	base := plainLayer(archive(t, "dir etc", "file etc/a \""+file("1")+"\"", "file x \""+file("2")+"\""))
	images := [][]layers.Layer{{base}, {base, plainLayer(archive(t, "link etc/b to=x"))}}
	var mu sync.Mutex
	got := make([]map[string]string, 2)
	err := layers.FlattenAll(t.Context(), images, layers.Options{Capture: wantedIn("etc/")}, func(i int, m *layers.Merged, err error) error {
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		err = m.ReadAgain(t.Context(), all)
		got[i] = contents(t, m)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]string{{"/etc/a": "1", "/x": "-"}, {"/etc/a": "1", "/x": "2", "/etc/b": "2"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestCaptureAgainFails: a layer that is not what it was when it is read again is
// an error that names it.
func TestCaptureAgainFails(t *testing.T) {
	gone := errors.New("gone")
	for name, second := range map[string]func(blob []byte) (io.ReadCloser, error){
		"gone":    func([]byte) (io.ReadCloser, error) { return nil, gone },
		"shorter": func(b []byte) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b[:512])), nil },
		"other": func(b []byte) (io.ReadCloser, error) {
			b = bytes.Clone(b)
			b[len(b)-1]++
			return io.NopCloser(bytes.NewReader(b)), nil
		},
		"no archive": func(b []byte) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(bytes.Repeat([]byte("x"), len(b)))), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			blob := archive(t, "dir etc", "file x \""+file("1")+"\"")
			l := plainLayer(blob)
			first := l.Open
			times := 0
			l.Open = func(ctx context.Context) (io.ReadCloser, error) {
				if times++; times > 1 {
					return second(blob)
				}
				return first(ctx)
			}
			list := []layers.Layer{plainLayer(archive(t, "dir y")), l, plainLayer(archive(t, "link etc/a to=x"))}
			m, err := layers.Flatten(t.Context(), list, layers.Options{Capture: wantedIn("etc/")})
			if err != nil {
				t.Fatal(err)
			}
			err = m.ReadAgain(t.Context(), all)
			if placed, ok := errors.AsType[*layers.Error](err); !ok || placed.Layer != 1 {
				t.Errorf("error %v, want one of layer 1", err)
			}
			// It was read before, so that the image is not at fault.
			if errors.Is(err, layers.ErrArchive) || errors.Is(err, layers.ErrCorrupt) {
				t.Errorf("error %v, which is about the image", err)
			}
		})
	}
}

// TestLayerOf: an inode is of the layer that made it, also if a later one changed
// what is known of it.
func TestLayerOf(t *testing.T) {
	list, _ := captureLayers(t, [][]string{{"dir a"}, {}, {"file b", "dir a 0700"}, {"link c to=b", "file d"}})
	m, err := layers.Flatten(t.Context(), list, layers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"a": 0, "b": 2, "c": 2, "d": 3} {
		ino, _ := m.Tree.Lookup(tree.Root, []byte(name))
		if got := m.Layer(ino); got != want {
			t.Errorf("%s is of layer %d, want %d", name, got, want)
		}
	}
	if got := m.Layer(tree.Root); got != 0 {
		t.Errorf("the root is of layer %d, want 0", got)
	}
}
