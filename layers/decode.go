// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// zstdWindowMax is the largest window that a zstd layer may ask for, in bytes:
// what libzstd allows unless told otherwise, and so what hosts can read.
const zstdWindowMax = 128 << 20

const (
	decodeBuffer  = 256 << 10 // bytes
	decodeBuffers = 6         // of a layer that are in use at once
)

// chunk is a piece of the tar archive that several goroutines read.
type chunk struct {
	data  []byte
	users atomic.Int32
	home  chan *chunk
}

// done gives the chunk back when its last user is done with it.
func (c *chunk) done() {
	if c.users.Add(-1) == 0 {
		c.home <- c // has room for all chunks there are
	}
}

// decode decompresses the stream and hands each piece to all the users.
func decode(ctx context.Context, in *stream, users []chan *chunk) error {
	defer func() {
		for _, u := range users {
			close(u)
		}
	}()
	free := make(chan *chunk, decodeBuffers)
	for range decodeBuffers {
		free <- &chunk{home: free}
	}
	in.slots <- struct{}{}
	defer func() { <-in.slots }()

	decoder, err := newDecoder(in)
	if err != nil {
		return blame(in, err)
	}
	defer decoder.Close()
	for {
		var c *chunk
		<-in.slots
		select {
		case c = <-free:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		in.slots <- struct{}{}
		if err != nil {
			return err
		}
		if c.data == nil {
			c.data = make([]byte, decodeBuffer)
		}
		n, err := fill(decoder, c.data[:decodeBuffer])
		if n > 0 {
			if err := c.send(ctx, n, users); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF: //nolint:errorlint // a reader ends with io.EOF itself
			return in.finish()
		case err != nil:
			return blame(in, err)
		}
	}
}

// fill reads until buf is full or r gives an error, which it returns as it is:
// unlike io.ReadFull it tells the end of a stream from one that was cut.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var c int
		c, err = r.Read(buf[n:])
		n += c
	}
	return n, err
}

// send hands the first n bytes of the chunk to all the users.
func (c *chunk) send(ctx context.Context, n int, users []chan *chunk) error {
	c.data = c.data[:n]
	c.users.Store(int32(len(users)))
	for _, u := range users {
		select {
		case u <- c:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// blame finds out whether a decoder's error is because the blob is not what it
// should be, which explains more.
func blame(in *stream, err error) error {
	if fetchErr := in.finish(); fetchErr != nil {
		return fetchErr
	}
	if errors.Is(err, ErrCompression) {
		return err
	}
	return fmt.Errorf("%w (%s: %w)", ErrCorrupt, in.layer.Compression, err)
}

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// sniff returns what the first bytes of a layer say of its compression. A zstd
// frame that is to be skipped may stand before the first real one (RFC 8878,
// 3.1.2).
func sniff(magic []byte) Compression {
	switch {
	case bytes.HasPrefix(magic, gzipMagic):
		return Gzip
	case bytes.HasPrefix(magic, zstdMagic),
		len(magic) == 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:], []byte{0x2a, 0x4d, 0x18}):
		return Zstd
	}
	return Plain
}

// newDecoder returns a reader of the decompressed stream. The media type says
// how it is compressed; content that says something else is an error.
func newDecoder(in *stream) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(in, 64<<10)
	magic, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	declared := in.layer.Compression
	if len(magic) == 0 && declared != Plain {
		return nil, io.ErrUnexpectedEOF // our zstd decoder would take it for an empty layer
	}
	if found := sniff(magic); len(magic) > 0 && found != declared {
		return nil, fmt.Errorf("%w: the media type says %s, the content is %s", ErrCompression, declared, found)
	}
	switch declared {
	case Gzip:
		return gzip.NewReader(buffered)
	case Zstd:
		return newZstdReader(buffered)
	case Plain:
	}
	return io.NopCloser(buffered), nil
}

// zstdDecoders are used again: each has a window of several MiB.
var zstdDecoders sync.Pool

// zstdReader is a decoder that goes back to where it came from.
type zstdReader struct{ *zstd.Decoder }

func newZstdReader(r io.Reader) (io.ReadCloser, error) {
	if d, ok := zstdDecoders.Get().(*zstd.Decoder); ok {
		return zstdReader{d}, d.Reset(r)
	}
	d, err := zstd.NewReader(r,
		zstd.WithDecoderConcurrency(1), // it starts no goroutine, so it may be dropped
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(zstdWindowMax))
	return zstdReader{d}, err
}

func (r zstdReader) Close() error {
	err := r.Reset(nil)
	zstdDecoders.Put(r.Decoder)
	return err
}
