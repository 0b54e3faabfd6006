// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/diff"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// TestDetails: every aspect tells what both sides have, paths in the order of a
// walk.
func TestDetails(t *testing.T) {
	a := parse(t, fsverity.SHA256, "/c 100 100755 1 1 2 0 1.5 $a user.a=1 user.b=2\n/d 0 40755 2 0 0 0 1.0 - - -\n/d/e 1 100644 1 0 0 0 1.0 - x -\n"+
		"/d-e 0 20644 1 0 0 258 1.0 - - -\n/l 1 120777 1 0 0 0 1.0 x - -\n/s 9 100644 1 0 0 0 1.0 - - -\n/t 1 100644 1 0 0 0 1.0 - x -")
	b := parse(t, fsverity.SHA256, "/c 100 100644 1 1 3 0 1.6 $b user.b=3 user.c=4\n/d 0 40755 2 0 0 0 1.0 - - -\n/d/e 2 100644 1 0 0 0 1.0 - xy -\n"+
		"/d-e 0 20644 1 0 0 1048835 1.0 - - -\n/l 1 120777 1 0 0 0 1.0 y - -\n/s 9 100644 1 0 0 0 1.0 $a\n/t 0 10644 1 0 0 0 1.0 - - -")
	var got []string
	r := diff.Compare(a, b)
	for i := range r.Differences {
		d := &r.Differences[i]
		for _, v := range r.Details(d) {
			got = append(got, fmt.Sprintf("%s %s%s %v: %s | %s", r.Path(d), v.Aspect, v.Name, v.Has, v.Values[0], v.Values[1]))
		}
	}
	sum := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	want := []string{
		"/c content [true true]: 100 bytes, " + sum("a") + " | 100 bytes, " + sum("b"),
		"/c mode [true true]: 0755 | 0644",
		"/c owner [true true]: 1:2 | 1:3",
		"/c mtime [true true]: 1.000000005 | 1.000000006",
		"/c xattrsuser.a [true false]: 1 | ",
		"/c xattrsuser.b [true true]: 2 | 3",
		"/c xattrsuser.c [false true]:  | 4",
		"/d/e content [true true]: 1 bytes | 2 bytes",
		"/d-e rdev [true true]: 1,2 | 1,259",
		"/l target [true true]: x | y",
		"/s content [true true]: 9 bytes | 9 bytes, " + sum("a"),
		"/s storage [true true]: sparse | object",
		"/t type [true true]: regular file | fifo",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if r.Paths != 9 {
		t.Errorf("%d paths, want 9", r.Paths)
	}
}

// TestMissing: a directory that one side does not have is one difference, and
// all that is below it is counted.
func TestMissing(t *testing.T) {
	a := parse(t, fsverity.SHA256, "/d 0 40755 3 0 0 0 1.0 - - -\n/d/e 0 40755 2 0 0 0 1.0 - - -\n/d/e/f 1 100644 1 0 0 0 1.0 - x -\n/d/g 1 100644 1 0 0 0 1.0 - x -")
	b := parse(t, fsverity.SHA256, "/z 1 100644 1 0 0 0 1.0 - x -")
	r := diff.Compare(a, b)
	var got []string
	for i := range r.Differences {
		d := &r.Differences[i]
		got = append(got, fmt.Sprint(r.Path(d), " ", d.OnlyIn, " ", d.Below, " ", d.Kind(), " ", d.Aspects.Names(), len(r.Details(d))))
	}
	want := []string{"/d A 3 directory [missing] 0", "/z B 0 regular file [missing] 0"}
	if d := cmp.Diff(want, got); d != "" || r.Paths != 7 {
		t.Errorf("%d paths, want 7; (-want +got):\n%s", r.Paths, d)
	}
}

// TestLinks: a name tells which others share its inode, on each side.
func TestLinks(t *testing.T) {
	a := parse(t, fsverity.SHA256, "/a 1 100644 5 0 0 0 1.0 - x -\n"+
		"/b 0 @120000 - - - - 0.0 /a - -\n/c 0 @120000 - - - - 0.0 /a - -\n/d 0 @120000 - - - - 0.0 /a - -\n/e 0 @120000 - - - - 0.0 /a - -")
	b := parse(t, fsverity.SHA256, "/a 1 100644 1 0 0 0 1.0 - x -\n/b 1 100644 2 0 0 0 1.0 - x -\n/c 0 @120000 - - - - 0.0 /b - -\n"+
		"/d 1 100644 1 0 0 0 1.0 - x -\n/e 1 100644 1 0 0 0 1.0 - x -")
	r := diff.Compare(a, b)
	var got []string
	for i := range r.Differences {
		for _, v := range r.Details(&r.Differences[i]) {
			got = append(got, r.Path(&r.Differences[i])+" "+v.Aspect+": "+v.Values[0]+" | "+v.Values[1])
		}
	}
	const all = " hard-links: one file: /a /b /c 2 more | "
	want := []string{"/a" + all + "a file of its own", "/b" + all + "one file: /b /c", "/c" + all + "one file: /b /c", "/d" + all + "a file of its own", "/e" + all + "a file of its own"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestAlgorithms: digests are compared in an algorithm that both trees have.
// Without one, files of one size are not compared, and counted.
func TestAlgorithms(t *testing.T) {
	build := func(fill byte, algs ...fsverity.Algorithm) *tree.Checked {
		tr := tree.New(algs...)
		for name, size := range map[string]uint64{"f": 100, "g": uint64(fill)} {
			var sums []byte
			for _, alg := range algs {
				for range alg.Size() {
					sums = append(sums, fill)
				}
			}
			tr.Link(tree.Root, []byte(name), tr.NewExternal(tree.Meta{}, size, sums))
		}
		c, err := tr.Check()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, tc := range []struct {
		a, b        *tree.Checked
		different   int
		notCompared int
	}{
		{build(1, fsverity.SHA256), build(2, fsverity.SHA256), 2, 0},
		{build(1, fsverity.SHA256), build(2, fsverity.SHA512), 1, 1},
		{build(1, fsverity.SHA512, fsverity.SHA256), build(2, fsverity.SHA256), 2, 0},
		{build(1, fsverity.SHA256), build(1, fsverity.SHA512, fsverity.SHA256), 0, 0},
		{build(1, fsverity.SHA256), build(1, fsverity.SHA512), 0, 2},
	} {
		r := diff.Compare(tc.a, tc.b)
		if len(r.Differences) != tc.different || r.NotCompared != tc.notCompared {
			t.Errorf("%v and %v: %d differences, %d not compared, want %d and %d",
				tc.a.Algorithms(), tc.b.Algorithms(), len(r.Differences), r.NotCompared, tc.different, tc.notCompared)
		}
	}
}

// TestDeep: directories may be nested as deeply as a tree can have them.
func TestDeep(t *testing.T) {
	deep := func(sec int64) *tree.Checked {
		tr := tree.New(fsverity.SHA256)
		dir := tree.Root
		for range tree.DepthMax {
			child := tr.NewDirectory(tree.Meta{MtimeSec: sec})
			tr.Link(dir, []byte("d"), child)
			dir = child
		}
		c, err := tr.Check()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	r := diff.Compare(deep(1), deep(2))
	last := r.Path(&r.Differences[len(r.Differences)-1])
	if len(r.Differences) != tree.DepthMax || last != strings.Repeat("/d", tree.DepthMax) {
		t.Errorf("%d differences, the last at depth %d", len(r.Differences), strings.Count(last, "/"))
	}
}

// TestOrder: the cause that explains most comes first, what is below counts.
func TestOrder(t *testing.T) {
	a := "/a 1 100644 1 0 0 0 1.0 - x -\n/b 1 100644 1 0 0 0 1.0 - x -\n/c 1 100644 1 0 0 0 1.0 - x -\n" +
		"/d 0 40755 2 0 0 0 1.0 - - -\n/d/1 1 100644 1 0 0 0 1.0 - x -\n/d/2 1 100644 1 0 0 0 1.0 - x -"
	b := "/a 1 100644 1 0 0 0 2.0 - x -\n/b 1 100644 1 0 0 0 2.0 - x -\n/c 1 100644 1 1 0 0 1.0 - x -"
	r := diff.Compare(parse(t, fsverity.SHA256, a), parse(t, fsverity.SHA256, b))
	want := []string{"only-in-a 1 below 2", "file-mtime 2", "owner-root 1"}
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestIDs: an ID is of one cause.
func TestIDs(t *testing.T) {
	ids := diff.Causes()
	slices.Sort(ids)
	if n := len(slices.Compact(slices.Clone(ids))); n != len(ids) {
		t.Errorf("%d causes have %d IDs", len(ids), n)
	}
}

// TestNumber: thousands have commas between them.
func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 5267: "5,267", 1234567: "1,234,567"} {
		if got := diff.Number(n); got != want {
			t.Errorf("Number(%d) = %q, want %q", n, got, want)
		}
	}
}

// TestDocumented: the table of docs/diff.md has every cause, in the order in
// which they come first.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/diff.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## Causes")
	var got []string
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "| `") {
			for id := range strings.SplitSeq(strings.Split(line, "|")[1], ",") {
				got = append(got, strings.Trim(id, " `"))
			}
		}
	}
	if d := cmp.Diff(diff.Causes(), got); d != "" {
		t.Errorf("(-causes +documented):\n%s", d)
	}
}
