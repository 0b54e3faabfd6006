// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// rawXattr is an xattr as the image has it, under its whole name.
type rawXattr struct {
	tree.Xattr
	bit uint32 // of the name filter
}

// readXattrs reads what stands behind the inode, which is at most 256 KiB, and
// the shared xattrs that it refers to.
func (r *reader) readXattrs(n *inode, at uint64) error {
	if n.xattrsSize == 0 {
		return nil
	}
	b, err := r.src.bytes(at, n.xattrsSize)
	if err != nil {
		return err
	}
	h := disk.ParseXattrHeader(b)
	b = b[disk.XattrHeaderSize:]
	sharedSize := int(h.SharedCount) * disk.XattrWord
	if sharedSize > len(b) {
		return fmt.Errorf("%w: %d shared ones, in %d bytes", ErrXattr, h.SharedCount, len(b))
	}
	references := slices.Clone(b[:sharedSize])
	for own := b[sharedSize:]; len(own) > 0; {
		x, size, err := r.parseXattr(own)
		if err != nil {
			return err
		}
		n.xattrs = append(n.xattrs, x)
		own = own[min(len(own), (size+disk.XattrWord-1)/disk.XattrWord*disk.XattrWord):]
	}
	for ; len(references) > 0; references = references[disk.XattrWord:] {
		x, err := r.sharedXattr(uint64(r.sb.XattrBlock)*disk.BlockSize +
			uint64(binary.LittleEndian.Uint32(references))*disk.XattrWord)
		if err != nil {
			return err
		}
		n.xattrs = append(n.xattrs, x)
	}
	for _, x := range n.xattrs {
		if h.NameFilter&x.bit != 0 {
			return fmt.Errorf("%w: the filter of names hides %q", ErrXattr, x.Name)
		}
	}
	return nil
}

// parseXattr returns the xattr that b begins with, and how many bytes it takes.
func (r *reader) parseXattr(b []byte) (x rawXattr, size int, err error) {
	if len(b) < disk.XattrEntrySize {
		return x, 0, fmt.Errorf("%w: %d bytes are left", ErrXattr, len(b))
	}
	e := disk.ParseXattrEntry(b)
	size = disk.XattrEntrySize + int(e.NameLen) + int(e.ValueSize)
	if size > len(b) {
		return x, 0, fmt.Errorf("%w: one of %d bytes, %d are left", ErrXattr, size, len(b))
	}
	if int(e.NameIndex) >= len(disk.Prefixes) || e.NameIndex == disk.PrefixLustre && !r.lustrePrefix {
		return x, 0, fmt.Errorf("%w: prefix %d", ErrXattr, e.NameIndex)
	}
	rest := string(b[disk.XattrEntrySize:][:e.NameLen])
	x.Name = disk.Prefixes[e.NameIndex] + rest
	x.Value = string(b[disk.XattrEntrySize+int(e.NameLen) : size])
	x.bit = filterBit(e.NameIndex, rest)
	return x, size, nil
}

func (r *reader) sharedXattr(at uint64) (rawXattr, error) {
	if x, ok := r.shared[at]; ok {
		return x, nil
	}
	b, err := r.src.bytes(at, disk.XattrEntrySize)
	if err != nil {
		return rawXattr{}, err
	}
	e := disk.ParseXattrEntry(b)
	size := disk.XattrEntrySize + uint64(e.NameLen) + uint64(e.ValueSize)
	if err := r.src.take(at, size); err != nil {
		return rawXattr{}, err
	}
	if b, err = r.src.bytes(at, size); err != nil {
		return rawXattr{}, err
	}
	x, _, err := r.parseXattr(b)
	if err != nil {
		return x, err
	}
	r.shared[at] = x
	return x, nil
}

// attributes are those of an inode of the tree, and what overlayfs has of its
// own to find the content of a file.
type attributes struct {
	list []tree.Xattr

	metacopy, redirect *string
	sum                []byte // digest of the object
}

func (a *attributes) isObject() bool { return a.metacopy != nil || a.redirect != nil }

// storage is how a file is stored that isObject.
func (a *attributes) storage() tree.Storage {
	switch {
	case a.redirect == nil:
		return tree.Sparse
	case *a.metacopy == "":
		return tree.Unverified
	}
	return tree.External
}

// has reports whether the inode has all of these.
func (n *inode) has(xattrs []tree.Xattr) bool {
	for _, want := range xattrs {
		if !slices.ContainsFunc(n.xattrs, func(x rawXattr) bool { return x.Xattr == want }) {
			return false
		}
	}
	return true
}

// attributesOf returns what the inode has besides those that the format added,
// each of which goes once.
func (r *reader) attributesOf(n *inode, added []tree.Xattr) (attributes, error) {
	var a attributes
	added = slices.Clone(added)
	for i := range n.xattrs {
		x := n.xattrs[i].Xattr
		if at := slices.Index(added, x); at >= 0 {
			added = slices.Delete(added, at, at+1)
			continue
		}
		switch rest, escaped := strings.CutPrefix(x.Name, escapePrefix); {
		case escaped:
			x.Name = overlayPrefix + rest
		case x.Name == metacopyName && a.metacopy == nil:
			a.metacopy = &x.Value
			continue
		case x.Name == redirectName && a.redirect == nil:
			a.redirect = &x.Value
			continue
		case strings.HasPrefix(x.Name, overlayPrefix):
			return a, fmt.Errorf("%w: overlayfs acts on %q", ErrXattr, x.Name)
		}
		if err := r.keep(len(x.Name) + len(x.Value)); err != nil {
			return a, err
		}
		a.list = append(a.list, x)
	}
	if name, again := tree.Repeated(a.list); again {
		return a, fmt.Errorf("%w: %q is there twice", ErrXattr, name)
	}
	var err error
	if a.isObject() {
		err = r.readObject(&a)
	}
	return a, err
}

// readObject finds the digest of a file's object.
func (r *reader) readObject(a *attributes) error {
	switch {
	case a.metacopy == nil:
		return fmt.Errorf("%w: %s without %s", ErrObject, redirectName, metacopyName)
	case a.redirect == nil && *a.metacopy == "":
		return nil // a sparse file
	case a.redirect == nil:
		return fmt.Errorf("%w: %s without %s", ErrObject, metacopyName, redirectName)
	}
	alg, sum, ok := objectOf(*a.redirect)
	if !ok {
		return fmt.Errorf("%w: the %s %.200q", ErrObject, redirectName, *a.redirect)
	}
	if *a.metacopy != "" && *a.metacopy != string(appendMetacopy(nil, alg, sum)) {
		return fmt.Errorf("%w: the %s %.200q, the %s %x", ErrObject, redirectName, *a.redirect, metacopyName, *a.metacopy)
	}
	if len(r.algs) > 1 {
		return algorithmError(alg)
	}
	if r.algs[0] != alg {
		return fmt.Errorf("%w: of %s, others are of %s", ErrObject, alg, r.algs[0])
	}
	a.sum = sum
	return nil
}

// objectOf returns the digest that names the object at that path.
func objectOf(path string) (alg fsverity.Algorithm, sum []byte, ok bool) {
	for _, alg := range []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256} {
		if len(path) != redirectLen(alg) {
			continue
		}
		sum, err := hex.DecodeString(path[1:3] + path[4:])
		if err == nil && path == string(appendRedirect(nil, sum)) {
			return alg, sum, true
		}
	}
	return 0, nil, false
}
