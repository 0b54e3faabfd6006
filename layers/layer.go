// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"context"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Compression is how a layer is compressed, as its media type says.
type Compression uint8

// The compressions that hosts know.
const (
	Plain Compression = iota
	Gzip
	Zstd
)

// String names the compression.
func (c Compression) String() string {
	switch c {
	case Plain:
		return "plain tar"
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	}
	return "unknown"
}

// Layer is a layer to read.
type Layer struct {
	Digest      v1.Hash // of the blob
	Size        int64   // of the blob, in bytes
	DiffID      v1.Hash // of the tar archive
	Compression Compression

	// Foreign tells that the layer need not be in the registry.
	Foreign bool

	// Open returns the blob's bytes, which need not be right. An error that is
	// fs.ErrNotExist tells that the blob is not there.
	Open func(context.Context) (io.ReadCloser, error)
}
