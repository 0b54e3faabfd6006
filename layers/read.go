// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers/internal/tarscan"
)

// readLayer reads the layer to its end, checks it, and puts its entries into
// the queues of its uses.
func (r *run) readLayer(ctx context.Context, i int) error {
	layer := &r.layers[i].Layer
	diffHash, err := newHash(layer.DiffID)
	if err != nil {
		return err
	}
	var queues []*queue
	for _, u := range r.layers[i].Uses {
		queues = append(queues, r.queue(u))
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
	// What is wrong with the archive counts only once the layer is known to be
	// what its digests say: otherwise that is why.
	var archiveErr error
	g.Go(func() error {
		entries := newEntryReader(r.algorithms, queues, r.budget)
		entries.capture, entries.notice = r.capture, r.noticeOf(i)
		archiveErr = scan(running, toScan, entries, r.layers[i].Uses[0].Image)
		entries.abandon()
		if errors.Is(archiveErr, ErrTooMany) {
			return archiveErr // at once: going on is what it wants
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if diffID != layer.DiffID.Hex {
		return fmt.Errorf("%w: its diff ID is %s:%s, the config says %s", ErrDiffID, layer.DiffID.Algorithm, diffID, layer.DiffID)
	}
	return r.tolerate(i, archiveErr)
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
// that is too large. It waits where the first image that has the layer has to.
func scan(ctx context.Context, in <-chan *chunk, r *entryReader, image int) error {
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
		if err := r.settle(ctx, image); err != nil {
			return err
		}
	}
	if err := s.Close(); err != nil {
		if r.notice != nil && ctx.Err() == nil {
			r.finish() // what there is in front of it
		}
		return r.archiveError(err)
	}
	r.finish()
	return nil
}

// entryReader makes entries of what the scanner finds.
type entryReader struct {
	queues []*queue
	budget *budget
	verity *fsverity.Batch
	stride int // bytes of one file's digests

	unsettled amount // of the entries, what the budget does not know of yet

	open []*batch // those that are not in the queue yet, oldest first
	base int      // entry number of the first of them
	n    int      // entries so far

	current  *entry    // nil: it is passed over
	sink     io.Writer // what gets its content, too
	lastPath []byte

	capture Capture
	path    []byte                       // as capture gets it
	notice  func(path string, err error) // nil: what hosts refuse ends the reading
}

func newEntryReader(algs []fsverity.Algorithm, queues []*queue, b *budget) *entryReader {
	r := &entryReader{queues: queues, budget: b}
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
	kind, err := kindOf(e)
	if err != nil {
		return r.refuse(e, err)
	}
	text := len(e.Path) + len(e.Link)
	if kind == makeInline {
		text += int(e.Size)
	}
	for _, x := range e.Xattrs {
		text += xattrOverhead + len(x.Name) + len(x.Value)
	}
	b := r.batch()
	b.cost.add(amount{1, int64(text)})
	r.unsettled.add(amount{1, int64(text)})
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
		n.arg = rdev(e.DevMajor, e.DevMinor)
	case makeInline:
		n.link.off = uint32(len(b.text))
	case makeExternal:
		n.arg = e.Size
		n.sum = uint32(len(b.sums) / r.stride)
		b.sums = append(b.sums, make([]byte, r.stride)...)
		b.waiting++
		r.verity.Begin(r.n)
		n.sink = r.captureFile(b, e)
	case makeDirectory, makeFIFO:
	}
	b.entries = append(b.entries, n)
	r.current = &b.entries[len(b.entries)-1]
	r.lastPath = append(r.lastPath[:0], e.Path...)
	r.n++
	return nil
}

// kindOf returns what an entry makes. An error is of what hosts refuse.
func kindOf(e *tarscan.Entry) (entryKind, error) {
	kind, ok := entryKinds[e.Type]
	switch {
	case !ok:
		return 0, fmt.Errorf("type %q: %w", e.Type, ErrEntryType)
	case (kind == makeBlockDevice || kind == makeCharDevice) && !e.HasDevice:
		return 0, ErrNoDevice
	case kind == makeExternal && e.Size <= tree.InlineMax:
		return makeInline, nil
	}
	return kind, nil
}

// refuse is what becomes of an entry that hosts refuse: the end, or it is told
// and passed over.
func (r *entryReader) refuse(e *tarscan.Entry, err error) error {
	if r.notice == nil {
		return &entryError{string(e.Path), err}
	}
	r.notice(string(e.Path), err)
	r.current = nil
	return nil
}

// captureFile returns the position of what gets the content of the file, counted
// from 1; 0: nothing does.
func (r *entryReader) captureFile(b *batch, e *tarscan.Entry) uint32 {
	r.sink = nil
	if r.capture == nil {
		return 0
	}
	r.path = appendClean(r.path[:0], e.Path)
	w, keeps := r.capture(r.path, e.Size)
	if w == nil {
		return 0
	}
	r.sink = w
	cost := amount{0, int64(keeps)}
	b.cost.add(cost)
	r.unsettled.add(cost)
	b.sinks = append(b.sinks, w)
	return uint32(len(b.sinks))
}

// rdev puts a device number together as glibc's makedev does.
func rdev(major, minor uint32) uint64 {
	ma, mi := uint64(major), uint64(minor)
	return ma&^0xfff<<32 | ma&0xfff<<8 | mi&^0xff<<12 | mi&0xff
}

// batch returns the batch for the next entry.
func (r *entryReader) batch() *batch {
	if len(r.open) == 0 || r.open[len(r.open)-1].full {
		r.open = append(r.open, newBatch(r.budget))
	}
	return r.open[len(r.open)-1]
}

// Data takes content of the current entry.
func (r *entryReader) Data(p []byte) {
	if r.current == nil {
		return
	}
	switch r.current.kind {
	case makeInline:
		b := r.open[len(r.open)-1]
		b.text = append(b.text, p...)
		r.current.link.len += uint32(len(p))
	case makeExternal:
		_, _ = r.verity.Write(p) // never fails
		if r.sink != nil {
			_, _ = r.sink.Write(p)
		}
	case makeDirectory, makeSymlink, makeHardLink, makeBlockDevice, makeCharDevice, makeFIFO:
		// Old tars give sizes to these. Hosts skip what follows, too.
	}
}

// EndEntry ends the current entry.
func (r *entryReader) EndEntry() error {
	if r.current == nil {
		return nil
	}
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

// publish puts the batches into the queues that have all their digests.
func (r *entryReader) publish() {
	for len(r.open) > 0 && r.open[0].full && r.open[0].waiting == 0 {
		r.open[0].users.Store(int32(len(r.queues)))
		for _, q := range r.queues {
			q.push(r.open[0])
		}
		r.open = r.open[1:]
		r.base += batchSize
	}
}

// finish puts what is left into the queues.
func (r *entryReader) finish() {
	r.verity.Flush()
	for _, b := range r.open {
		b.full = true
	}
	r.publish()
}

// settle tells the budget of the entries since the last time. There are few: a
// piece of the archive holds no more.
func (r *entryReader) settle(ctx context.Context, image int) error {
	a := r.unsettled
	r.unsettled = amount{}
	return r.budget.take(ctx, image, a, len(r.queues))
}

// abandon drops what is in no queue, and will not be.
func (r *entryReader) abandon() {
	for _, b := range r.open {
		b.release()
	}
	r.open = nil
}
