// SPDX-License-Identifier: Apache-2.0

package tarscan

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Errors of PAX headers.
var (
	ErrPAX    = errors.New("malformed PAX extended header")
	ErrSparse = errors.New("a sparse file, which hosts refuse; make the archive without sparse files (GNU tar: no --sparse)")
)

// pax is what an extended header says of its entry.
type pax struct {
	path, linkpath []byte // nil where it says nothing
	sparseName     []byte
	size           *uint64
	uid, gid       *uint64
	mtimeSec       *uint64
	mtimeNsec      uint32
	xattrs         []Xattr

	sawMtime     bool
	sparseMap    bool // it describes holes, in the older ways
	sparseOffset bool // an offset waits for its length
	sparseMajor  *uint64
	sparseMinor  *uint64
}

// sparse reports whether the header describes a sparse file in any of GNU's
// three ways.
func (p *pax) sparse() bool {
	v1 := p.sparseMajor != nil && *p.sparseMajor == 1 && p.sparseMinor != nil && *p.sparseMinor == 0
	return v1 || p.sparseMap
}

// parsePAX reads the records of an extended header. What follows a record
// without a readable length is ignored.
func parsePAX(data []byte) (*pax, error) {
	p := &pax{}
	for len(data) > 0 {
		space := bytes.IndexByte(data, ' ')
		if space < 0 {
			break
		}
		length, ok := recordLength(data[:space])
		if !ok {
			break
		}
		if length > uint64(len(data)) || length < uint64(space+2) || data[length-1] != '\n' {
			return nil, ErrPAX
		}
		key, value, found := bytes.Cut(data[space+1:length-1], []byte("="))
		if !found || !utf8.Valid(key) {
			return nil, ErrPAX
		}
		if err := p.add(string(key), value); err != nil {
			return nil, err
		}
		data = data[length:]
	}
	return p, nil
}

func recordLength(b []byte) (n uint64, ok bool) {
	n, err := parseUint(b, 10)
	return n, err == nil
}

func (p *pax) add(key string, value []byte) error {
	var err error
	switch key {
	case "path":
		p.path = notNil(value)
	case "linkpath":
		p.linkpath = notNil(value)
	case "size":
		p.size, err = parsePAXNumber(key, value)
	case "uid":
		p.uid, err = parsePAXNumber(key, value)
	case "gid":
		p.gid, err = parsePAXNumber(key, value)
	case "mtime":
		err = p.addMtime(value)
	default:
		if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			p.xattrs = append(p.xattrs, Xattr{name, string(value)})
		} else if name, ok := strings.CutPrefix(key, "GNU.sparse."); ok {
			err = p.addSparse(name, value)
		}
	}
	return err
}

func (p *pax) addSparse(name string, value []byte) error {
	var err error
	switch name {
	case "major", "minor":
		err = p.addSparseVersion(name, value)
	case "name":
		p.sparseName = notNil(value)
	case "realsize", "size":
		_, err = parsePAXNumber("GNU.sparse."+name, value)
	case "offset":
		_, err = parsePAXNumber("GNU.sparse.offset", value)
		p.sparseOffset = err == nil
	case "numbytes":
		_, err = parsePAXNumber("GNU.sparse.numbytes", value)
		p.sparseMap = p.sparseMap || p.sparseOffset
		p.sparseOffset = false
	case "map":
		p.sparseMap = true
	}
	return err
}

// addSparseVersion takes half of a version. What comes after both halves is not
// looked at.
func (p *pax) addSparseVersion(name string, value []byte) error {
	if p.sparseMajor != nil && p.sparseMinor != nil {
		return nil
	}
	n, err := parsePAXNumber("GNU.sparse."+name, value)
	if name == "major" {
		p.sparseMajor = n
	} else {
		p.sparseMinor = n
	}
	return err
}

// addMtime: of several records the last gives the seconds, and the first the
// fraction.
func (p *pax) addMtime(value []byte) error {
	sec, frac, _ := bytes.Cut(value, []byte("."))
	n, err := parseUint(sec, 10)
	if err != nil || !utf8.Valid(value) {
		return badValue("mtime", value)
	}
	p.mtimeSec = &n
	if !p.sawMtime {
		p.sawMtime = true
		if len(frac) > nanoDigits && !utf8.RuneStart(frac[nanoDigits]) {
			return badValue("mtime", value) // where the reference stops in a panic
		}
		p.mtimeNsec = parseFraction(frac)
	}
	return nil
}

// nanoDigits is how many digits of a fraction of a second count.
const nanoDigits = 9

// parseFraction returns the nanoseconds that the digits after the point mean;
// what is no number means none.
func parseFraction(frac []byte) uint32 {
	frac = frac[:min(len(frac), nanoDigits)]
	n, err := parseUint(frac, 10)
	if err != nil || n > math.MaxUint32 {
		return 0
	}
	for range nanoDigits - len(frac) {
		n *= 10
	}
	return uint32(n)
}

func parsePAXNumber(key string, value []byte) (*uint64, error) {
	n, err := parseUint(value, 10)
	if err != nil {
		return nil, badValue(key, value)
	}
	return &n, nil
}

func badValue(key string, value []byte) error {
	return fmt.Errorf("%w: %s is %q", ErrPAX, key, value)
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
