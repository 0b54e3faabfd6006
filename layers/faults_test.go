// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cfs-label/cfs-label/layers"
)

var errMine = errors.New("the line is dead")

// blobOf serves other bytes than the layer is said to have.
func blobOf(l layers.Layer, blob []byte) layers.Layer {
	l.Open = serve(bytes.NewReader(blob))
	return l
}

// readerOf serves a reader.
func readerOf(l layers.Layer, r io.Reader) layers.Layer {
	l.Open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(r), nil }
	return l
}

// openError makes a layer that cannot be opened.
func openError(l layers.Layer, foreign bool) layers.Layer {
	l.Foreign = foreign
	l.Open = func(context.Context) (io.ReadCloser, error) {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, errMine)
	}
	return l
}

// TestStreamFaults: what is wrong with a blob is told as what it is, though the
// archive in it is then wrong, too; the error says of which layer, and has the
// causes in its chain.
func TestStreamFaults(t *testing.T) {
	base := archive(t, "dir usr/")
	tar := storedArchive(t)
	noEnd := archive(t, "noend", `file usr/a claim=100`)
	for _, c := range []layers.Compression{layers.Plain, layers.Gzip, layers.Zstd} {
		blob := compress(t, c, tar)
		right := newLayer(tar, blob, c)
		middle := len(blob) / 2
		wrongDiff, wrongAlgorithm := right, right
		wrongDiff.DiffID = hashOf(base)
		wrongAlgorithm.Digest.Algorithm = "sha512"
		for _, f := range []struct {
			rule  string
			layer layers.Layer
			want  error
			also  error
			text  string
		}{
			{rule: "half of the blob", layer: blobOf(right, blob[:middle]), want: layers.ErrSize},
			{rule: "all but a byte", layer: blobOf(right, blob[:len(blob)-1]), want: layers.ErrSize},
			{rule: "none of it", layer: blobOf(right, nil), want: layers.ErrSize},
			{rule: "a byte more", layer: blobOf(right, join(blob, []byte{0})), want: layers.ErrSize},
			{rule: "much more", layer: blobOf(right, join(blob, make([]byte, 1<<20))), want: layers.ErrSize},
			{rule: "without end", layer: readerOf(right, io.MultiReader(bytes.NewReader(blob), zeroReader{})), want: layers.ErrSize},
			{rule: "a byte changed", layer: blobOf(right, damaged(blob)), want: layers.ErrDigest},
			{rule: "the first byte changed", layer: blobOf(right, join([]byte{'!'}, blob[1:])), want: layers.ErrDigest},
			{rule: "the last byte changed", layer: blobOf(right, join(blob[:len(blob)-1], []byte{blob[len(blob)-1] + 1})), want: layers.ErrDigest},
			{rule: "a digest of another algorithm", layer: wrongAlgorithm, want: layers.ErrDigest},
			{rule: "another diff ID", layer: wrongDiff, want: layers.ErrDiffID, text: hashOf(base).Hex},
			{rule: "an archive that is cut, of the right digest", layer: newLayer(noEnd, compress(t, c, noEnd), c), want: layers.ErrArchive, also: io.ErrUnexpectedEOF},
			{rule: "it cannot be opened", layer: openError(right, false), want: errMine},
			{rule: "it cannot be opened, and is foreign", layer: openError(right, true), want: layers.ErrForeign, also: errMine},
			{rule: "an error in the middle", layer: readerOf(right, io.MultiReader(bytes.NewReader(blob[:middle]), iotest.ErrReader(errMine))), want: errMine, text: "of "},
			{rule: "an error at once", layer: readerOf(right, iotest.ErrReader(errMine)), want: errMine},
			{rule: "a time limit of the connection", layer: readerOf(right, iotest.TimeoutReader(iotest.HalfReader(bytes.NewReader(blob)))), want: iotest.ErrTimeout},
			{rule: "a deadline that is not ours", layer: readerOf(right, iotest.ErrReader(context.DeadlineExceeded)), want: context.DeadlineExceeded},
			{rule: "a deadline of the system", layer: readerOf(right, iotest.ErrReader(os.ErrDeadlineExceeded)), want: os.ErrDeadlineExceeded},
		} {
			t.Run(c.String()+"/"+f.rule, func(t *testing.T) {
				noLeak(t)
				list := []layers.Layer{plainLayer(base), f.layer, plainLayer(base)}
				_, err := layers.Flatten(t.Context(), list, layers.Options{})
				checkPlaced(t, err, 1, list, "")
				if !errors.Is(err, f.want) || f.also != nil && !errors.Is(err, f.also) || !strings.Contains(err.Error(), f.text) {
					t.Errorf("error %v, want %v, %v, %q", err, f.want, f.also, f.text)
				}
			})
		}
	}
}

