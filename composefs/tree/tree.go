// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"bytes"
	"fmt"
	"hash/maphash"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// Tree is a file system under construction. Its methods panic when they are
// misused: with an inode that it does not have or that is of the wrong kind,
// or after Check.
type Tree struct{ *nodes }

// nodes is what Tree and Checked share: the data, and how to read it.
type nodes struct {
	algorithms []fsverity.Algorithm
	inodes     slab[inode]
	dentries   slab[dentry]
	names      arena // of entries, and what inline files and symlinks hold
	sums       sumTable
	xattrs     xattrSets

	// A directory's entries are those dentries that carry its key. Emptying it
	// gives it a new one: nothing needs to be found and removed.
	dirKeys uint32

	index index // dentries by directory key and name
	seed  maphash.Seed

	checked bool
}

// dentry is a name in a directory. It stays when the name is removed, and
// serves again when it comes back.
type dentry struct {
	name uint32 // in names
	dir  uint32 // key of the directory
	ino  Ino    // noIno when the name was removed
	hash uint32
}

// New returns a Tree that holds a root directory, all of whose metadata is
// zero, and whose files have a digest for each of the algorithms.
func New(algorithms ...fsverity.Algorithm) *Tree {
	t := &Tree{&nodes{
		algorithms: algorithms,
		xattrs:     newXattrSets(),
		seed:       maphash.MakeSeed(),
	}}
	for _, alg := range algorithms {
		t.sums.stride += alg.Size()
	}
	t.NewDirectory(Meta{})
	return t
}

// Algorithms returns the algorithms of the files' digests.
func (t *nodes) Algorithms() []fsverity.Algorithm { return t.algorithms }

// Inodes returns how many inodes there are, those without a name included:
// every Ino is below it.
func (t *nodes) Inodes() int { return int(t.inodes.len()) }

func (t *nodes) mustBeOpen() {
	if t.checked {
		panic("tree: changed after Check")
	}
}

func (t *Tree) add(kind Kind, m Meta, n inode) Ino {
	t.mustBeOpen()
	n.kind = kind
	ino := Ino(t.inodes.add(n))
	t.SetMeta(ino, m)
	return ino
}

// NewDirectory adds an empty directory.
func (t *Tree) NewDirectory(m Meta) Ino {
	t.dirKeys++
	return t.add(Directory, m, inode{ref: t.dirKeys - 1})
}

// NewInline adds a regular file that the image itself holds.
func (t *Tree) NewInline(m Meta, data []byte) Ino {
	return t.add(Regular, m, inode{storage: Inline, arg: uint64(len(data)), ref: t.names.add(data)})
}

// NewExternal adds a regular file of size bytes with the given digests, one
// behind the other in the order of the Tree's algorithms.
func (t *Tree) NewExternal(m Meta, size uint64, sums []byte) Ino {
	return t.newObject(External, m, size, sums)
}

// NewUnverified adds a regular file like NewExternal, but for a digest that
// only names the object.
func (t *Tree) NewUnverified(m Meta, size uint64, sums []byte) Ino {
	return t.newObject(Unverified, m, size, sums)
}

func (t *Tree) newObject(storage Storage, m Meta, size uint64, sums []byte) Ino {
	if len(sums) != t.sums.stride {
		panic(fmt.Sprintf("tree: digests of %d bytes, want %d", len(sums), t.sums.stride))
	}
	return t.add(Regular, m, inode{storage: storage, arg: size, ref: t.sums.add(sums)})
}

// SetSums changes the digests of an External or Unverified file, for one whose
// content is read later than its name. sums is as NewExternal takes it.
func (t *Tree) SetSums(ino Ino, sums []byte) {
	t.mustBeOpen()
	n := t.inodes.at(uint32(ino))
	if !n.hasSums() {
		panic("tree: SetSums of an inode without digests")
	}
	if len(sums) != t.sums.stride {
		panic(fmt.Sprintf("tree: digests of %d bytes, want %d", len(sums), t.sums.stride))
	}
	copy(t.sums.at(n.ref), sums)
}

// NewSparse adds a regular file of size bytes without content.
func (t *Tree) NewSparse(m Meta, size uint64) Ino {
	return t.add(Regular, m, inode{storage: Sparse, arg: size})
}

// NewSymlink adds a symbolic link.
func (t *Tree) NewSymlink(m Meta, target []byte) Ino {
	return t.add(Symlink, m, inode{arg: uint64(len(target)), ref: t.names.add(target)})
}

// NewSpecial adds a device, fifo or socket. rdev, the device's number as the
// kernel encodes it for user space, is 0 for the others.
func (t *Tree) NewSpecial(kind Kind, m Meta, rdev uint64) Ino {
	switch kind {
	case BlockDevice, CharDevice, FIFO, Socket:
		return t.add(kind, m, inode{arg: rdev})
	default:
		panic("tree: NewSpecial of a " + kind.String())
	}
}

// Copy adds an inode like the one given, which must not be a directory. Both
// have the same Object.
func (t *Tree) Copy(ino Ino) Ino {
	if t.Kind(ino) == Directory {
		panic("tree: Copy of a directory")
	}
	t.mustBeOpen()
	return Ino(t.inodes.add(*t.inodes.at(uint32(ino))))
}

// Kind returns the inode's kind.
func (t *nodes) Kind(ino Ino) Kind { return t.inodes.at(uint32(ino)).kind }

