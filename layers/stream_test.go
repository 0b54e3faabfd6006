// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/cfs-label/cfs-label/internal/oracle"
	"github.com/cfs-label/cfs-label/layers"
)

// skippable makes a zstd frame that is to be skipped (RFC 8878, 3.1.2).
func skippable(magic byte, data string) []byte {
	return append([]byte{magic, 0x2a, 0x4d, 0x18, byte(len(data)), 0, 0, 0}, data...)
}

// windowFrame makes a zstd frame with a window of the given descriptor (RFC
// 8878, 3.1.1.1.2), whose blocks are raw.
func windowFrame(window byte, data []byte) []byte {
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, window}
	for {
		n := min(len(data), 64<<10)
		header := n << 3
		if n == len(data) {
			header |= 1 // the last
		}
		b = append(b, byte(header), byte(header>>8), byte(header>>16))
		b = append(b, data[:n]...)
		if data = data[n:]; len(data) == 0 {
			return b
		}
	}
}

// Window descriptors: the exponent over 1 KiB, and eighths of that.
const (
	window128MiB = 17 << 3
	window144MiB = 17<<3 | 1
	window256MiB = 18 << 3
)

func join(pieces ...[]byte) []byte { return bytes.Join(pieces, nil) }

// damaged returns blob with a byte in the middle changed.
func damaged(blob []byte) []byte {
	blob = bytes.Clone(blob)
	blob[len(blob)/2] ^= 0x55
	return blob
}

// stored is a way in which a layer is stored under a media type.
type stored struct {
	rule string
	as   layers.Compression
	blob []byte
	err  error // nil if it is right
	// empty tells that the layer is one without a byte.
	empty bool
}

// layer makes the layer, and tells the archive that is in it.
func (s *stored) layer(tar []byte) layers.Layer {
	if s.empty {
		tar = nil
	}
	return newLayer(tar, s.blob, s.as)
}

// ways are right and wrong ways to store the archive; the blob has the digest
// that the manifest says in all.
func ways(t *testing.T, tar []byte) []stored {
	t.Helper()
	const plain, gz, zs = layers.Plain, layers.Gzip, layers.Zstd
	member, frame := gzipMember(t, tar), zstdFrame(t, tar)
	first, second := tar[:700], tar[700:]
	members := join(gzipMember(t, first), gzipMember(t, second))
	frames := join(zstdFrame(t, first), zstdFrame(t, second))
	checked := zstdFrame(t, tar, zstd.WithEncoderCRC(true))
	return []stored{
		{rule: "plain", as: plain, blob: tar},
		{rule: "gzip", as: gz, blob: member},
		{rule: "several gzip members", as: gz, blob: members},
		{rule: "an empty gzip member", as: gz, blob: join(gzipMember(t, nil), member, gzipMember(t, nil))},
		{rule: "zstd", as: zs, blob: frame},
		{rule: "several zstd frames", as: zs, blob: frames},
		{rule: "an empty zstd frame", as: zs, blob: join(zstdFrame(t, nil), frame)},
		{rule: "a skippable frame in front", as: zs, blob: join(skippable(0x50, "in front"), frame)},
		{rule: "skippable frames of all magics", as: zs, blob: join(skippable(0x51, ""), zstdFrame(t, first), skippable(0x58, "between"), zstdFrame(t, second), skippable(0x5f, "behind"))},
		{rule: "a window of 128 MiB", as: zs, blob: windowFrame(window128MiB, tar)},

		{rule: "a window of 144 MiB", as: zs, blob: windowFrame(window144MiB, tar), err: layers.ErrCorrupt},
		{rule: "a window of 256 MiB", as: zs, blob: windowFrame(window256MiB, tar), err: layers.ErrCorrupt},
		{rule: "gzip, a byte changed", as: gz, blob: damaged(member), err: layers.ErrCorrupt},
		{rule: "gzip, the checksum changed", as: gz, blob: join(member[:len(member)-8], []byte{1, 2, 3, 4}, member[len(member)-4:]), err: layers.ErrCorrupt},
		{rule: "gzip, the length changed", as: gz, blob: join(member[:len(member)-1], []byte{99}), err: layers.ErrCorrupt},
		{rule: "gzip, the end cut off", as: gz, blob: member[:len(member)-3], err: layers.ErrCorrupt},
		{rule: "gzip, the second member damaged", as: gz, blob: join(gzipMember(t, first), damaged(gzipMember(t, second))), err: layers.ErrCorrupt},
		{rule: "gzip, junk behind it", as: gz, blob: join(member, []byte("junk behind the member")), err: layers.ErrCorrupt},
		{rule: "gzip, only its header", as: gz, blob: member[:10], err: layers.ErrCorrupt},
		{rule: "nothing, for plain", as: plain, empty: true},
		{rule: "nothing, for gzip", as: gz, empty: true, err: layers.ErrCorrupt},
		{rule: "nothing, for zstd", as: zs, empty: true, err: layers.ErrCorrupt},
		{rule: "gzip, zeros behind it", as: gz, blob: join(member, make([]byte, 100)), err: layers.ErrCorrupt},
		{rule: "zstd, zeros behind it", as: zs, blob: join(frame, make([]byte, 100)), err: layers.ErrCorrupt},
		{rule: "zstd, only a skippable frame", as: zs, empty: true, blob: skippable(0x50, "alone")},
		{rule: "gzip, an empty member", as: gz, empty: true, blob: gzipMember(t, nil)},
		{rule: "zstd, an empty frame", as: zs, empty: true, blob: zstdFrame(t, nil)},
		{rule: "zstd, a byte changed", as: zs, blob: damaged(checked), err: layers.ErrCorrupt},
		{rule: "zstd, the checksum changed", as: zs, blob: join(checked[:len(checked)-1], []byte{^checked[len(checked)-1]}), err: layers.ErrCorrupt},
		{rule: "zstd, the end cut off", as: zs, blob: checked[:len(checked)-3], err: layers.ErrCorrupt},
		{rule: "zstd, the second frame damaged", as: zs, blob: join(frame, frame[:4], bytes.Repeat([]byte{0xff}, 32)), err: layers.ErrCorrupt},
		{rule: "zstd, junk behind it", as: zs, blob: join(frame, []byte("junk behind the frame")), err: layers.ErrCorrupt},
		{rule: "gzip declared, zstd in it", as: gz, blob: frame, err: layers.ErrCompression},
		{rule: "gzip declared, plain", as: gz, blob: tar, err: layers.ErrCompression},
		{rule: "zstd declared, gzip in it", as: zs, blob: member, err: layers.ErrCompression},
		{rule: "zstd declared, plain", as: zs, blob: tar, err: layers.ErrCompression},
		{rule: "plain declared, gzip in it", as: plain, blob: member, err: layers.ErrCompression},
		{rule: "plain declared, zstd in it", as: plain, blob: frame, err: layers.ErrCompression},
		{rule: "plain declared, zstd with a skippable frame in front", as: plain, blob: join(skippable(0x50, "x"), frame), err: layers.ErrCompression},
	}
}

