// SPDX-License-Identifier: Apache-2.0

package diff_test

import (
	"fmt"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/diff"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// hundredThousand makes a tree of 100,000 files in 5,000 directories, the
// mtimes of all which are sec.
func hundredThousand(tb testing.TB, sec int64) *tree.Checked {
	tb.Helper()
	tr := tree.New(fsverity.SHA512)
	set := tr.Xattrs(tree.Xattr{Name: "security.capability", Value: "value"})
	sums := make([]byte, fsverity.SHA512.Size())
	for i := range 5000 {
		dir := tr.NewDirectory(tree.Meta{Mode: 0o755, MtimeSec: sec})
		tr.Link(tree.Root, fmt.Appendf(nil, "directory-%d", i), dir)
		for j := range 20 {
			sums[0], sums[1], sums[2] = byte(i), byte(i>>8), byte(j)
			tr.Link(dir, fmt.Appendf(nil, "file-%d", j), tr.NewExternal(tree.Meta{Mode: 0o644, MtimeSec: sec, Xattrs: set}, 100, sums))
		}
	}
	c, err := tr.Check()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// BenchmarkCompare: 100,000 paths, none of which differs, or all.
func BenchmarkCompare(b *testing.B) {
	first := hundredThousand(b, 1)
	for _, tc := range []struct {
		name string
		sec  int64
		want int
	}{{"equal", 1, 0}, {"all", 2, 105000}} {
		second := hundredThousand(b, tc.sec)
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r := diff.Compare(first, second); len(r.Differences) != tc.want {
					b.Fatalf("%d differences, want %d", len(r.Differences), tc.want)
				}
			}
		})
	}
}
