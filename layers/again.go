// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers/internal/tarscan"
)

// How many links of one image can make layers be read again at once, and how
// many of them can be to files of the same size: those are compared with each
// other. What is over that is not captured.
const (
	againMax     = 4096
	againSizeMax = 64
)

// readAgain is Merged.ReadAgain of an image. It counts in held what is kept.
func (r *run) readAgain(ctx context.Context, image int, m *merger, merged *Merged, held *amount, choose func(path string) bool) error {
	seekers := map[int]*seeker{} // by layer
	left := againMax
	for _, l := range m.links {
		now, ok := m.tree.Lookup(l.dir, []byte(l.name))
		if !ok || now != l.file || merged.captured.has(l.file, l.kind) || !choose(l.path) {
			continue
		}
		if left--; left < 0 {
			break
		}
		layer := merged.Layer(l.file)
		if seekers[layer] == nil {
			seekers[layer] = &seeker{capture: m.capture, tree: m.tree, wanted: map[uint64][]wantedLink{}, found: merged.captured}
		}
		seekers[layer].want(l)
	}
	for _, layer := range slices.Sorted(maps.Keys(seekers)) {
		s := seekers[layer]
		i := r.images[image].layers[layer]
		merged.Again = append(merged.Again, layer)
		merged.AgainBytes += r.layers[i].Size
		err := r.seek(ctx, i, s)
		if err == nil {
			held.add(s.kept)
			err = r.budget.take(ctx, image, s.kept, 0)
		}
		if err != nil {
			return r.place(Use{image, layer}, err)
		}
	}
	return nil
}

// seek hands the layer's archive to the seeker. It was read before: what is wrong
// with it now is the transfer, which the blob's digest tells. An error of the
// archive would say something of the image that may not be so, and does not count.
func (r *run) seek(ctx context.Context, i int, s *seeker) error {
	in := newStream(&r.layers[i].Layer, r.slots, func(int) {})
	toScan := make(chan *chunk, decodeBuffers)
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return in.fetch(running) })
	g.Go(func() error { return decode(running, in, []chan *chunk{toScan}) })
	g.Go(func() error {
		archive := tarscan.New(s)
		for c := range toScan {
			_, _ = archive.Write(c.data)
			err := r.budget.takeContent(len(c.data))
			c.done()
			if err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// seeker finds files in an archive by what they hold: size and digests. It
// implements tarscan.Handler.
type seeker struct {
	capture Capture
	tree    *tree.Tree
	wanted  map[uint64][]wantedLink // by size in bytes
	found   captures
	kept    amount // of what was found

	candidates []candidate // what the current file may be
	writers    []io.Writer // of them, of each type one: they get the same
	verity     []*fsverity.Hasher
}

// candidate is a wanted file, and what gets the content in case it is it.
type candidate struct {
	wantedLink
	w     io.Writer
	keeps int
}

// want adds a file to those that are looked for.
func (s *seeker) want(l wantedLink) {
	size := s.tree.Size(l.file)
	if len(s.wanted[size]) < againSizeMax {
		s.wanted[size] = append(s.wanted[size], l)
	}
}

// Entry takes an entry.
func (s *seeker) Entry(e *tarscan.Entry) error {
	s.candidates, s.writers, s.verity = s.candidates[:0], nil, nil
	if kind, ok := entryKinds[e.Type]; !ok || kind != makeExternal {
		return nil
	}
	for _, l := range s.wanted[e.Size] {
		if !s.found.has(l.file, l.kind) {
			s.consider(l, e.Size)
		}
	}
	if len(s.candidates) > 0 {
		for _, alg := range s.tree.Algorithms() {
			s.verity = append(s.verity, fsverity.New(alg))
		}
	}
	return nil
}

// consider makes a wanted file a candidate. Many may be: they share what gets the
// content.
func (s *seeker) consider(l wantedLink, size uint64) {
	for _, c := range s.candidates {
		if c.kind == l.kind {
			s.candidates = append(s.candidates, candidate{l, c.w, c.keeps})
			return
		}
	}
	if w, keeps := s.capture([]byte(l.path), size); w != nil {
		s.candidates = append(s.candidates, candidate{l, w, keeps})
		s.writers = append(s.writers, w)
	}
}

// Data takes content of the current entry.
func (s *seeker) Data(p []byte) {
	for _, w := range s.writers {
		_, _ = w.Write(p)
	}
	for _, h := range s.verity {
		_, _ = h.Write(p)
	}
}

// EndEntry ends the current entry.
func (s *seeker) EndEntry() error {
	var sums []byte
	for _, h := range s.verity {
		sums = h.Sum(sums)
	}
	for _, c := range s.candidates {
		object, ok := s.tree.Object(c.file)
		if ok && bytes.Equal(sums, s.sums(object)) && !s.found.has(c.file, c.kind) {
			s.found[c.file] = append(s.found[c.file], c.w)
			s.kept.text += int64(c.keeps)
		}
	}
	return nil
}

// sums returns all digests of an object.
func (s *seeker) sums(object uint32) []byte {
	var sums []byte
	for _, alg := range s.tree.Algorithms() {
		sums = append(sums, s.tree.Sum(object, alg)...)
	}
	return sums
}
