// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"fmt"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// sameInode fails unless the inode is as it was when another of its names was
// read.
func (s *scanner) sameInode(ino tree.Ino, is *inode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind, _ := tree.KindOfMode(is.mode)
	want := is.meta()
	want.Xattrs = s.tree.Meta(ino).Xattrs
	same := s.tree.Kind(ino) == kind && s.tree.Meta(ino) == want
	if kind == tree.Regular {
		same = same && s.tree.Size(ino) == is.size
	}
	if !same || s.tree.Rdev(ino) != is.deviceNumber(kind) {
		return ErrInode
	}
	return nil
}

// deviceNumber returns the number of a device, and 0 for other kinds.
func (i *inode) deviceNumber(kind tree.Kind) uint64 {
	if kind == tree.BlockDevice || kind == tree.CharDevice {
		return i.rdev
	}
	return 0
}

// leaf reads what is not a directory, and adds it to the tree.
func (s *scanner) leaf(ctx context.Context, f fd, is *inode, parent tree.Ino, name string) (tree.Ino, error) {
	kind, ok := tree.KindOfMode(is.mode)
	if !ok {
		return 0, fmt.Errorf("mode %o: %w", is.mode, ErrKind)
	}
	set, err := s.readXattrs(f)
	if err != nil {
		return 0, err
	}
	meta := is.meta()
	meta.Xattrs = set
	if kind == tree.Regular && is.size > tree.InlineMax {
		return s.external(ctx, f, is, meta, parent, name)
	}
	var data []byte
	switch kind {
	case tree.Regular:
		data, err = readInline(f, int(is.size))
	case tree.Symlink:
		data, err = f.target()
	default:
	}
	if err == nil {
		err = s.budget.take(0, len(data))
	}
	if err == nil {
		err = f.unchanged(is)
	}
	if err != nil {
		return 0, err
	}
	return s.add(parent, name, func() tree.Ino {
		switch kind {
		case tree.Regular:
			return s.tree.NewInline(meta, data)
		case tree.Symlink:
			return s.tree.NewSymlink(meta, data)
		default:
			return s.tree.NewSpecial(kind, meta, is.deviceNumber(kind))
		}
	}), nil
}

// readInline returns the content of a file of that size.
func readInline(f fd, size int) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	file, err := f.reopen()
	if err != nil {
		return nil, err
	}
	defer file.close()
	data := make([]byte, size+1) // one more, to see it grow
	n, err := file.read(data)
	if err != nil {
		return nil, err
	}
	if n != size {
		return nil, fmt.Errorf("%w: it has %d bytes, and had %d", ErrChanged, n, size)
	}
	return data[:n], nil
}

// readXattrs returns the attributes as a set of the tree.
func (s *scanner) readXattrs(f fd) (tree.XattrSet, error) {
	xattrs, err := s.xattrs.read(f)
	if err != nil || len(xattrs) == 0 {
		return 0, err
	}
	s.mu.Lock()
	set := s.tree.Xattrs(xattrs...)
	s.mu.Unlock()
	if set <= s.lastSet {
		return set, nil
	}
	s.lastSet = set
	text := 0
	for _, x := range xattrs {
		text += xattrOverhead + len(x.Name) + len(x.Value)
	}
	return set, s.budget.take(0, text)
}
