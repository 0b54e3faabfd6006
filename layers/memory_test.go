// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"runtime"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/cfs-label/cfs-label/layers"
)

// bigLayer makes a layer of one file of so many zeros, which never is in memory
// as a whole.
func bigLayer(t testing.TB, c layers.Compression, size int64) layers.Layer {
	t.Helper()
	var blob bytes.Buffer
	var w io.WriteCloser
	var err error
	switch c {
	case layers.Gzip:
		w, err = gzip.NewWriterLevel(&blob, gzip.BestSpeed)
	case layers.Zstd:
		w, err = zstd.NewWriter(&blob, zstd.WithEncoderConcurrency(1))
	case layers.Plain:
		t.Fatal("a plain layer would be as large as the file")
	}
	if err != nil {
		t.Fatal(err)
	}
	header := archive(t, "noend", "dir usr/", fmt.Sprintf("file usr/big claim=%d", size))
	hash := sha256.New()
	tar := io.MultiReader(bytes.NewReader(header), io.LimitReader(zeroReader{}, size), bytes.NewReader(make([]byte, 1024)))
	if _, err := io.Copy(io.MultiWriter(w, hash), tar); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l := newLayer(nil, blob.Bytes(), c)
	l.DiffID = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(hash.Sum(nil))}
	return l
}

// TestMemory: content is not held. All that is ever allocated for a file of 256
// MiB is a few buffers and zstd's window, a tenth of it.
func TestMemory(t *testing.T) {
	const size, bound = 256 << 20, 25 << 20
	for _, c := range []layers.Compression{layers.Gzip, layers.Zstd} {
		l := bigLayer(t, c, size)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := layers.Flatten(t.Context(), []layers.Layer{l}, layers.Options{})
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		took := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d KiB allocated for a file of %d MiB", c, took>>10, size>>20)
		if took > bound {
			t.Errorf("%s: %d bytes allocated for a file of %d bytes, want at most %d", c, took, size, bound)
		}
	}
}

// BenchmarkFlatten reads a layer of files of many sizes from memory; MB/s are
// those of the archive.
func BenchmarkFlatten(b *testing.B) {
	lines := []string{"dir usr/"}
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf("file usr/%d size=%d", i, i*i%60_000))
	}
	tar := archive(b, lines...)
	text := []byte("func (r *entryReader) batch() *batch { return r.open[len(r.open)-1] }\n")
	for i := range tar[:len(tar)-1024] {
		if tar[i] == 'x' { // content: more like text than a row of x
			tar[i] = text[(i*7+i/97)%len(text)]
		}
	}
	for _, c := range []layers.Compression{layers.Plain, layers.Gzip, layers.Zstd} {
		b.Run(c.String(), func(b *testing.B) {
			blob := compress(b, c, tar)
			l := newLayer(tar, blob, c)
			b.SetBytes(int64(len(tar)))
			b.ReportMetric(float64(len(tar))/float64(len(blob)), "ratio")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := layers.Flatten(b.Context(), []layers.Layer{l}, layers.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
