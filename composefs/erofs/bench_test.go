// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// largeTree has that many files in directories of a hundred, as a root file
// system might.
func largeTree(files int) *tree.Tree {
	tr := tree.New(fsverity.SHA512)
	capability := tr.Xattrs(tree.Xattr{Name: "security.capability", Value: "\x01\x00\x00\x02\x00\x20\x00\x00"})
	var dir tree.Ino
	for i := range files {
		if i%100 == 0 {
			dir = tr.NewDirectory(tree.Meta{Mode: 0o755})
			tr.Link(tree.Root, fmt.Appendf(nil, "directory-%d", i), dir)
		}
		m := tree.Meta{Mode: 0o644, MtimeSec: int64(i % 1000)}
		if i%500 == 0 {
			m.Xattrs = capability
		}
		var sum [64]byte
		binary.LittleEndian.PutUint64(sum[:], uint64(i)*0x9E3779B97F4A7C15)
		tr.Link(dir, fmt.Appendf(nil, "some-file-%d.txt", i), tr.NewExternal(m, uint64(i), sum[:]))
	}
	return tr
}

// BenchmarkDigest takes the digest of an image of 100,000 files.
func BenchmarkDigest(b *testing.B) {
	const files = 100_000
	c := check(b, largeTree(files))
	for _, f := range formats {
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := erofs.Digest(c, erofs.Options{Format: f, Algorithm: fsverity.SHA512}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/file")
		})
	}
}

// BenchmarkRead reads an image of 100,000 files.
func BenchmarkRead(b *testing.B) {
	const files = 100_000
	c := check(b, largeTree(files))
	for _, f := range formats {
		image := writeImage(b, c, f, fsverity.SHA512)
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := erofs.Read(bytes.NewReader(image), int64(len(image))); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/file")
		})
	}
}