// storedArchive has content that compresses, but not to nothing.
func storedArchive(t *testing.T) []byte {
	t.Helper()
	var text strings.Builder
	for i := range 2000 {
		text.WriteString(strings.Repeat(string(rune('a'+i%26)), i%7))
	}
	return archive(t, "dir usr/", `file usr/a "`+text.String()+`"`)
}

// TestStored: a layer is read whatever the way in which it is stored, as long
// as its media type says so. A second layer that is the first in another way, or
// that is empty, changes nothing.
func TestStored(t *testing.T) {
	tar := storedArchive(t)
	_, want, err := dumps(t.Context(), []layers.Layer{plainLayer(tar)}, layers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range ways(t, tar) {
		t.Run(way.rule, func(t *testing.T) {
			noLeak(t)
			list := []layers.Layer{plainLayer(tar), way.layer(tar)}
			_, got, err := dumps(t.Context(), list, layers.Options{})
			var placed *layers.Error
			switch {
			case way.err == nil && err != nil:
				t.Fatal(err)
			case way.err == nil && got != want:
				t.Errorf("got\n%s\nwant\n%s", got, want)
			case way.err != nil && (!errors.Is(err, way.err) || !errors.As(err, &placed)):
				t.Errorf("error %v, want %v in a layer", err, way.err)
			}
		})
	}
}

// TestStoredReference: cfsctl reads and refuses the same ways.
func TestStoredReference(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	tar := storedArchive(t)
	_, want, err := dumps(t.Context(), []layers.Layer{plainLayer(tar)}, layers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range ways(t, tar) {
		t.Run(way.rule, func(t *testing.T) {
			t.Parallel()
			var image referenceImage
			image.add(plainLayer(tar), tar)
			image.add(way.layer(tar), way.blob)
			got, refused := image.dump(t, cfsctl)
			switch {
			case way.err == nil && refused != nil:
				t.Errorf("cfsctl refuses it: %v", refused)
			case way.err == nil && got != want:
				t.Errorf("cfsctl says\n%s\nwant\n%s", got, want)
			case way.err != nil && refused == nil:
				t.Errorf("cfsctl takes it:\n%s", got)
			}
		})
	}
}

// TestReaders: it does not matter in which pieces a blob comes, nor whether the
// end comes with the last of them or behind it.
func TestReaders(t *testing.T) {
	tar := storedArchive(t)
	_, want, err := dumps(t.Context(), []layers.Layer{plainLayer(tar)}, layers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"half": iotest.HalfReader, "one byte": iotest.OneByteReader, "end with the data": iotest.DataErrReader,
	} {
		for _, c := range []layers.Compression{layers.Plain, layers.Gzip, layers.Zstd} {
			blob := compress(t, c, tar)
			layer := newLayer(tar, blob, c)
			layer.Open = func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(wrap(bytes.NewReader(blob))), nil
			}
			if _, got, err := dumps(t.Context(), []layers.Layer{layer}, layers.Options{}); err != nil || got != want {
				t.Errorf("%s, %s: error %v, got\n%s\nwant\n%s", name, c, err, got, want)
			}
		}
	}
}
