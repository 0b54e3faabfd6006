// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/diff"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// randomTree has few names and few values, so that two of them have much in
// common.
func randomTree(t *testing.T, r *rand.Rand) *tree.Checked {
	t.Helper()
	tr := tree.New(fsverity.SHA256)
	dirs := []tree.Ino{tree.Root}
	for range 40 {
		m := tree.Meta{Mode: uint32(r.IntN(2)), MtimeSec: int64(r.IntN(2)), UID: uint32(r.IntN(8) / 7)}
		m.Xattrs = tr.Xattrs([]tree.Xattr{{Name: "user.a", Value: fmt.Sprint(r.IntN(2))}}[:r.IntN(2)]...)
		name := []byte{"abcd"[r.IntN(4)], "-./z"[r.IntN(4)]}[:1+r.IntN(2)]
		dir := dirs[r.IntN(len(dirs))]
		if _, ok := tr.Lookup(dir, name); ok || name[len(name)-1] == '/' {
			continue
		}
		var ino tree.Ino
		switch r.IntN(4) {
		case 0, 1:
			ino = tr.NewDirectory(m)
			dirs = append(dirs, ino)
		case 2:
			ino = tr.NewInline(m, fmt.Append(nil, r.IntN(2)))
		default:
			ino = tr.NewSymlink(m, fmt.Append(nil, r.IntN(2)))
		}
		tr.Link(dir, name, ino)
	}
	c, err := tr.Check()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// paths has all that is compared here of each path.
func paths(c *tree.Checked) map[string]string {
	found := map[string]string{}
	add := func(path string, ino tree.Ino) {
		m := c.Meta(ino)
		found[path] = fmt.Sprint(c.Kind(ino), m.Mode, m.UID, m.MtimeSec, c.XattrList(m.Xattrs), string(c.Data(ino)))
	}
	add("/", tree.Root)
	for step := range c.Walk() {
		add(step.Path(), step.Ino)
	}
	return found
}

// expected returns the paths that differ, in the order of a walk, without those
// below one of another type or that one side lacks.
func expected(a, b map[string]string) (different []string, all int) {
	either := maps.Clone(a)
	maps.Copy(either, b)
	// With this byte for the slash, a directory sorts before what it holds.
	sorted := slices.SortedFunc(maps.Keys(either), func(x, y string) int {
		return strings.Compare(strings.ReplaceAll(x, "/", "\x00"), strings.ReplaceAll(y, "/", "\x00"))
	})
	top := "no path"
	for _, path := range sorted {
		if strings.HasPrefix(path, top) || a[path] == b[path] {
			continue
		}
		different = append(different, path)
		isDir := [2]bool{strings.HasPrefix(a[path], "directory"), strings.HasPrefix(b[path], "directory")}
		if isDir[0] != isDir[1] {
			top = path + "/"
		}
	}
	return different, len(sorted)
}

// TestRandom: of random trees, exactly the paths differ that do.
func TestRandom(t *testing.T) {
	found := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		a, b := randomTree(t, r), randomTree(t, r)
		want, all := expected(paths(a), paths(b))
		result := diff.Compare(a, b)
		var got []string
		for i := range result.Differences {
			got = append(got, result.Path(&result.Differences[i]))
		}
		if d := cmp.Diff(want, got); d != "" || result.Paths != all {
			t.Fatalf("seed %d: %d paths, want %d; (-want +got):\n%s", seed, result.Paths, all, d)
		}
		checkCauses(t, result)
		found += len(got)
	}
	if found < 1000 {
		t.Errorf("only %d differences", found)
	}
}
