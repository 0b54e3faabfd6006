// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Whiteouts of the OCI image specification (layer.md, "Whiteouts").
var (
	whiteoutPrefix = []byte(".wh.")
	opaqueName     = []byte(".wh..wh..opq")
)

// merger folds entries into a tree, in the order of the layers.
type merger struct {
	tree   *tree.Tree
	stride int

	// The directory that the entry before was in: most are in the same.
	lastPath []byte
	lastDir  tree.Ino
	hasLast  bool

	capture  Capture // nil: nothing is wanted
	captured captures
	links    []wantedLink
	path     []byte // as capture gets it

	observer *observer // nil: what hosts refuse is an error
	made     int64     // directories that no entry is of, and the budget does not know of yet
}

func (m *merger) add(b *batch) error {
	for i := range b.entries {
		e := &b.entries[i]
		err := m.addEntry(b, e)
		if err != nil && m.observer != nil {
			m.goOn(b, e, err)
			continue
		}
		if err != nil {
			return &entryError{string(b.bytes(e.path)), err}
		}
	}
	return nil
}

// goOn tells what hosts refuse of an entry. One without its parents gets them.
func (m *merger) goOn(b *batch, e *entry, err error) {
	path := b.bytes(e.path)
	m.observer.notice(string(path), err)
	if !errors.Is(err, ErrNoParent) || errors.Is(err, ErrLinkTarget) {
		return
	}
	dir, _ := splitPath(path)
	m.made += makeParents(m.tree, dir)
	m.hasLast = false
	if err := m.addEntry(b, e); err != nil {
		m.observer.notice(string(path), err)
	}
}

func (m *merger) addEntry(b *batch, e *entry) error {
	dirPath, name := splitPath(b.bytes(e.path))
	if len(name) == 0 || string(name) == ".." {
		if e.kind != makeDirectory {
			return ErrRoot
		}
		m.tree.SetMeta(tree.Root, b.meta(m.tree, e))
		return nil
	}
	var target tree.Ino
	if e.kind == makeHardLink {
		var err error
		if target, err = m.linkTarget(b.bytes(e.link)); err != nil {
			return err
		}
	}
	dir, err := m.lookupDir(dirPath)
	if err != nil {
		return err
	}
	if removed, ok := bytes.CutPrefix(name, whiteoutPrefix); ok {
		m.hasLast = false // what it is in may be gone
		m.whiteOut(dir, removed, bytes.Equal(name, opaqueName), b, e)
		return nil
	}
	m.link(dir, name, target, b, e)
	if m.observer != nil {
		m.observer.add(m.tree, b.bytes(e.path))
	}
	return nil
}

// whiteOut removes a name from the directory, or all of them.
func (m *merger) whiteOut(dir tree.Ino, name []byte, isOpaque bool, b *batch, e *entry) {
	if m.observer != nil {
		removed, exists := dir, true
		if !isOpaque {
			removed, exists = m.tree.Lookup(dir, name)
		}
		if exists && m.observer.removes(removed, isOpaque) {
			m.observer.notice(string(b.bytes(e.path)), ErrSameLayer)
		}
	}
	if isOpaque {
		m.tree.Clear(dir)
	} else {
		m.tree.Unlink(dir, name)
	}
}

// link gives the entry its name. A directory over a directory changes only its
// metadata; anything else replaces what was there.
func (m *merger) link(dir tree.Ino, name []byte, target tree.Ino, b *batch, e *entry) {
	old, exists := m.tree.Lookup(dir, name)
	wasDir := exists && m.tree.Kind(old) == tree.Directory
	if e.kind == makeHardLink {
		m.hasLast = m.hasLast && !wasDir
		m.tree.Link(dir, name, target)
		m.captureLink(dir, name, target, b.bytes(e.path))
		return
	}
	meta := b.meta(m.tree, e)
	if e.kind == makeDirectory && wasDir {
		m.tree.SetMeta(old, meta)
		return
	}
	m.hasLast = m.hasLast && !wasDir
	ino := m.newInode(b, e, meta)
	m.tree.Link(dir, name, ino)
	if e.sink > 0 {
		m.captured[ino] = []io.Writer{b.sinks[e.sink-1]}
	}
}

