// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers/internal/tarscan"
)

// limits bound an image, so that a hostile one cannot use up memory or keep a
// machine busy for days: a few bytes of zstd can stand for a hundred thousand.
type limits struct {
	entries int64
	text    int64 // bytes of names, link targets, xattrs and inline content
	content int64 // bytes of the layers' archives
}

// defaultLimits are about ten times what the largest images have.
var defaultLimits = limits{entries: 16 << 20, text: 2 << 30, content: 1 << 40}

// xattrOverhead is what an attribute takes up besides its name and value, in
// bytes: the headers of two strings.
const xattrOverhead = 32

// budget is what the layers of an image have used of its limits.
type budget struct {
	limits
	usedEntries, usedText, usedContent atomic.Int64
}

func (b *budget) take(text int) error {
	if b.usedEntries.Add(1) > b.entries || b.usedText.Add(int64(text)) > b.text {
		return fmt.Errorf("%w: over %d entries, or %d bytes of names", ErrTooMany, b.entries, b.text)
	}
	return nil
}

func (b *budget) takeContent(n int) error {
	if b.usedContent.Add(int64(n)) > b.content {
		return fmt.Errorf("%w: over %d bytes of archives", ErrTooMany, b.content)
	}
	return nil
}

// readLayer reads the layer to its end, checks it, and puts its entries into
// the queue.
func (r *run) readLayer(ctx context.Context, i int) error {
	layer := &r.layers[i]
	diffHash, err := newHash(layer.DiffID)
	if err != nil {
		return r.place(i, err)
	}
	in := newStream(layer, r.slots, func(n int) { r.progress(i, n) })
	toHash := make(chan *chunk, decodeBuffers)
	toScan := make(chan *chunk, decodeBuffers)

	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return in.fetch(running) })
	g.Go(func() error { return decode(running, in, []chan *chunk{toHash, toScan}) })
	var diffID string
	g.Go(func() error {
		diffID = hashChunks(toHash, diffHash)
		return nil
	})
	// What is wrong with the archive counts only once the blob is known to be
	// what its digest says: otherwise that is why.
	var archiveErr error
	g.Go(func() error {
		archiveErr = scan(toScan, newEntryReader(r.algorithms, r.queues[i], &r.budget))
		if errors.Is(archiveErr, ErrTooMany) {
			return archiveErr // at once: going on is what it wants
		}
		return nil
	})
	err = g.Wait()
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx) // it was called off
	case err != nil:
		return r.place(i, err)
	case archiveErr != nil:
		return r.place(i, archiveErr)
	case diffID != layer.DiffID.Hex:
		return r.place(i, fmt.Errorf("%w: its diff ID is %s:%s, the config says %s", ErrDiffID, layer.DiffID.Algorithm, diffID, layer.DiffID))
	}
	r.queues[i].close()
	return nil
}

// place says which layer an error is of.
func (r *run) place(i int, err error) error {
	e := &Error{Layer: i, Layers: len(r.layers), Digest: r.layers[i].Digest.String(), Err: err}
	if entry, ok := errors.AsType[*entryError](err); ok {
		e.Path, e.Err = entry.path, entry.err
	}
	return e
}

func hashChunks(in <-chan *chunk, h hash.Hash) string {
	for c := range in {
		_, _ = h.Write(c.data)
		c.done()
	}
	return hex.EncodeToString(h.Sum(nil))
}

// scan reads the archive. It takes all chunks though there be an error in the
// first, for the rest of the stream is to be checked, too; but not of an image
// that is too large.
func scan(in <-chan *chunk, r *entryReader) error {
	s := tarscan.New(r)
	for c := range in {
		err := r.budget.takeContent(len(c.data))
		if err == nil {
			_, err = s.Write(c.data) // Close returns it again
		}
		c.done()
		if errors.Is(err, ErrTooMany) {
			return err
		}
	}
	if err := s.Close(); err != nil {
		return r.archiveError(err)
	}
	r.finish()
	return nil
}

// entryReader makes entries of what the scanner finds.
type entryReader struct {
	queue  *queue
	budget *budget
	verity *fsverity.Batch
	stride int // bytes of one file's digests

	open []*batch // those that are not in the queue yet, oldest first
	base int      // entry number of the first of them
	n    int      // entries so far

	current  *entry
	lastPath []byte
}

func newEntryReader(algs []fsverity.Algorithm, q *queue, b *budget) *entryReader {
	r := &entryReader{queue: q, budget: b}
	for _, alg := range algs {
		r.stride += alg.Size()
	}
	r.verity = fsverity.NewBatch(algs, r.setSums)
	return r
}

// archiveError gives an error of the archive's form its place: the entry it is
// at or, where that cannot be known, the entry before.
func (r *entryReader) archiveError(err error) error {
	var entry *entryError
	if errors.As(err, &entry) || errors.Is(err, ErrTooMany) {
		return err
	}
	if at, ok := errors.AsType[*tarscan.EntryError](err); ok {
		if errors.Is(err, tarscan.ErrSparse) {
			return &entryError{at.Path, &adviceError{at.Err}}
		}
		return &entryError{at.Path, fmt.Errorf("%w (%w)", at.Err, ErrArchive)}
	}
	after := "at the beginning"
	if r.n > 0 {
		after = fmt.Sprintf("after %q", r.lastPath)
	}
	return fmt.Errorf("%s: %w (%w)", after, err, ErrArchive)
}

