// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
)

// Limits of what an image can hold.
const (
	// NameMax is the longest name, in bytes: with its header it must fit into
	// one directory block (linux/fs/erofs/dir.c). Linux itself stops at 255.
	NameMax = 4096 - 12
	// DepthMax is how deep directories may be nested.
	DepthMax = 1 << 14
)

// The rules that Check holds a Tree to; errors.Is finds them in a CheckError.
var (
	ErrName     = errors.New("not a name that a directory can hold")
	ErrDepth    = fmt.Errorf("directories nested more than %d deep", DepthMax)
	ErrWhiteout = errors.New("a character device 0,0 (an overlayfs whiteout) with more than one name")
	ErrRdev     = errors.New("a device number that does not fit into 32 bits")
	ErrMtime    = errors.New("a modification time with a billion nanoseconds or more")
	ErrDirLink  = errors.New("a directory with more than one name")
)

// CheckError says which rule is broken, and where.
type CheckError struct {
	Path string
	Err  error
}

func (e *CheckError) Error() string { return fmt.Sprintf("tree: %q: %v", e.Path, e.Err) }

func (e *CheckError) Unwrap() error { return e.Err }

// Checked is a Tree that an image can hold: its directories are sorted by
// name, its links counted. Only Check makes one.
type Checked struct {
	*nodes
	sorted []uint32 // dentries by directory, each directory's by name
	start  []uint32 // directory key -> where it begins in sorted

	// For an inode with several names, the directory of the first.
	first map[Ino]Ino
}

// Check validates the tree and freezes it: changing it afterwards panics,
// until Thaw.
func (t *Tree) Check() (*Checked, error) {
	t.mustBeOpen()
	c := &Checked{nodes: t.nodes}
	c.sort()
	if err := c.count(); err != nil {
		return nil, err
	}
	c.findFirst()
	t.checked = true
	return c, nil
}

// Thaw gives the Tree back for changes. The Checked must not be used again.
func (c *Checked) Thaw() *Tree {
	t := &Tree{c.nodes}
	t.checked = false
	*c = Checked{}
	return t
}

// sort puts the entries of each directory together, in the order of names.
func (c *Checked) sort() {
	c.start = make([]uint32, c.dirKeys+1)
	for i := range c.dentries.len() {
		if d := c.dentries.at(i); d.ino != noIno {
			c.start[d.dir+1]++
		}
	}
	for i := range c.dirKeys {
		c.start[i+1] += c.start[i]
	}
	c.sorted = make([]uint32, c.start[c.dirKeys])
	next := slices.Clone(c.start)
	for i := range c.dentries.len() {
		if d := c.dentries.at(i); d.ino != noIno {
			c.sorted[next[d.dir]] = i
			next[d.dir]++
		}
	}
	for key := range c.dirKeys {
		slices.SortFunc(c.sorted[c.start[key]:c.start[key+1]], func(a, b uint32) int {
			return bytes.Compare(c.names.at(c.dentries.at(a).name), c.names.at(c.dentries.at(b).name))
		})
	}
}

// count validates and counts all that the root reaches.
func (c *Checked) count() error {
	for i := range c.inodes.len() {
		c.inodes.at(i).nlink = 0
	}
	c.inodes.at(uint32(Root)).nlink = 1
	if err := c.checkInode(Root); err != nil {
		return &CheckError{"/", err}
	}
	for step := range c.Walk() {
		n := c.inodes.at(uint32(step.Ino))
		n.nlink++
		err := checkName(step.Name())
		if err == nil && n.nlink == 1 {
			err = c.checkInode(step.Ino)
		} else if err == nil {
			err = checkLink(n)
		}
		if err == nil && step.Depth() > DepthMax {
			err = ErrDepth
		}
		if err != nil {
			return &CheckError{step.Path(), err}
		}
	}
	return nil
}

func checkName(name []byte) error {
	if len(name) == 0 || len(name) > NameMax || bytes.IndexByte(name, '/') >= 0 ||
		string(name) == "." || string(name) == ".." {
		return ErrName
	}
	return nil
}

func (c *Checked) checkInode(ino Ino) error {
	n := c.inodes.at(uint32(ino))
	switch {
	case n.mtimeNsec >= 1e9:
		return ErrMtime
	case c.Rdev(ino) > math.MaxUint32:
		return ErrRdev
	}
	return nil
}

// checkLink checks an inode that has just got another name.
func checkLink(n *inode) error {
	switch {
	case n.kind == Directory:
		return ErrDirLink
	case n.kind == CharDevice && n.arg == 0:
		return ErrWhiteout
	}
	return nil
}

func (c *Checked) findFirst() {
	c.first = map[Ino]Ino{}
	for step := range c.Walk() {
		if c.Nlink(step.Ino) > 1 {
			if _, ok := c.first[step.Ino]; !ok {
				c.first[step.Ino] = step.Dir
			}
		}
	}
}

// Nlink returns how many names the inode has.
func (c *Checked) Nlink(ino Ino) uint32 { return c.inodes.at(uint32(ino)).nlink }

// FirstDir returns the directory in which Walk first meets an inode with more
// than one name.
func (c *Checked) FirstDir(ino Ino) Ino { return c.first[ino] }

// Entries yields the directory's names, as bytes sort, and what they mean. The
// names must not be changed.
func (c *Checked) Entries(dir Ino) iter.Seq2[[]byte, Ino] {
	return func(yield func([]byte, Ino) bool) {
		key := c.dirKey(dir)
		for _, id := range c.sorted[c.start[key]:c.start[key+1]] {
			d := c.dentries.at(id)
			if !yield(c.names.at(d.name), d.ino) {
				return
			}
		}
	}
}

// Len returns how many names the directory has.
func (c *Checked) Len(dir Ino) int {
	key := c.dirKey(dir)
	return int(c.start[key+1] - c.start[key])
}
