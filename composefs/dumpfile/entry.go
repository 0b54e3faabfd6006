// SPDX-License-Identifier: Apache-2.0

package dumpfile

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// entry is what a line says, before anything is compared with other lines. Its
// slices may point into the line.
type entry struct {
	path []byte
	link []byte // of a hard link, the path that has the inode; nil for others

	kind    tree.Kind
	size    uint64 // bytes
	nlink   uint64
	rdev    uint64
	meta    tree.Meta // without attributes
	payload []byte    // nil if there is none
	content []byte    // nil if there is none
	digest  []byte    // in hexadecimal; nil if there is none
	xattrs  []tree.Xattr
}

// parser takes the fields off a line. After the first error, err, its methods
// do nothing and return zero values.
type parser struct {
	rest []byte
	end  bool // nothing is left, not even an empty field
	err  error
}

// parseEntry parses a line. Where it fails after the path, the entry has the
// path.
func parseEntry(line []byte) (e entry, err error) {
	p := parser{rest: line}
	e.path = p.path("path")
	e.size = p.uint("size", 10, 64)
	mode, isLink := p.mode()
	if isLink {
		e.link = p.link(mode)
		return e, p.err
	}
	e.nlink = p.uint("nlink", 10, 32)
	e.meta.Mode = mode & permMask
	e.meta.UID = uint32(p.uint("uid", 10, 32))
	e.meta.GID = uint32(p.uint("gid", 10, 32))
	e.rdev = p.uint("rdev", 10, 64)
	e.meta.MtimeSec, e.meta.MtimeNsec = p.mtime()
	e.payload = p.optional("payload")
	e.content = p.optional("content")
	e.digest = p.optional("digest")
	e.xattrs = p.xattrs()
	if p.err != nil {
		return e, p.err
	}
	kind, ok := tree.KindOfMode(mode)
	if !ok {
		return e, fmt.Errorf("mode %o: %w", mode, ErrType)
	}
	e.kind = kind
	return e, nil
}

func (p *parser) fail(field string, err error) {
	if p.err == nil {
		p.err = fmt.Errorf("%s: %w", field, err)
	}
}

// field returns the next field, as it is written.
func (p *parser) field(name string) []byte {
	if p.err != nil {
		return nil
	}
	if p.end {
		p.fail(name, fmt.Errorf("%w: the line ends before it", ErrField))
		return nil
	}
	field, rest, found := bytes.Cut(p.rest, []byte{' '})
	p.rest, p.end = rest, !found
	return field
}

// uint returns a field that is a number of so many bits.
func (p *parser) uint(name string, base, bits int) uint64 {
	field := p.field(name)
	if p.err != nil {
		return 0
	}
	n, err := strconv.ParseUint(string(field), base, bits)
	if err != nil {
		p.fail(name, fmt.Errorf("%w: %s is no number of base %d and %d bits", ErrField, quote(field), base, bits))
	}
	return n
}

// mode returns the mode, and whether it has the mark of a hard link.
func (p *parser) mode() (mode uint32, isLink bool) {
	if len(p.rest) > 0 && p.rest[0] == linkMark {
		p.rest = p.rest[1:]
		isLink = true
	}
	return uint32(p.uint("mode", 8, 32)), isLink
}

// link returns the target of a hard link, whose fields before and after that
// are not looked at.
func (p *parser) link(mode uint32) []byte {
	if kind, ok := tree.KindOfMode(mode); ok && kind == tree.Directory {
		p.fail("mode", fmt.Errorf("%w: a directory", ErrLinkTarget))
	}
	for _, name := range []string{"nlink", "uid", "gid", "rdev", "mtime"} {
		p.field(name)
	}
	return p.path("payload")
}

