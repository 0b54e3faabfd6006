// SPDX-License-Identifier: Apache-2.0

package tree_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// filesPerDir is how many files a directory of a large tree has.
const filesPerDir = 40

// largeTree has that many files with SHA-512 digests and names as they are in
// a distribution.
func largeTree(files int) *tree.Tree {
	tr := tree.New(fsverity.SHA512)
	var dir tree.Ino
	for i := range files {
		if i%filesPerDir == 0 {
			dir = tr.NewDirectory(tree.Meta{Mode: 0o755})
			tr.Link(tree.Root, fmt.Appendf(nil, "directory-%d", i), dir)
		}
		var sum [64]byte
		binary.LittleEndian.PutUint64(sum[:], uint64(i))
		tr.Link(dir, fmt.Appendf(nil, "libsome-%d.so", i), tr.NewExternal(tree.Meta{Mode: 0o644}, uint64(i), sum[:]))
	}
	return tr
}

// heap returns the bytes of memory in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// bytesPerFile returns how much memory a checked tree takes.
func bytesPerFile(t testing.TB, files int) float64 {
	t.Helper()
	before := heap()
	c := check(t, largeTree(files))
	after := heap()
	runtime.KeepAlive(c)
	return float64(after-before) / float64(files)
}

// TestMemory: a file takes 200 bytes at most, its SHA-512 digest and its share
// of a directory among them.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	const most = 200
	if got := bytesPerFile(t, 200_000); got > most {
		t.Errorf("%.0f bytes for a file, want %d at most", got, most)
	}
}

// BenchmarkMemory reports the bytes of memory that a file takes.
func BenchmarkMemory(b *testing.B) {
	const files = 100_000
	total := 0.0
	for range b.N {
		total += bytesPerFile(b, files)
	}
	b.ReportMetric(total/float64(b.N), "B/file")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/file")
}

// TestGrowth: a directory may have very many names, and each is found, and
// only once, however often the tables grew.
func TestGrowth(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	const names = 300_000
	tr := newTree()
	dirs := []tree.Ino{mkdir(tr, tree.Root, "a"), mkdir(tr, tree.Root, "b")}
	inos := make([]tree.Ino, names)
	for i := range inos {
		inos[i] = touch(tr, dirs[0], fmt.Sprint(i))
		if i%3 == 0 {
			link(tr, dirs[1], fmt.Sprint(i), inos[i])
		}
		if i%5 == 0 && !tr.Unlink(dirs[0], fmt.Append(nil, i)) {
			t.Fatalf("%d is gone already", i)
		}
	}
	for i, want := range inos {
		for d, linked := range []bool{i%5 != 0, i%3 == 0} {
			if got, ok := tr.Lookup(dirs[d], fmt.Append(nil, i)); ok != linked || ok && got != want {
				t.Fatalf("directory %d, name %d: %d, %t, want %d, %t", d, i, got, ok, want, linked)
			}
		}
	}
	c := check(t, tr)
	if got, want := c.Len(dirs[0])+c.Len(dirs[1]), names/5*4+names/3; got != want {
		t.Errorf("%d names, want %d", got, want)
	}
	walked := 0
	for range c.Walk() {
		walked++
	}
	if want := 2 + names/5*4 + names/3; walked != want {
		t.Errorf("Walk comes to %d names, want %d", walked, want)
	}
}
