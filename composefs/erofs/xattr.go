// SPDX-License-Identifier: Apache-2.0

package erofs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/OneOfOne/xxhash"

	"github.com/cfs-label/cfs-label/composefs/erofs/internal/disk"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Names that overlayfs reads (linux/Documentation/filesystems/overlayfs.rst).
// One escaped with escapePrefix is presented without it by a mount on top.
const (
	overlayPrefix = "trusted.overlay."
	escapePrefix  = "trusted.overlay.overlay."

	metacopyName = overlayPrefix + "metacopy"
	redirectName = overlayPrefix + "redirect"
	opaqueName   = overlayPrefix + "opaque"
)

// xattrs by which overlayfs takes a regular file for a whiteout, and looks for
// such files in a directory.
var (
	whiteoutFileXattrs = []tree.Xattr{
		{Name: escapePrefix + "whiteout"},
		{Name: "user.overlay.whiteout"},
	}
	whiteoutDirXattrs = []tree.Xattr{
		{Name: escapePrefix + "whiteouts"},
		{Name: "user.overlay.whiteouts"},
	}
	opaqueDirXattrs = []tree.Xattr{
		{Name: escapePrefix + "opaque", Value: "x"},
		{Name: "user.overlay.opaque", Value: "x"},
	}
)

// attr is an xattr as the image has it.
type attr struct {
	name   string // whole
	prefix uint8
	value  string
	bit    uint32 // of the name filter
	uses   int    // inodes that have it
}

// item is an xattr of an inode: a plain one is a number in xattrTable.attrs;
// the two that name an object are made from its digest when needed.
type item uint64

const (
	itemPlain item = iota << 32
	itemMetacopy
	itemRedirect
)

// itemKind is the part of an item that tells its kind.
const itemKind = 3 << 32

func (it item) id() uint32 { return uint32(it) }

// xattrTable knows the xattrs of all inodes, and which are shared: stored once
// because more than one inode has them.
type xattrTable struct {
	im      *image
	attrs   []attr
	byXattr map[tree.Xattr]item
	sets    map[tree.XattrSet][]item
	objects objectUses
	hasACL  bool

	metacopyBit, redirectBit uint32

	shared []item // in the order in which they are written
}

func newXattrTable(im *image) *xattrTable {
	t := &xattrTable{
		im:      im,
		byXattr: map[tree.Xattr]item{},
		sets:    map[tree.XattrSet][]item{},
		objects: newObjectUses(im.c, im.alg),
	}
	t.metacopyBit = t.filterBit(metacopyName)
	t.redirectBit = t.filterBit(redirectName)
	for _, n := range im.order {
		for _, it := range t.itemsOf(n) {
			t.countUse(it)
		}
	}
	t.collectShared()
	return t
}

// prefixOf returns the last prefix that the name begins with.
func (t *xattrTable) prefixOf(name string) uint8 {
	for i := len(disk.Prefixes) - 1; i > 0; i-- {
		if i == disk.PrefixLustre && !t.im.lustrePrefix {
			continue
		}
		if strings.HasPrefix(name, disk.Prefixes[i]) {
			return uint8(i)
		}
	}
	return disk.PrefixNone
}

func (t *xattrTable) filterBit(name string) uint32 {
	prefix := t.prefixOf(name)
	return filterBit(prefix, name[len(disk.Prefixes[prefix]):])
}

// filterBit returns the bit of a name in the filter of an inode's xattrs.
func filterBit(prefix uint8, suffix string) uint32 {
	return 1 << (xxhash.ChecksumString32S(suffix, disk.XattrFilterSeed+uint32(prefix)) % 32)
}

// plain returns the item of an xattr under exactly this name.
func (t *xattrTable) plain(x tree.Xattr) item {
	if it, ok := t.byXattr[x]; ok {
		return it
	}
	it := itemPlain | item(len(t.attrs))
	a := attr{name: x.Name, prefix: t.prefixOf(x.Name), value: x.Value, bit: t.filterBit(x.Name)}
	t.attrs = append(t.attrs, a)
	t.byXattr[x] = it
	t.hasACL = t.hasACL || a.prefix == disk.PrefixACLAccess || a.prefix == disk.PrefixACLDefault
	return it
}

