// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Codec is how a layer is compressed, which its media type says.
type Codec uint8

// The codecs.
const (
	Plain Codec = iota
	Gzip
	Zstd
)

// A Compression is how a layer is stored.
type Compression struct {
	Codec Codec
	Level int // of compress/gzip or zstd.EncoderLevel
	Parts int // gzip members or zstd frames, at least 1
	// Skippable puts frames of other data in front of, between and behind the
	// zstd frames.
	Skippable bool
	// NonDistributable uses the media type that the image specification
	// deprecated.
	NonDistributable bool
	Damage           Damage
}

// Damage is what is wrong with a compressed layer, though its digest is right.
type Damage uint8

// The damages; DamageNone is none.
const (
	DamageNone Damage = iota
	DamageChecksum
	DamageTruncated
	DamageMediaType
)

// mediaTypes are those of the image specification, by codec.
var mediaTypes = [...]string{
	Plain: "application/vnd.oci.image.layer.v1.tar",
	Gzip:  "application/vnd.oci.image.layer.v1.tar+gzip",
	Zstd:  "application/vnd.oci.image.layer.v1.tar+zstd",
}

var nonDistributable = [...]string{
	Plain: "application/vnd.oci.image.layer.nondistributable.v1.tar",
	Gzip:  "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	Zstd:  "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
}

// mediaType returns what the manifest says of the layer.
func (c Compression) mediaType() string {
	codec := c.Codec
	if c.Damage == DamageMediaType {
		codec = (codec + 1) % Codec(len(mediaTypes))
	}
	if c.NonDistributable {
		return nonDistributable[codec]
	}
	return mediaTypes[codec]
}

// compress returns the blob of a tar stream.
func (c Compression) compress(tar []byte) ([]byte, error) {
	var out bytes.Buffer
	parts := max(c.Parts, 1)
	for i := range parts {
		part := tar[len(tar)*i/parts : len(tar)*(i+1)/parts]
		if err := c.writePart(&out, part); err != nil {
			return nil, err
		}
	}
	if c.Codec == Zstd && c.Skippable {
		writeSkippable(&out)
	}
	blob := out.Bytes()
	switch c.Damage {
	case DamageNone, DamageMediaType:
	case DamageChecksum: // gzip: the CRC is followed by four bytes of length
		blob[len(blob)-5] ^= 0xff
	case DamageTruncated:
		blob = blob[:len(blob)-min(len(blob), 6)]
	}
	return blob, nil
}

// writePart writes one gzip member or zstd frame.
func (c Compression) writePart(out *bytes.Buffer, part []byte) error {
	switch c.Codec {
	case Plain:
		out.Write(part)
	case Gzip:
		w, err := gzip.NewWriterLevel(out, c.Level)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		if err := w.Close(); err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
	case Zstd:
		if c.Skippable {
			writeSkippable(out)
		}
		w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevel(c.Level)), zstd.WithZeroFrames(true))
		if err != nil {
			return fmt.Errorf("zstd: %w", err)
		}
		out.Write(w.EncodeAll(part, nil))
	}
	return nil
}

// writeSkippable writes a skippable frame (RFC 8878, section 3.1.2).
func writeSkippable(out *bytes.Buffer) {
	const magic = 0x184D2A50
	const text = "not a part of the layer"
	frame := binary.LittleEndian.AppendUint32(nil, magic+5)
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(text)))
	out.Write(append(frame, text...))
}
