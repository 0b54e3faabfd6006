// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers"
)

// archive makes a tar archive of lines in the language of dsl_test.go.
func archive(t testing.TB, lines ...string) []byte {
	t.Helper()
	tar, err := parseArchive(strings.Join(lines, "\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return tar
}

func hashOf(b []byte) v1.Hash {
	sum := sha256.Sum256(b)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// newLayer makes a layer of an archive and the blob that it is stored as.
func newLayer(tar, blob []byte, c layers.Compression) layers.Layer {
	return layers.Layer{
		Digest: hashOf(blob), Size: int64(len(blob)), DiffID: hashOf(tar), Compression: c,
		Open: serve(bytes.NewReader(blob)),
	}
}

// plainLayer makes a layer that is not compressed.
func plainLayer(tar []byte) layers.Layer { return newLayer(tar, tar, layers.Plain) }

// serve opens r once more from its start.
func serve(r io.ReadSeeker) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return io.NopCloser(r), nil
	}
}

// compress makes the blob of a layer.
func compress(t testing.TB, c layers.Compression, tar []byte) []byte {
	t.Helper()
	switch c {
	case layers.Gzip:
		return gzipMember(t, tar)
	case layers.Zstd:
		return zstdFrame(t, tar)
	case layers.Plain:
	}
	return tar
}

func gzipMember(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstdFrame(t testing.TB, data []byte, o ...zstd.EOption) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, append(o, zstd.WithZeroFrames(true))...)
	if err != nil {
		t.Fatal(err)
	}
	frame := w.EncodeAll(data, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return frame
}

// dumps returns the dump of the layers' merged tree, and what the transform of
// OCI images makes of it.
func dumps(ctx context.Context, list []layers.Layer, o layers.Options) (merged, final string, err error) {
	o.Algorithms = []fsverity.Algorithm{fsverity.SHA256}
	t, err := layers.Flatten(ctx, list, o)
	if err != nil {
		return "", "", err
	}
	return dumpsOf(t.Tree)
}

// dumpsOf returns the dump of a tree, and what the transform makes of it.
func dumpsOf(t *tree.Tree) (merged, final string, err error) {
	if merged, t, err = dump(t); err != nil {
		return "", "", err
	}
	if err := transform.OCI(t, transform.KeepUserXattrs); err != nil {
		return merged, "", err
	}
	final, _, err = dump(t)
	return merged, final, err
}

func dump(t *tree.Tree) (string, *tree.Tree, error) {
	c, err := t.Check()
	if err != nil {
		return "", nil, err
	}
	var b strings.Builder
	err = dumpfile.Write(&b, c, fsverity.SHA256)
	return b.String(), c.Thaw(), err
}

// noLeak fails the test if it leaves goroutines behind.
func noLeak(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(10 * time.Second)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				stacks := make([]byte, 64<<10)
				t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
}