// Meta returns the inode's metadata.
func (t *nodes) Meta(ino Ino) Meta {
	n := t.inodes.at(uint32(ino))
	return Meta{Mode: n.mode, UID: n.uid, GID: n.gid, MtimeSec: n.mtimeSec, MtimeNsec: n.mtimeNsec, Xattrs: n.xattrs}
}

// SetMeta changes the inode's metadata.
func (t *Tree) SetMeta(ino Ino, m Meta) {
	t.mustBeOpen()
	n := t.inodes.at(uint32(ino))
	n.mode, n.uid, n.gid = m.Mode, m.UID, m.GID
	n.mtimeSec, n.mtimeNsec, n.xattrs = m.MtimeSec, m.MtimeNsec, m.Xattrs
}

// Storage returns how the regular file is stored.
func (t *nodes) Storage(ino Ino) Storage { return t.inodes.at(uint32(ino)).storage }

// Size returns the size of a regular file, or the length of a symlink's
// target, in bytes, and 0 for other kinds.
func (t *nodes) Size(ino Ino) uint64 {
	n := t.inodes.at(uint32(ino))
	if n.kind != Regular && n.kind != Symlink {
		return 0
	}
	return n.arg
}

// Rdev returns the number of a device, and 0 for other kinds.
func (t *nodes) Rdev(ino Ino) uint64 {
	n := t.inodes.at(uint32(ino))
	if n.kind == Regular || n.kind == Symlink {
		return 0
	}
	return n.arg
}

// Data returns the content of an inline file or the target of a symlink, nil
// for all others. The caller must not change it.
func (t *nodes) Data(ino Ino) []byte {
	n := t.inodes.at(uint32(ino))
	if n.kind == Symlink || n.kind == Regular && n.storage == Inline {
		return t.names.at(n.ref)
	}
	return nil
}

// hasSums reports whether the inode has digests.
func (n *inode) hasSums() bool {
	return n.kind == Regular && (n.storage == External || n.storage == Unverified)
}

// Object returns a number that identifies the digests of an External or
// Unverified file among the Objects of the Tree, and whether it is one.
func (t *nodes) Object(ino Ino) (uint32, bool) {
	n := t.inodes.at(uint32(ino))
	return n.ref, n.hasSums()
}

// Objects returns how many files have digests.
func (t *nodes) Objects() int { return int(t.sums.n) }

// Sum returns the digest of the object under the algorithm, which must be one
// of the Tree's. The caller must not change it.
func (t *nodes) Sum(object uint32, alg fsverity.Algorithm) []byte {
	sums := t.sums.at(object)
	for _, a := range t.algorithms {
		if a == alg {
			return sums[:a.Size()]
		}
		sums = sums[a.Size():]
	}
	panic(fmt.Sprintf("tree: no %s digests, only %s", alg, fsverity.Join(t.algorithms)))
}

func (t *nodes) dirKey(dir Ino) uint32 {
	n := t.inodes.at(uint32(dir))
	if n.kind != Directory {
		panic("tree: a " + n.kind.String() + " is used as a directory")
	}
	return n.ref
}

// Lookup returns the inode that the directory calls name.
func (t *nodes) Lookup(dir Ino, name []byte) (Ino, bool) {
	key := t.dirKey(dir)
	d := t.find(key, name, t.hash(key, name))
	if d == nil || d.ino == noIno {
		return 0, false
	}
	return d.ino, true
}

// Link makes name in the directory mean ino, whatever it meant before.
func (t *Tree) Link(dir Ino, name []byte, ino Ino) {
	t.mustBeOpen()
	if uint32(ino) >= t.inodes.len() {
		panic("tree: Link of an inode that does not exist")
	}
	key := t.dirKey(dir)
	hash := t.hash(key, name)
	if d := t.find(key, name, hash); d != nil {
		d.ino = ino
		return
	}
	id := t.dentries.add(dentry{name: t.names.add(name), dir: key, ino: ino, hash: hash})
	t.index.add(id, hash, func(id uint32) uint32 { return t.dentries.at(id).hash })
}

// Unlink removes name from the directory, and reports whether it was there.
// What it meant stays where it has another name.
func (t *Tree) Unlink(dir Ino, name []byte) bool {
	t.mustBeOpen()
	key := t.dirKey(dir)
	d := t.find(key, name, t.hash(key, name))
	if d == nil || d.ino == noIno {
		return false
	}
	d.ino = noIno
	return true
}

// Clear removes all names from the directory.
func (t *Tree) Clear(dir Ino) {
	t.mustBeOpen()
	t.dirKey(dir) // panics unless a directory
	t.inodes.at(uint32(dir)).ref = t.dirKeys
	t.dirKeys++
}

func (t *nodes) hash(key uint32, name []byte) uint32 {
	h := maphash.Bytes(t.seed, name)
	return uint32(h>>32) ^ uint32(h) ^ key*0x9E3779B1 // Knuth's multiplicative hash
}

func (t *nodes) find(key uint32, name []byte, hash uint32) *dentry {
	var found *dentry
	t.index.probe(hash, func(id uint32) bool {
		d := t.dentries.at(id)
		if d.hash == hash && d.dir == key && bytes.Equal(t.names.at(d.name), name) {
			found = d
			return true
		}
		return false
	})
	return found
}