// set returns the items of a set of the tree. What overlayfs would take for
// its own is escaped.
func (t *xattrTable) set(set tree.XattrSet) []item {
	if set == 0 {
		return nil
	}
	items, ok := t.sets[set]
	if !ok {
		for _, x := range t.im.c.XattrList(set) {
			if rest, ok := strings.CutPrefix(x.Name, overlayPrefix); ok {
				x.Name = escapePrefix + rest
			}
			items = append(items, t.plain(x))
		}
		t.sets[set] = items
	}
	return items
}

// itemsOf returns the xattrs of the node in the order in which it has them,
// valid until the next call.
func (t *xattrTable) itemsOf(n node) []item {
	im := t.im
	items := im.items[:0]
	plain := func(xattrs []tree.Xattr) {
		for _, x := range xattrs {
			items = append(items, t.plain(x))
		}
	}
	if im.isStub(n) {
		plain(im.stubs.label)
		im.items = items
		return items
	}
	ino := tree.Ino(n)
	if object, ok := im.c.Object(ino); ok {
		if im.c.Storage(ino) == tree.External {
			items = append(items, itemMetacopy|item(object))
		} else {
			items = append(items, t.plain(tree.Xattr{Name: metacopyName}))
		}
		items = append(items, itemRedirect|item(object))
	} else if im.c.Kind(ino) == tree.Regular && im.c.Storage(ino) == tree.Sparse {
		items = append(items, t.plain(tree.Xattr{Name: metacopyName}))
	}
	items = append(items, t.set(im.c.Meta(ino).Xattrs)...)
	if im.isEscaped(n) {
		plain(whiteoutFileXattrs)
	}
	if im.whiteoutDirs[n] {
		plain(whiteoutDirXattrs)
		if im.opaqueWhiteoutDirs {
			plain(opaqueDirXattrs)
		}
	}
	if im.opaqueRoot && ino == tree.Root {
		items = append(items, t.plain(tree.Xattr{Name: opaqueName, Value: "y"}))
	}
	if im.fullKeyOrder {
		slices.SortStableFunc(items, t.compare)
	}
	im.items = items
	return items
}

func (t *xattrTable) name(it item) string {
	switch it & itemKind {
	case itemMetacopy:
		return metacopyName
	case itemRedirect:
		return redirectName
	default:
		return t.attrs[it.id()].name
	}
}

// compare orders xattrs as the profile wants it.
func (t *xattrTable) compare(a, b item) int {
	an, bn := t.name(a), t.name(b)
	if t.im.fullKeyOrder {
		if c := cmp.Or(strings.Compare(an, bn), cmp.Compare(t.valueLen(a), t.valueLen(b))); c != 0 {
			return c
		}
		return t.compareValues(a, b)
	}
	ap, bp := t.prefixOf(an), t.prefixOf(bn)
	return cmp.Or(
		cmp.Compare(ap, bp),
		strings.Compare(an[len(disk.Prefixes[ap]):], bn[len(disk.Prefixes[bp]):]),
		t.compareValues(a, b),
	)
}

// compareValues compares the values of two xattrs of one name.
func (t *xattrTable) compareValues(a, b item) int {
	switch {
	case a&itemKind != b&itemKind:
		// A made value, and the empty one of a file without a digest.
		return cmp.Compare(t.valueLen(a), t.valueLen(b))
	case a&itemKind == itemPlain:
		return strings.Compare(t.attrs[a.id()].value, t.attrs[b.id()].value)
	}
	// Both values are one form of a digest, and sort as digests do.
	return bytes.Compare(t.im.c.Sum(a.id(), t.im.alg), t.im.c.Sum(b.id(), t.im.alg))
}

const metacopyHeaderSize = 4