var entryKinds = map[byte]entryKind{
	tarscan.TypeRegular:    makeExternal,
	tarscan.TypeRegularOld: makeExternal,
	tarscan.TypeContiguous: makeExternal,
	tarscan.TypeDirectory:  makeDirectory,
	tarscan.TypeSymlink:    makeSymlink,
	tarscan.TypeLink:       makeHardLink,
	tarscan.TypeBlock:      makeBlockDevice,
	tarscan.TypeChar:       makeCharDevice,
	tarscan.TypeFIFO:       makeFIFO,
}

// Entry takes an entry. It implements tarscan.Handler.
func (r *entryReader) Entry(e *tarscan.Entry) error {
	kind, ok := entryKinds[e.Type]
	if !ok {
		return &entryError{string(e.Path), fmt.Errorf("type %q: %w", e.Type, ErrEntryType)}
	}
	if kind == makeExternal && e.Size <= tree.InlineMax {
		kind = makeInline
	}
	text := len(e.Path) + len(e.Link)
	if kind == makeInline {
		text += int(e.Size)
	}
	for _, x := range e.Xattrs {
		text += xattrOverhead + len(x.Name) + len(x.Value)
	}
	if err := r.budget.take(text); err != nil {
		return err
	}

	b := r.batch()
	n := entry{
		kind: kind,
		mode: e.Mode, uid: e.UID, gid: e.GID, mtimeSec: e.MtimeSec, mtimeNsec: e.MtimeNsec,
		path: b.add(e.Path),
	}
	if len(e.Xattrs) > 0 {
		b.xattrs = append(b.xattrs, e.Xattrs)
		n.xattrs = uint32(len(b.xattrs))
	}
	switch kind {
	case makeSymlink, makeHardLink:
		n.link = b.add(e.Link)
	case makeBlockDevice, makeCharDevice:
		if !e.HasDevice {
			return &entryError{string(e.Path), ErrNoDevice}
		}
		n.arg = rdev(e.DevMajor, e.DevMinor)
	case makeInline:
		n.link.off = uint32(len(b.text))
	case makeExternal:
		n.arg = e.Size
		n.sum = uint32(len(b.sums) / r.stride)
		b.sums = append(b.sums, make([]byte, r.stride)...)
		b.waiting++
		r.verity.Begin(r.n)
	case makeDirectory, makeFIFO:
	}
	b.entries = append(b.entries, n)
	r.current = &b.entries[len(b.entries)-1]
	r.lastPath = append(r.lastPath[:0], e.Path...)
	r.n++
	return nil
}

// rdev puts a device number together as glibc's makedev does.
func rdev(major, minor uint32) uint64 {
	ma, mi := uint64(major), uint64(minor)
	return ma&^0xfff<<32 | ma&0xfff<<8 | mi&^0xff<<12 | mi&0xff
}

// batch returns the batch for the next entry.
func (r *entryReader) batch() *batch {
	if len(r.open) == 0 || r.open[len(r.open)-1].full {
		r.open = append(r.open, newBatch())
	}
	return r.open[len(r.open)-1]
}

// Data takes content of the current entry.
func (r *entryReader) Data(p []byte) {
	switch r.current.kind {
	case makeInline:
		b := r.open[len(r.open)-1]
		b.text = append(b.text, p...)
		r.current.link.len += uint32(len(p))
	case makeExternal:
		_, _ = r.verity.Write(p) // never fails
	case makeDirectory, makeSymlink, makeHardLink, makeBlockDevice, makeCharDevice, makeFIFO:
		// Old tars give sizes to these. Hosts skip what follows, too.
	}
}

// EndEntry ends the current entry.
func (r *entryReader) EndEntry() error {
	if r.current.kind == makeExternal {
		r.verity.End()
	}
	b := r.open[len(r.open)-1]
	b.full = len(b.entries) == batchSize
	r.publish()
	return nil
}

// setSums stores the digests of a file.
func (r *entryReader) setSums(file int, sums []byte) {
	b := r.open[(file-r.base)/batchSize]
	e := &b.entries[(file-r.base)%batchSize]
	copy(b.sums[int(e.sum)*r.stride:], sums)
	b.waiting--
}

// publish puts the batches into the queue that have all their digests.
func (r *entryReader) publish() {
	for len(r.open) > 0 && r.open[0].full && r.open[0].waiting == 0 {
		r.queue.push(r.open[0])
		r.open = r.open[1:]
		r.base += batchSize
	}
}

// finish puts what is left into the queue.
func (r *entryReader) finish() {
	r.verity.Flush()
	for _, b := range r.open {
		b.full = true
	}
	r.publish()
}
