// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers/internal/tarscan"
)

// entry is a tar entry on its way to the tree. It has no pointers; what it
// spans is in its batch.
type entry struct {
	kind      entryKind
	mode      uint32
	uid, gid  uint32
	mtimeSec  int64
	mtimeNsec uint32
	sum       uint32 // position in the batch's sums
	arg       uint64 // file: size in bytes; device: rdev
	path      span
	link      span // of a link: its target; of an inline file: its content
	xattrs    uint32
	sink      uint32 // of an external file: what got its content
}

// entryKind is what an entry makes.
type entryKind uint8

const (
	makeDirectory entryKind = iota
	makeInline
	makeExternal
	makeSymlink
	makeHardLink
	makeBlockDevice
	makeCharDevice
	makeFIFO
)

// span is a piece of a batch's text.
type span struct{ off, len uint32 }

// batchSize is how many entries travel together.
const batchSize = 256

// batch is a piece of a layer's list of entries. Once it is in a queue, nobody
// changes it: all the images that have the layer read the same batch. A tree
// keeps nothing of it but xattrs, which are strings.
type batch struct {
	entries []entry
	text    []byte
	sums    []byte
	xattrs  [][]tarscan.Xattr // entry.xattrs - 1 is a position here
	sinks   []io.Writer       // likewise

	waiting int // digests that are not ready
	full    bool
	users   atomic.Int32 // queues and folds that have it

	cost   amount // of the entries
	budget *budget
}

var batches = sync.Pool{New: func() any { return &batch{entries: make([]entry, 0, batchSize)} }}

func newBatch(from *budget) *batch {
	b, _ := batches.Get().(*batch) // there is nothing else in it
	b.budget = from
	return b
}

// release gives the batch's memory back, to the budget too, when its last user
// is done with it, or when it never had one.
func (b *batch) release() {
	if b.users.Add(-1) > 0 {
		return
	}
	b.budget.give(b.cost)
	clear(b.sinks)
	*b = batch{entries: b.entries[:0], text: b.text[:0], sums: b.sums[:0], xattrs: b.xattrs[:0], sinks: b.sinks[:0]}
	batches.Put(b)
}

func (b *batch) add(text []byte) span {
	s := span{uint32(len(b.text)), uint32(len(text))}
	b.text = append(b.text, text...)
	return s
}

func (b *batch) bytes(s span) []byte { return b.text[s.off : s.off+s.len] }

func (b *batch) meta(t *tree.Tree, e *entry) tree.Meta {
	m := tree.Meta{Mode: e.mode, UID: e.uid, GID: e.gid, MtimeSec: e.mtimeSec, MtimeNsec: e.mtimeNsec}
	if e.xattrs > 0 {
		var xattrs []tree.Xattr
		for _, x := range b.xattrs[e.xattrs-1] {
			xattrs = append(xattrs, tree.Xattr(x))
		}
		m.Xattrs = t.Xattrs(xattrs...)
	}
	return m
}

// queue holds a layer's batches until its turn in an image comes. It has no
// bound of its own; budget bounds them together.
type queue struct {
	mu     sync.Mutex
	items  []*batch
	closed bool
	err    error         // why nothing is wanted any more
	ready  chan struct{} // has room for one: something has changed
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

func (q *queue) push(b *batch) {
	q.mu.Lock()
	dropped := q.err != nil
	if !dropped {
		q.items = append(q.items, b)
	}
	q.mu.Unlock()
	if dropped {
		b.release()
		return
	}
	q.wake()
}

// drop forgets what is in the queue and what is still to come; pop then returns
// the error.
func (q *queue) drop(err error) {
	q.mu.Lock()
	items := q.items
	q.items, q.err = nil, err
	q.mu.Unlock()
	for _, b := range items {
		b.release()
	}
	q.wake()
}

// close tells that the layer is complete, and was found to be right.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// pop returns the next batch, or nil when there is none to come.
func (q *queue) pop(ctx context.Context) (*batch, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		q.mu.Lock()
		if len(q.items) > 0 {
			b := q.items[0]
			q.items[0] = nil
			q.items = q.items[1:]
			q.mu.Unlock()
			return b, nil
		}
		closed, err := q.closed, q.err
		q.mu.Unlock()
		if closed || err != nil {
			return nil, err
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
		}
	}
}
