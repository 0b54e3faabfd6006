// SPDX-License-Identifier: Apache-2.0

package dumpfile

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Write writes the dump of the tree with its files' digests under alg, which
// must be one of the tree's algorithms. It is what "cfsctl oci dump" writes,
// byte for byte. Only an unverified file, which no layer can hold, differs: it
// has its object as payload and no digest, as C's composefs-info writes it and
// all read it. cfsctl would write the digest, and so make it a verified one.
//
// It writes whatever the tree holds, also what Read refuses. The only errors
// are an algorithm that the tree lacks and those of w.
func Write(w io.Writer, c *tree.Checked, alg fsverity.Algorithm) error {
	if !slices.Contains(c.Algorithms(), alg) {
		return fmt.Errorf("dumpfile: the tree has no %s digests, only %s", alg, fsverity.Join(c.Algorithms()))
	}
	d := writer{c: c, alg: alg, first: map[tree.Ino]string{}}
	out := bufio.NewWriterSize(w, 64<<10)
	err := d.writeTo(out)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("dumpfile: %w", err)
	}
	return nil
}

// writer makes the lines of a dump.
type writer struct {
	c    *tree.Checked
	alg  fsverity.Algorithm
	line []byte // made anew for each entry

	// The first path of each inode with several names that was met.
	first map[tree.Ino]string
}

func (d *writer) writeTo(out *bufio.Writer) error {
	d.appendInode([]byte("/"), tree.Root)
	if _, err := out.Write(d.line); err != nil {
		return err
	}
	var path []byte
	for step := range d.c.Walk() {
		path = step.AppendPath(path[:0])
		d.appendEntry(path, step.Ino)
		if _, err := out.Write(d.line); err != nil {
			return err
		}
	}
	return nil
}

// appendEntry makes the line of a path: a hard link where the inode has had
// its line already.
func (d *writer) appendEntry(path []byte, ino tree.Ino) {
	if d.c.Nlink(ino) > 1 {
		if first, ok := d.first[ino]; ok {
			d.line = appendField(d.line[:0], path)
			d.line = append(d.line, linkFields...)
			d.line = appendField(d.line, []byte(first))
			d.line = append(d.line, " - -\n"...)
			return
		}
		d.first[ino] = string(path)
	}
	d.appendInode(path, ino)
}

// appendInode makes the line of an inode's first name.
func (d *writer) appendInode(path []byte, ino tree.Ino) {
	m := d.c.Meta(ino)
	kind := d.c.Kind(ino)
	b := appendField(d.line[:0], path)
	b = appendUint(b, d.c.Size(ino), 10)
	b = appendUint(b, uint64(m.Mode|kind.ModeBits()), 8)
	b = appendUint(b, d.nlink(ino), 10)
	b = appendUint(b, uint64(m.UID), 10)
	b = appendUint(b, uint64(m.GID), 10)
	b = appendUint(b, d.rdev(ino), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, m.MtimeSec, 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(m.MtimeNsec), 10)
	b = append(b, ' ')
	d.line = b
	d.appendContent(ino)
	for _, x := range d.c.XattrList(m.Xattrs) {
		d.line = append(d.line, ' ')
		d.line = appendXattr(d.line, x.Name)
		d.line = append(d.line, '=')
		d.line = appendXattr(d.line, x.Value)
	}
	d.line = append(d.line, '\n')
}

// appendUint appends a space and the number.
func appendUint(b []byte, n uint64, base int) []byte {
	return strconv.AppendUint(append(b, ' '), n, base)
}

// nlink returns what stat says: a directory has its own name, its "." and the
// ".." of each subdirectory; the root's ".." makes up for the name.
func (d *writer) nlink(ino tree.Ino) uint64 {
	if d.c.Kind(ino) != tree.Directory {
		return uint64(d.c.Nlink(ino))
	}
	n := uint64(2)
	for _, child := range d.c.Entries(ino) {
		if d.c.Kind(child) == tree.Directory {
			n++
		}
	}
	return n
}

func (d *writer) rdev(ino tree.Ino) uint64 {
	if isDevice(d.c.Kind(ino)) {
		return d.c.Rdev(ino)
	}
	return 0
}

func isDevice(k tree.Kind) bool { return k == tree.BlockDevice || k == tree.CharDevice }

// appendContent appends payload, content and digest.
func (d *writer) appendContent(ino tree.Ino) {
	kind, storage := d.c.Kind(ino), d.c.Storage(ino)
	b := d.line
	switch {
	case kind == tree.Symlink:
		b = appendField(b, d.c.Data(ino))
		b = append(b, " - -"...)
	case kind == tree.Regular && storage == tree.Inline:
		b = append(b, "- "...)
		b = appendField(b, d.c.Data(ino))
		b = append(b, " -"...)
	case kind == tree.Regular && storage != tree.Sparse:
		object, _ := d.c.Object(ino)
		sum := d.c.Sum(object, d.alg)
		b = appendObjectPath(b, sum)
		b = append(b, " - "...)
		if storage == tree.External {
			b = hex.AppendEncode(b, sum)
		} else {
			b = append(b, none...)
		}
	default:
		b = append(b, "- - -"...)
	}
	d.line = b
}

// appendObjectPath appends where a repository keeps the object.
func appendObjectPath(b, sum []byte) []byte {
	b = hex.AppendEncode(b, sum[:objectDirLen/2])
	b = append(b, '/')
	return hex.AppendEncode(b, sum[objectDirLen/2:])
}
