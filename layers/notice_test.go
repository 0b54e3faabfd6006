// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/layers"
)

// noticed is what Notice was told.
type noticed struct {
	layer int
	path  string
	err   error
}

// notices flattens with Notice.
func notices(t *testing.T, list []layers.Layer) (*layers.Merged, []noticed) {
	t.Helper()
	var mu sync.Mutex
	var got []noticed
	m, err := layers.Flatten(t.Context(), list, layers.Options{Notice: func(layer int, path string, err error) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, noticed{layer, path, err})
	}})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(got, func(a, b noticed) int { return cmp.Or(a.layer-b.layer, cmp.Compare(a.path, b.path)) })
	return m, got
}

// noticeRules have each thing that is told: layers, what is told of them, and what
// the tree is then.
var noticeRules = []struct {
	rule   string
	layers [][]string
	told   []noticed
	tree   []string
}{
	{"nothing odd, nothing told", [][]string{{"dir a", "file a/b"}, {"file a/.wh.b", "file a/c"}}, nil, []string{"/a", "/a/c"}},
	{
		"parents that are missing are made",
		[][]string{{"file a/b/c", "file a/d"}},
		[]noticed{{0, "a/b/c", layers.ErrNoParent}},
		[]string{"/a", "/a/b", "/a/b/c", "/a/d"},
	},
	{
		"what is below a symlink is passed over",
		[][]string{{"dir a", "symlink b to=a", "file b/c", "file d"}},
		[]noticed{{0, "b/c", layers.ErrNotDirectory}},
		[]string{"/a", "/b", "/d"},
	},
	{
		"made parents do not go through a symlink",
		[][]string{{"symlink b to=a", "file c/../d", "file b/x/y"}},
		[]noticed{{0, "b/x/y", layers.ErrNotDirectory}, {0, "c/../d", layers.ErrNoParent}, {0, "c/../d", layers.ErrDotDot}},
		[]string{"/b", "/c"},
	},
	{"a link to nothing is passed over", [][]string{{"link a to=b", "link c to=d/e", "file f"}}, []noticed{{0, "a", layers.ErrLinkTarget}, {0, "c", layers.ErrLinkTarget}}, []string{"/f"}},
	{
		"a link without its parents gets them",
		[][]string{{"file x", "link a/b to=x"}},
		[]noticed{{0, "a/b", layers.ErrNoParent}},
		[]string{"/a", "/a/b", "/x"},
	},
	{"an unknown type", [][]string{{"raw a type=V", `raw b type=V size=1000`, "file c"}}, []noticed{{0, "a", layers.ErrEntryType}, {0, "b", layers.ErrEntryType}}, []string{"/c"}},
	{"an unknown type at the end", [][]string{{"file c", "raw a type=V"}, {"file d"}}, []noticed{{0, "a", layers.ErrEntryType}}, []string{"/c", "/d"}},
	{
		"an archive that cannot be read on",
		[][]string{{"file a", `text "` + file("x") + `"`, "file b"}, {"file c"}},
		[]noticed{{0, "", layers.ErrArchive}},
		[]string{"/a", "/c"},
	},
	{"the root as a file", [][]string{{"file .", "file a"}}, []noticed{{0, ".", layers.ErrRoot}}, []string{"/a"}},

	{"a whiteout of what the layer has", [][]string{{"file a", "file .wh.a"}}, []noticed{{0, ".wh.a", layers.ErrSameLayer}}, nil},
	{"a whiteout of what the layer has something in", [][]string{{"dir a"}, {"file a/b", "file .wh.a"}}, []noticed{{1, ".wh.a", layers.ErrSameLayer}}, nil},
	{"a whiteout before it", [][]string{{"file a"}, {"file .wh.a", "file a"}}, nil, []string{"/a"}},
	{"an opaque whiteout behind entries", [][]string{{"dir a"}, {"dir a", "file a/b", "file a/.wh..wh..opq"}}, []noticed{{1, "a/.wh..wh..opq", layers.ErrSameLayer}}, []string{"/a"}},
	{"and behind one that is deeper", [][]string{{"dir a", "dir a/b"}, {"file a/b/c", "file a/.wh..wh..opq"}}, []noticed{{1, "a/.wh..wh..opq", layers.ErrSameLayer}}, []string{"/a"}},
	{"an opaque whiteout behind its directory alone", [][]string{{"dir a", "file a/b"}, {"dir a", "file a/.wh..wh..opq", "file a/c"}}, nil, []string{"/a", "/a/c"}},
	{"what another layer has", [][]string{{"dir a", "file a/b"}, {"file c"}, {"file a/.wh..wh..opq", "file .wh.c"}}, nil, []string{"/a"}},
}

// TestNotice: what is told, and how the reading goes on.
func TestNotice(t *testing.T) {
	for _, c := range noticeRules {
		t.Run(c.rule, func(t *testing.T) {
			list, _ := captureLayers(t, c.layers)
			m, got := notices(t, list)
			if len(got) != len(c.told) {
				t.Fatalf("told %v, want %v", got, c.told)
			}
			for i, want := range c.told {
				if got[i].layer != want.layer || got[i].path != want.path || !errors.Is(got[i].err, want.err) {
					t.Errorf("told %v, want %v", got[i], want)
				}
			}
			checked, err := m.Tree.Check()
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for step := range checked.Walk() {
				paths = append(paths, step.Path())
			}
			if diff := gocmp.Diff(c.tree, paths); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNoticeCases: of all that hosts refuse, something is told, and nothing ends
// the reading; where they take it, no refusal is told.
func TestNoticeCases(t *testing.T) {
	for _, c := range readCases(t) {
		_, got := notices(t, c.layers())
		_, err := layers.Flatten(t.Context(), c.layers(), layers.Options{})
		refusals := slices.DeleteFunc(got, func(n noticed) bool { return errors.Is(n.err, layers.ErrSameLayer) })
		if (err != nil) != (len(refusals) > 0) {
			t.Errorf("%s: error %v, told %v", c.name, err, refusals)
			continue
		}
		if placed, ok := errors.AsType[*layers.Error](err); ok {
			first := refusals[0]
			if got := fmt.Sprint(first.layer, first.path); got != fmt.Sprint(placed.Layer, placed.Path) && len(refusals) == 1 {
				t.Errorf("%s: told of %s, the error is %v", c.name, got, err)
			}
		}
	}
}
