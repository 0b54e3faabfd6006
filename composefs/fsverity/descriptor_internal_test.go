// SPDX-License-Identifier: Apache-2.0

package fsverity

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// TestDescriptorLayout: the struct documents the bytes that the encoder writes.
func TestDescriptorLayout(t *testing.T) {
	d := descriptor{Version: 1, HashAlgorithm: 2, LogBlockSize: 12, SaltSize: 3, DataSize: 0x0102030405060708}
	for i := range d.RootHash {
		d.RootHash[i] = byte(i + 1)
	}
	d.Salt[5] = 9
	want, err := binary.Append(nil, binary.LittleEndian, &d)
	if err != nil {
		t.Fatal(err)
	}
	got := d.appendTo(nil)
	if !bytes.Equal(got, want) || len(got) != descriptorSize {
		t.Errorf("encoder wrote %x, the struct is %x", got, want)
	}
}
