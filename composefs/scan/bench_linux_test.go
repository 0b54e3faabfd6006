// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/scan"
)

var benchFlag = flag.String("bench-dir", "", "directory to read in the benchmark (default: one of 5000 files, 75 MB)")

// BenchmarkDir reads a directory whose content is in memory already.
func BenchmarkDir(b *testing.B) {
	dir := *benchFlag
	if dir == "" {
		dir = b.TempDir()
		for i := range 5000 {
			write(b, filepath.Join(dir, fmt.Sprint(i/100), fmt.Sprint(i)), i*6)
		}
	}
	var inodes int
	var hashed atomic.Int64
	for b.Loop() {
		hashed.Store(0)
		inodes = read(b, dir, scan.Options{Progress: func(n int) { hashed.Add(int64(n)) }}).Inodes()
	}
	b.SetBytes(hashed.Load())
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(inodes), "ns/file")
}