func (t *xattrTable) valueLen(it item) int {
	switch it & itemKind {
	case itemMetacopy:
		return metacopyHeaderSize + t.im.alg.Size()
	case itemRedirect:
		return redirectLen(t.im.alg)
	default:
		return len(t.attrs[it.id()].value)
	}
}

// size returns how many bytes the xattr takes, padding included.
func (t *xattrTable) size(it item) uint64 {
	name := t.name(it)
	n := disk.XattrEntrySize + len(name) - len(disk.Prefixes[t.prefixOf(name)]) + t.valueLen(it)
	return uint64(n+disk.XattrWord-1) / disk.XattrWord * disk.XattrWord
}

// append appends the xattr without padding. A name or value that is too long
// for its length field has the field cut, as the reference does: no host can
// set such an attribute, but a tar archive can hold one.
func (t *xattrTable) append(b []byte, it item) []byte {
	name := t.name(it)
	prefix := t.prefixOf(name)
	suffix := name[len(disk.Prefixes[prefix]):]
	b = disk.XattrEntry{
		NameLen:   uint8(len(suffix)),
		NameIndex: prefix,
		ValueSize: uint16(t.valueLen(it)),
	}.AppendTo(b)
	b = append(b, suffix...)
	switch it & itemKind {
	case itemMetacopy:
		return appendMetacopy(b, t.im.alg, t.im.c.Sum(it.id(), t.im.alg))
	case itemRedirect:
		return appendRedirect(b, t.im.c.Sum(it.id(), t.im.alg))
	default:
		return append(b, t.attrs[it.id()].value...)
	}
}

// appendMetacopy appends struct ovl_metacopy, linux/fs/overlayfs/overlayfs.h:
// version, length, flags, digest algorithm, digest.
func appendMetacopy(b []byte, alg fsverity.Algorithm, sum []byte) []byte {
	b = append(b, 0, uint8(metacopyHeaderSize+len(sum)), 0, uint8(alg))
	return append(b, sum...)
}

// appendRedirect appends where an object store has the object.
func appendRedirect(b, sum []byte) []byte {
	b = append(b, '/')
	b = hex.AppendEncode(b, sum[:1])
	b = append(b, '/')
	return hex.AppendEncode(b, sum[1:])
}

// redirectLen is the length of what appendRedirect appends.
func redirectLen(alg fsverity.Algorithm) int { return len("/xx/") + 2*(alg.Size()-1) }

// bodySize returns how many bytes stand between the node's inode and its tail.
func (t *xattrTable) bodySize(n node) uint64 {
	items := t.itemsOf(n)
	if len(items) == 0 {
		return 0
	}
	size := uint64(disk.XattrHeaderSize)
	for _, it := range items {
		if t.isShared(it) {
			size += disk.XattrWord
		} else {
			size += t.size(it)
		}
	}
	return size
}

// appendBody appends what stands between the node's inode and its tail.
func (t *xattrTable) appendBody(b []byte, n node) []byte {
	items := t.itemsOf(n)
	if len(items) == 0 {
		return b
	}
	var filter uint32
	shared := 0
	for _, it := range items {
		filter |= t.bit(it)
		if t.isShared(it) {
			shared++
		}
	}
	h := disk.XattrHeader{NameFilter: ^filter, SharedCount: uint8(shared)}
	b = h.AppendTo(b)
	for _, it := range items {
		if t.isShared(it) {
			b = binary.LittleEndian.AppendUint32(b, t.reference(it))
		}
	}
	for _, it := range items {
		if !t.isShared(it) {
			end := len(b) + int(t.size(it))
			b = t.append(b, it)
			b = append(b, make([]byte, end-len(b))...)
		}
	}
	return b
}

func (t *xattrTable) bit(it item) uint32 {
	switch it & itemKind {
	case itemMetacopy:
		return t.metacopyBit
	case itemRedirect:
		return t.redirectBit
	default:
		return t.attrs[it.id()].bit
	}
}
