// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
)

// TestEncodersFollowStructs: the structs document the format, the encoders
// write it; both must say the same, in the size that the constants give. What
// parses it gives the struct back.
func TestEncodersFollowStructs(t *testing.T) {
	for _, tc := range []struct {
		st    any
		enc   func(any) []byte
		parse func([]byte) any
		size  int
	}{
		{&disk.Header{}, func(v any) []byte { return v.(*disk.Header).AppendTo(nil) }, func(b []byte) any { v := disk.ParseHeader(b); return &v }, disk.HeaderSize},
		{&disk.Superblock{}, func(v any) []byte { return v.(*disk.Superblock).AppendTo(nil) }, func(b []byte) any { v := disk.ParseSuperblock(b); return &v }, disk.SuperblockSize},
		{&disk.CompactInode{}, func(v any) []byte { return v.(*disk.CompactInode).AppendTo(nil) }, func(b []byte) any { v := disk.ParseCompactInode(b); return &v }, disk.CompactInodeSize},
		{&disk.ExtendedInode{}, func(v any) []byte { return v.(*disk.ExtendedInode).AppendTo(nil) }, func(b []byte) any { v := disk.ParseExtendedInode(b); return &v }, disk.ExtendedInodeSize},
		{&disk.XattrHeader{}, func(v any) []byte { return v.(*disk.XattrHeader).AppendTo(nil) }, func(b []byte) any { v := disk.ParseXattrHeader(b); return &v }, disk.XattrHeaderSize},
		{&disk.XattrEntry{}, func(v any) []byte { return v.(*disk.XattrEntry).AppendTo(nil) }, func(b []byte) any { v := disk.ParseXattrEntry(b); return &v }, disk.XattrEntrySize},
		{&disk.Dirent{}, func(v any) []byte { return v.(*disk.Dirent).AppendTo(nil) }, func(b []byte) any { v := disk.ParseDirent(b); return &v }, disk.DirentSize},
	} {
		t.Run(fmt.Sprintf("%T", tc.st), func(t *testing.T) {
			// Every named field gets a value of its own, in every byte.
			v := reflect.ValueOf(tc.st).Elem()
			next := uint64(0)
			for i := range v.NumField() {
				if v.Type().Field(i).Name == "_" {
					continue
				}
				n := uint64(0)
				for range v.Field(i).Type().Size() {
					next++
					n = n<<8 | next
				}
				v.Field(i).SetUint(n)
			}
			want, err := binary.Append(nil, binary.LittleEndian, tc.st)
			if err != nil {
				t.Fatal(err)
			}
			if got := tc.enc(tc.st); !bytes.Equal(got, want) || len(got) != tc.size {
				t.Errorf("encoder wrote %d bytes\n%x, the struct has %d bytes\n%x", len(got), got, len(want), want)
			}
			if got := tc.parse(want); !reflect.DeepEqual(got, tc.st) {
				t.Errorf("parsed %+v, want %+v", got, tc.st)
			}
		})
	}
}