// TestDamageComesFirst: an archive that is wrong because its blob was damaged or
// cut on the way is told as that, though the archive's error is found long
// before the end of the blob: what to do about it is another thing.
func TestDamageComesFirst(t *testing.T) {
	tar := archive(t, "dir usr/", "file usr/a size=5000000", "dir usr/b")
	right := plainLayer(tar)
	for rule, f := range map[string]struct {
		blob []byte
		want error
	}{
		"a header changed": {join(tar[:514], []byte{'!'}, tar[515:]), layers.ErrDigest},
		"the start lost":   {tar[10:], layers.ErrSize},
		"the end lost":     {tar[:len(tar)/2], layers.ErrSize},
		"all zero":         {make([]byte, len(tar)), layers.ErrDigest},
	} {
		for range 20 { // there is a race to lose
			_, err := layers.Flatten(t.Context(), []layers.Layer{blobOf(right, f.blob)}, layers.Options{})
			if !errors.Is(err, f.want) {
				t.Errorf("%s: error %v, want %v", rule, err, f.want)
			}
		}
	}
}

// checkPlaced checks that the error says which layer of the list it is of, and
// which entry.
func checkPlaced(t *testing.T, err error, layer int, list []layers.Layer, path string) {
	t.Helper()
	var placed *layers.Error
	if !errors.As(err, &placed) {
		t.Fatalf("%v (%T) does not say where", err, err)
	}
	if placed.Layer != layer || placed.Layers != len(list) || placed.Digest != list[layer].Digest.String() || placed.Path != path {
		t.Errorf("error of layer %d of %d, %s, %q; want %d, %d, %s, %q", placed.Layer, placed.Layers, placed.Digest, placed.Path,
			layer, len(list), list[layer].Digest, path)
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestEntryFaults: what is wrong with an entry is told with its path, be it the
// archive's form, the entry by itself, or how it fits to what is there.
func TestEntryFaults(t *testing.T) {
	base := archive(t, "dir usr/")
	for _, f := range []struct {
		line, path string
		want       error
	}{
		{"file absent/a", "absent/a", layers.ErrNoParent},
		{"raw usr/v type=V", "usr/v", layers.ErrEntryType},
		{"raw usr/s type=S", "usr/s", layers.ErrArchive},
		{"file usr/n field.uid=z", "usr/n", layers.ErrArchive},
		{"char usr/c dialect=v7", "usr/c", layers.ErrNoDevice},
		{"file x pax=path=absent/long", "absent/long", layers.ErrNoParent},
	} {
		noLeak(t)
		list := []layers.Layer{plainLayer(base), plainLayer(archive(t, "file usr/a", f.line))}
		_, err := layers.Flatten(t.Context(), list, layers.Options{})
		checkPlaced(t, err, 1, list, f.path)
		if !errors.Is(err, f.want) {
			t.Errorf("%s: error %v, want %v", f.line, err, f.want)
		}
	}
	list := []layers.Layer{plainLayer(base), plainLayer(archive(t, "file usr/last", "file usr/x field.checksum=1"))}
	_, err := layers.Flatten(t.Context(), list, layers.Options{})
	checkPlaced(t, err, 1, list, "")
	if !errors.Is(err, layers.ErrArchive) || !strings.Contains(err.Error(), `after "usr/last"`) {
		t.Errorf("where the headers do not tell the entry, the error does not tell the one before: %v", err)
	}
}

// hang is a blob of which nothing comes. It ends when it is closed, or never.
type hang struct{ closed chan struct{} }

func (h hang) Read([]byte) (int, error) {
	<-h.closed
	return 0, errors.New("read from a closed body")
}

func (h hang) Close() error {
	select {
	case <-h.closed:
	default:
		close(h.closed)
	}
	return nil
}

// hanging are layers that hang, in Open and in Read, at the start and in the
// middle of the blob.
func hanging(t *testing.T) map[string]layers.Layer {
	t.Helper()
	tar := storedArchive(t)
	blob := gzipMember(t, tar)
	l := newLayer(tar, blob, layers.Gzip)
	inOpen, atStart, inMiddle := l, l, l
	inOpen.Open = func(ctx context.Context) (io.ReadCloser, error) {
		<-ctx.Done()
		return nil, errMine
	}
	atStart.Open = func(context.Context) (io.ReadCloser, error) { return hang{make(chan struct{})}, nil }
	inMiddle.Open = func(context.Context) (io.ReadCloser, error) {
		h := hang{make(chan struct{})}
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(blob[:100]), h), h}, nil
	}
	return map[string]layers.Layer{"in Open": inOpen, "at the start": atStart, "in the middle": inMiddle}
}