func (p *parser) mtime() (sec int64, nsec uint32) {
	field := p.field("mtime")
	if p.err != nil {
		return 0, 0
	}
	before, after, found := bytes.Cut(field, []byte{'.'})
	sec, errSec := strconv.ParseInt(string(before), 10, 64)
	n, errNsec := strconv.ParseUint(string(after), 10, 64)
	switch {
	case !found || errSec != nil || errNsec != nil:
		p.fail("mtime", fmt.Errorf("%w: %s is not seconds, a point and nanoseconds", ErrField, quote(field)))
	case n >= 1e9:
		p.fail("mtime", tree.ErrMtime)
	}
	return sec, uint32(n)
}

// text returns what a field stands for.
func (p *parser) text(name string) []byte {
	field := p.field(name)
	if p.err != nil {
		return nil
	}
	b, err := unescape(field)
	if err != nil {
		p.fail(name, err)
		return nil
	}
	return b
}

// optional returns what a field stands for that may be absent, nil if it is.
func (p *parser) optional(name string) []byte {
	if field, _, _ := bytes.Cut(p.rest, []byte{' '}); string(field) == none {
		p.field(name)
		return nil
	}
	b := p.text(name)
	if p.err == nil && len(b) == 0 {
		p.fail(name, fmt.Errorf("%w: it is empty, not %q", ErrField, none))
	}
	return b
}

// path returns a field that is the path of a file in the dump.
func (p *parser) path(name string) []byte {
	b := p.text(name)
	if p.err != nil {
		return nil
	}
	if err := checkPath(b); err != nil {
		p.fail(name, fmt.Errorf("%s: %w", quote(b), err))
		return nil
	}
	return b
}

// checkPath checks that the path begins with a slash, and that all names in it
// are what directories can hold. The error wraps ErrPath, ErrNUL, tree.ErrName
// or tree.ErrDepth.
func checkPath(path []byte) error {
	if len(path) == 0 || path[0] != '/' {
		return ErrPath
	}
	if bytes.IndexByte(path, 0) >= 0 {
		return ErrNUL
	}
	if len(path) == 1 {
		return nil
	}
	depth := 0
	for name := range bytes.SplitSeq(path[1:], []byte{'/'}) {
		switch depth++; {
		case len(name) == 0, string(name) == ".", string(name) == "..":
			return ErrPath
		case len(name) > tree.NameMax:
			return tree.ErrName
		case depth > tree.DepthMax:
			return tree.ErrDepth
		}
	}
	return nil
}

// xattrs returns the attributes, which all that is left of the line must be.
func (p *parser) xattrs() []tree.Xattr {
	var list []tree.Xattr
	var names int // bytes
	for p.err == nil && !p.end {
		x, err := parseXattr(p.field("attributes"))
		if err != nil {
			p.fail("attributes", err)
			break
		}
		list = append(list, x)
		if names += len(x.Name); names > XattrListMax {
			p.fail("attributes", fmt.Errorf("%w: names of more than %d bytes", ErrLimit, XattrListMax))
		}
	}
	if name, again := tree.Repeated(list); again {
		p.fail("attributes", fmt.Errorf("%s: %w", quote([]byte(name)), ErrDuplicate))
	}
	return list
}

func parseXattr(field []byte) (tree.Xattr, error) {
	before, after, found := bytes.Cut(field, []byte{'='})
	if !found {
		return tree.Xattr{}, fmt.Errorf("%w: %s has no equals sign", ErrField, quote(field))
	}
	name, err := unescape(before)
	if err != nil {
		return tree.Xattr{}, err
	}
	value, err := unescape(after)
	switch {
	case err != nil:
	case bytes.IndexByte(name, 0) >= 0:
		err = ErrNUL
	case len(name) > XattrNameMax:
		err = fmt.Errorf("%w: a name of %d bytes, at most %d", ErrLimit, len(name), XattrNameMax)
	case len(value) > XattrValueMax:
		err = fmt.Errorf("%w: a value of %d bytes, at most %d", ErrLimit, len(value), XattrValueMax)
	}
	if err != nil {
		return tree.Xattr{}, fmt.Errorf("%s: %w", quote(before), err)
	}
	return tree.Xattr{Name: string(name), Value: string(value)}, nil
}
