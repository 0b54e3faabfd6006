// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"errors"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// ErrSameLayer is a whiteout behind what its own layer has in the same place.
// Hosts remove that as well; by the OCI image specification (layer.md,
// "Whiteouts") it only removes what is of layers below. It is told by Notice, and
// is never an error.
var ErrSameLayer = errors.New("a whiteout removes what its own layer put there before it; hosts do so, other tools keep it: put whiteouts first")

// Notice is told of what is odd in an image, or wrong: where it is given, what
// hosts refuse does not end the reading. Such an entry is passed over, but for one
// without its parents, which are made; of a layer whose archive cannot be read on,
// what is in front of that counts. It is called from several goroutines with the
// layer's position, the path as the archive writes it, or "", and one of this
// package's errors.
type Notice func(layer int, path string, err error)

// noticeOf returns what an entryReader tells; nil if nobody listens.
func (r *run) noticeOf(layer int) func(path string, err error) {
	if r.notice == nil {
		return nil
	}
	return func(path string, err error) {
		for _, u := range r.layers[layer].Uses {
			r.notice(u.Layer, path, err)
		}
	}
}

// tolerate is what becomes of an archive's error.
func (r *run) tolerate(layer int, err error) error {
	notice := r.noticeOf(layer)
	if err == nil || notice == nil || !errors.Is(err, ErrArchive) {
		return err
	}
	if entry, ok := errors.AsType[*entryError](err); ok {
		notice(entry.path, entry.err)
	} else {
		notice("", err)
	}
	return nil
}

// observer notes what one layer does to the tree, for Notice.
type observer struct {
	notice func(path string, err error)
	filled map[tree.Ino]bool // directories that the layer put anything into, at any depth
	named  map[tree.Ino]bool // what it has an entry for
}

func newObserver(notice func(path string, err error)) *observer {
	return &observer{notice, map[tree.Ino]bool{}, map[tree.Ino]bool{}}
}

// add notes that the layer has something at the path, which is in the tree.
func (o *observer) add(t *tree.Tree, path []byte) {
	ino := tree.Root
	for {
		var name []byte
		name, path = nextName(path)
		if len(name) == 0 {
			o.named[ino] = true
			return
		}
		o.filled[ino] = true
		ino, _ = t.Lookup(ino, name)
	}
}

// removes tells if a whiteout removes what is of its own layer: what a name
// means or, if isOpaque, what is in the directory.
func (o *observer) removes(ino tree.Ino, isOpaque bool) bool {
	return o.filled[ino] || !isOpaque && o.named[ino]
}

// makeParents makes the directories of a path that are not there, as root's, as
// far as there may be any, and returns how many it made. A path of a MiB could ask
// for half a million of them, and every entry for others.
func makeParents(t *tree.Tree, path []byte) (made int64) {
	dir := tree.Root
	rest := path
	for range tree.DepthMax {
		var name []byte
		name, rest = nextName(rest)
		if len(name) == 0 || string(name) == ".." {
			return made
		}
		ino, ok := t.Lookup(dir, name)
		if !ok {
			ino = t.NewDirectory(tree.Meta{Mode: 0o755})
			t.Link(dir, name, ino)
			made++
		}
		if t.Kind(ino) != tree.Directory {
			return made
		}
		dir = ino
	}
	return made
}
