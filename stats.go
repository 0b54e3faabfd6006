// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"sync"

	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers"
)

// Stats is what was read. It may be used by one run at a time.
type Stats struct {
	mu sync.Mutex
	// Layers are those that were read, each once though several images have it.
	Layers int
	// Bytes is what of them was fetched, compressed as they are.
	Bytes int64
	// LayersAgain is how often a layer was read a second time: a hard link gave a
	// name that is looked for to a file whose own name did not tell.
	LayersAgain int
	// Inodes are those of all merged trees, removed ones included, and of
	// directories.
	Inodes int
}

// add adds an image that was merged. It can be called with no Stats.
func (s *Stats) add(m *layers.Merged) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.LayersAgain += len(m.Again)
	s.Bytes += m.AgainBytes
	s.Inodes += m.Tree.Inodes()
}

// addDirectory adds a directory that was read.
func (s *Stats) addDirectory(t *tree.Tree) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Inodes += t.Inodes()
}

// fetched adds bytes of layers, and layers.
func (s *Stats) fetched(layers, bytes int) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Layers += layers
	s.Bytes += int64(bytes)
}