func (m *merger) newInode(b *batch, e *entry, meta tree.Meta) tree.Ino {
	switch e.kind {
	case makeDirectory:
		return m.tree.NewDirectory(meta)
	case makeInline:
		return m.tree.NewInline(meta, b.bytes(e.link))
	case makeExternal:
		off := int(e.sum) * m.stride
		return m.tree.NewExternal(meta, e.arg, b.sums[off:off+m.stride])
	case makeSymlink:
		return m.tree.NewSymlink(meta, b.bytes(e.link))
	case makeBlockDevice:
		return m.tree.NewSpecial(tree.BlockDevice, meta, e.arg)
	case makeCharDevice:
		return m.tree.NewSpecial(tree.CharDevice, meta, e.arg)
	case makeFIFO:
		return m.tree.NewSpecial(tree.FIFO, meta, 0)
	case makeHardLink:
	}
	panic("layers: internal error: a hard link has no inode of its own")
}

// linkTarget finds what a hard link is to. It must be there already, and be no
// directory.
func (m *merger) linkTarget(path []byte) (tree.Ino, error) {
	dirPath, name := splitPath(path)
	if string(name) == ".." {
		return 0, fmt.Errorf("to %q: %w", path, ErrDotDot)
	}
	if len(name) == 0 {
		return 0, fmt.Errorf("to %q: %w", path, ErrLinkTarget)
	}
	dir, err := m.lookupDir(dirPath)
	if err != nil {
		return 0, fmt.Errorf("to %q: %w (%w)", path, ErrLinkTarget, err)
	}
	ino, ok := m.tree.Lookup(dir, name)
	if !ok {
		return 0, fmt.Errorf("to %q: %w", path, ErrLinkTarget)
	}
	if m.tree.Kind(ino) == tree.Directory {
		return 0, fmt.Errorf("to %q: %w", path, ErrLinkToDir)
	}
	return ino, nil
}

// lookupDir finds a directory. Links on the way are not followed.
func (m *merger) lookupDir(path []byte) (tree.Ino, error) {
	if m.hasLast && bytes.Equal(path, m.lastPath) {
		return m.lastDir, nil
	}
	dir := tree.Root
	for rest := path; ; {
		var name []byte
		name, rest = nextName(rest)
		if len(name) == 0 {
			break
		}
		if string(name) == ".." {
			return 0, ErrDotDot
		}
		ino, ok := m.tree.Lookup(dir, name)
		if !ok {
			return 0, fmt.Errorf("%q is missing: %w", path[:len(path)-len(rest)], ErrNoParent)
		}
		if kind := m.tree.Kind(ino); kind != tree.Directory {
			return 0, fmt.Errorf("%q is a %s: %w", path[:len(path)-len(rest)], kind, ErrNotDirectory)
		}
		dir = ino
	}
	m.lastPath = append(m.lastPath[:0], path...)
	m.lastDir, m.hasLast = dir, true
	return dir, nil
}

// splitPath returns the last name of the path and what is before it. Empty
// names and dots do not count; the name is empty if there is no other.
func splitPath(path []byte) (dir, name []byte) {
	for {
		path = bytes.TrimRight(path, "/")
		slash := bytes.LastIndexByte(path, '/')
		dir, name = path[:slash+1], path[slash+1:]
		if string(name) != "." {
			return dir, name
		}
		path = dir
	}
}

// nextName returns the first name of the path and what is behind it. Empty
// names and dots do not count.
func nextName(path []byte) (name, rest []byte) {
	for {
		path = bytes.TrimLeft(path, "/")
		name, rest, _ = bytes.Cut(path, []byte("/"))
		if string(name) != "." {
			return name, rest
		}
		path = rest
	}
}