// promptly is how long calling off may take: much less than a hang.
const promptly = 20 * time.Second

// TestCalledOff: a reading that is called off returns the context's error at
// once, whatever the layers hang in, and leaves nothing behind.
func TestCalledOff(t *testing.T) {
	base := plainLayer(archive(t, "dir usr/"))
	for name, layer := range hanging(t) {
		for _, list := range [][]layers.Layer{{layer}, {base, layer, layer, layer, layer, layer, layer}, {layer, base}} {
			t.Run(name, func(t *testing.T) {
				noLeak(t)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				start := time.Now()
				_, err := layers.Flatten(ctx, list, layers.Options{Jobs: 4})
				var placed *layers.Error
				if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &placed) {
					t.Errorf("error %v, want the context's, without a layer", err)
				}
				if took := time.Since(start); took > promptly {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errMine)
	if _, err := layers.Flatten(ctx, []layers.Layer{base}, layers.Options{}); !errors.Is(err, errMine) {
		t.Errorf("error %v, want the cause of calling off", err)
	}
}

// TestFaultBesideHang: an error in one layer ends the reading at once, though
// another hangs, and it is the error that is returned.
func TestFaultBesideHang(t *testing.T) {
	base := plainLayer(archive(t, "dir usr/"))
	bad := plainLayer(archive(t, "file usr/a", "file usr/x field.checksum=1"))
	for name, slow := range hanging(t) {
		for i, list := range [][]layers.Layer{{slow, bad}, {bad, slow}, {base, slow, slow, bad, slow}} {
			t.Run(name, func(t *testing.T) {
				noLeak(t)
				start := time.Now()
				_, err := layers.Flatten(t.Context(), list, layers.Options{Jobs: 8})
				checkPlaced(t, err, []int{1, 0, 3}[i], list, "")
				if !errors.Is(err, layers.ErrArchive) {
					t.Errorf("error %v, want ErrArchive", err)
				}
				if took := time.Since(start); took > promptly {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
	// What only the merge finds ends it, too.
	list := []layers.Layer{plainLayer(archive(t, "file absent/a")), hanging(t)["in the middle"]}
	noLeak(t)
	_, err := layers.Flatten(t.Context(), list, layers.Options{})
	checkPlaced(t, err, 0, list, "absent/a")
}
