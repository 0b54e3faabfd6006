// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
)

// A Stack is an image: its layers, oldest first.
type Stack struct {
	Seed   uint64
	Fault  string // why a reader must refuse it, or ""
	Layers []Layer
}

// A Layer is a tar stream and how it is stored.
type Layer struct {
	Entries     []Entry
	End         End
	Compression Compression
	// Same makes the layer a copy of the one before it.
	Same bool
}

// End is what follows the last entry.
type End uint8

// The ends. EndOneBlock is a fault: a lone zero block promises another.
const (
	EndTwoBlocks End = iota
	EndRecord        // zeros up to the next multiple of 10240 bytes
	EndNone
	EndGarbage // two blocks, and bytes that are no tar
	EndOneBlock
	EndInHeader // half a header
)

// An Entry is one member of a layer.
type Entry struct {
	Type       byte
	Name, Link string
	Mode       uint64
	UID, GID   uint64
	Mtime      int64 // seconds since 1970
	Major      uint64
	Minor      uint64
	Data       Data
	Text       string   // what a file holds; if it is not empty, in place of Data
	Xattrs     []Record // by their whole PAX key

	Format  Format
	Numbers Numbers
	// Fraction follows the seconds in the PAX record of the mtime, with its
	// dot; other formats have none.
	Fraction string
	// AllPAX says everything by PAX records, and something else in the header.
	AllPAX bool
	// LongFirst puts GNU's long names before the PAX records.
	LongFirst bool
	// Records are PAX records in front of all others.
	Records []Record
	// Claim is the size that the header of an entry without content states.
	Claim uint64

	// RecordTail stands behind the PAX records: bytes that are none.
	RecordTail string

	// Before holds blocks in front of the entry, Inside such between its
	// records and its header: strayed or global ones.
	Before, Inside []byte
	// Raw stands instead of the entry, Before aside.
	Raw []byte
	// BadChecksum, Base256Device and CutData damage it.
	BadChecksum   bool
	Base256Device bool
	CutData       bool
}

// A Record is a PAX record.
type Record struct{ Key, Value string }

// Data is the content of a file: it follows from a seed, so that equal Data are
// equal content.
type Data struct {
	Size int
	Seed uint64
}

// Bytes returns the content. A third of the seeds give zeros, a third text.
func (d Data) Bytes() []byte {
	b := make([]byte, d.Size)
	switch d.Seed % 3 {
	case 0:
	case 1:
		line := "line " + strconv.FormatUint(d.Seed, 10) + "\n"
		copy(b, strings.Repeat(line, d.Size/len(line)+1))
	default:
		var key [32]byte
		binary.LittleEndian.PutUint64(key[:], d.Seed)
		_, _ = rand.NewChaCha8(key).Read(b)
	}
	return b
}

// Tar returns the tar stream of the layer.
func (l Layer) Tar() []byte {
	var b []byte
	for _, e := range l.Entries {
		b = append(b, e.Before...)
		if e.Raw != nil {
			b = append(b, e.Raw...)
			continue
		}
		b = e.appendTo(b)
		if e.CutData {
			return b
		}
	}
	zeros := func(n int) []byte { return make([]byte, n) }
	switch l.End {
	case EndNone:
	case EndTwoBlocks:
		b = append(b, zeros(2*blockSize)...)
	case EndRecord:
		const record = 20 * blockSize
		b = append(b, zeros(2*blockSize)...)
		b = append(b, zeros((record-len(b)%record)%record)...)
	case EndGarbage:
		b = append(b, zeros(2*blockSize)...)
		b = append(b, Data{Size: 1000, Seed: 2}.Bytes()...)
	case EndOneBlock:
		b = append(b, zeros(blockSize)...)
	case EndInHeader:
		b = append(b, "half-a-header"...)
	}
	return b
}

// hasContent reports whether the data of an entry of this type follows it.
func (e Entry) hasContent() bool {
	switch e.Type {
	case TypeRegular, TypeOldRegular, TypeContiguous:
		return true
	}
	return false
}

// String returns what is not zero in the entry, on one line.
func (e Entry) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q", string(rune(e.Type)), e.Name)
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		switch {
		case name == "Type" || name == "Name" || f.IsZero():
		case name == "Mode":
			fmt.Fprintf(&b, " Mode:%#o", e.Mode)
		case f.Type() == reflect.TypeFor[[]byte]():
			fmt.Fprintf(&b, " %s:%d bytes", name, f.Len())
		case f.Kind() == reflect.String || f.Kind() == reflect.Slice:
			fmt.Fprintf(&b, " %s:%.200q", name, f.Interface())
		default:
			fmt.Fprintf(&b, " %s:%+v", name, f.Interface())
		}
	}
	return b.String()
}

// endsWithContent reports whether the last entry has content, or there is none.
func (l Layer) endsWithContent() bool {
	return len(l.Entries) == 0 || len(l.Entries[len(l.Entries)-1].content()) > 0
}

// The types of entries (POSIX.1-1988, GNU tar).
const (
	TypeRegular    = '0'
	TypeOldRegular = '\x00'
	TypeLink       = '1'
	TypeSymlink    = '2'
	TypeChar       = '3'
	TypeBlock      = '4'
	TypeDirectory  = '5'
	TypeFIFO       = '6'
	TypeContiguous = '7'
	typeGlobal     = 'g'
	typeExtended   = 'x'
	typeLongName   = 'L'
	typeLongLink   = 'K'
	typeGNUSparse  = 'S'
)
