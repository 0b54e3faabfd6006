// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"context"
	"io"
	"reflect"
	"slices"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Capture chooses files whose content is wanted besides their digests. It is
// asked for each regular file that is not inline, and returns what is to get the
// content, or nil, and how many bytes of memory that will take up at most: they
// count as names do. Many writers are asked for that nothing is written to. The path is from the root, without a slash in front, and
// must not be kept; size is in bytes. It is called from several goroutines.
//
// The writer is written to from one goroutine, and not any more when the tree is
// there. Its errors are passed over. Writers of another type are for another use: a
// file gets one of each type that its names ask for.
type Capture func(path []byte, size uint64) (w io.Writer, keeps int)

// Merged is what the layers of an image give together.
type Merged struct {
	Tree *tree.Tree
	// Again are the positions of layers that ReadAgain read, and AgainBytes what
	// they have together, in bytes; Options.Progress is not told of those.
	Again      []int
	AgainBytes int64

	again    func(ctx context.Context, choose func(path string) bool) error
	captured captures
	starts   []tree.Ino // of each layer: its first inode
}

// ReadAgain reads layers a second time for files that CapturedAs does not have,
// though they have names that are wanted: a hard link gave it to a file whose own
// name did not tell so. choose is asked for each such name which are to be read
// for now. It may be called until FlattenAll's done returns or, of Flatten, at any
// time. Its errors are those of Flatten.
func (m *Merged) ReadAgain(ctx context.Context, choose func(path string) bool) error {
	return m.again(ctx, choose)
}

// captures are what got the content of files, of each type one.
type captures map[tree.Ino][]io.Writer

// has reports whether a writer of the type got the file's content.
func (c captures) has(file tree.Ino, kind reflect.Type) bool {
	return slices.ContainsFunc(c[file], func(w io.Writer) bool { return reflect.TypeOf(w) == kind })
}

// CapturedAs returns what got the file's content and is of that type; ok is false
// if nothing did. Images that share a layer share it.
func CapturedAs[T io.Writer](m *Merged, file tree.Ino) (w T, ok bool) {
	for _, got := range m.captured[file] {
		if w, ok = got.(T); ok {
			return w, true
		}
	}
	return w, false
}

// HasCaptured reports whether anything that is got the content of a file.
func (m *Merged) HasCaptured(is func(w io.Writer) bool) bool {
	for _, list := range m.captured {
		if slices.ContainsFunc(list, is) {
			return true
		}
	}
	return false
}

// Layer returns the position of the layer that an inode is of: that which made
// it, though a later one may have changed a directory's metadata. The root is of
// the first.
func (m *Merged) Layer(ino tree.Ino) int {
	layer := 0
	for layer+1 < len(m.starts) && m.starts[layer+1] <= ino {
		layer++
	}
	return layer
}

// wantedLink is a hard link with a name that is wanted.
type wantedLink struct {
	dir  tree.Ino
	name string
	file tree.Ino
	path string
	kind reflect.Type // of the writer that Capture gives for it
}

// linksMax is how many hard links of one image are noted for their names. The
// files of an image that ostree made are all links.
const linksMax = 1 << 18

// captureLink notes a hard link to a file whose content is not in memory, if the
// link's name is one that is wanted.
func (m *merger) captureLink(dir tree.Ino, name []byte, file tree.Ino, path []byte) {
	if m.capture == nil || len(m.links) == linksMax || m.tree.Kind(file) != tree.Regular || m.tree.Storage(file) == tree.Inline {
		return
	}
	m.path = appendClean(m.path[:0], path)
	if w, _ := m.capture(m.path, m.tree.Size(file)); w != nil {
		m.links = append(m.links, wantedLink{dir, string(name), file, string(m.path), reflect.TypeOf(w)})
	}
}

// appendClean appends the path as Capture gets it: its names, with a slash
// between them.
func appendClean(to, path []byte) []byte {
	for len(path) > 0 {
		var name []byte
		name, path = nextName(path)
		if len(name) == 0 {
			break
		}
		if len(to) > 0 {
			to = append(to, '/')
		}
		to = append(to, name...)
	}
	return to
}
