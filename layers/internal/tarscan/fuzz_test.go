// SPDX-License-Identifier: Apache-2.0

package tarscan_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/cfs-label/cfs-label/layers/internal/tarscan"
)

func newScanner(h tarscan.Handler) *tarscan.Scanner { return tarscan.New(h) }

// counter takes what is found and keeps none of it.
type counter struct{ entries, bytes int }

func (c *counter) Entry(e *tarscan.Entry) error {
	if len(e.Path) == 0 {
		panic("an entry without a path")
	}
	c.entries++
	return nil
}
func (c *counter) Data(p []byte)   { c.bytes += len(p) }
func (c *counter) EndEntry() error { return nil }

// FuzzScanner holds the Scanner to these laws: it does not panic; however the
// archive is split, it finds the same entries, content and error; it finds no
// more content than there is, and takes no more memory than a few times the
// archive and the largest extension headers.
func FuzzScanner(f *testing.F) {
	for _, archive := range splitArchives() {
		f.Add(archive, uint16(512))
	}
	for i, archive := range conformanceArchives(f) {
		if len(archive) < 64<<10 {
			f.Add(archive, uint16(i*13))
		}
	}
	f.Fuzz(func(t *testing.T, archive []byte, split uint16) {
		archive = fixed(archive)
		want := outcome(scan(archive))
		piece := int(split)%1024 + 1
		pieces := make([]int, len(archive)/piece)
		for i := range pieces {
			pieces[i] = piece
		}
		if got := outcome(scan(archive, pieces...)); got != want {
			t.Fatalf("in pieces of %d bytes:\n%s\nin one piece:\n%s", piece, got, want)
		}

		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := &counter{}
		s := tarscan.New(c)
		_, _ = s.Write(archive)
		_ = s.Close()
		runtime.ReadMemStats(&after)
		if c.bytes > len(archive) || c.entries > len(archive)/tarscan.BlockSize {
			t.Fatalf("%d entries with %d bytes in an archive of %d bytes", c.entries, c.bytes, len(archive))
		}
		const slack = 8 << 20 // what else runs, and the extension headers
		if took := after.TotalAlloc - before.TotalAlloc; took > uint64(16*len(archive)+slack) {
			t.Fatalf("%d bytes of memory for an archive of %d bytes", took, len(archive))
		}
	})
}

// fixed returns a copy of the archive in which every block has the right
// checksum that ends its field as a header does: so fuzzing gets behind it.
func fixed(archive []byte) []byte {
	archive = bytes.Clone(archive)
	for rest := archive; len(rest) >= tarscan.BlockSize; rest = rest[tarscan.BlockSize:] {
		if rest[154] != 0 || rest[155] != ' ' {
			continue
		}
		sum := 0
		for i, c := range rest[:tarscan.BlockSize] {
			if i >= 148 && i < 156 {
				c = ' '
			}
			sum += int(c)
		}
		copy(rest[148:154], fmt.Sprintf("%06o", sum))
	}
	return archive
}
