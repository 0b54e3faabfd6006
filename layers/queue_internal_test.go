// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"context"
	"errors"
	"testing"
)

// TestQueueDrop: a queue that was dropped holds nothing and takes nothing, and
// gives the batches back that others are still to read.
func TestQueueDrop(t *testing.T) {
	errDropped := errors.New("dropped")
	q, other := newQueue(), newQueue()
	from := newBudget(defaultLimits, 1, 1)
	push := func() *batch {
		b := newBatch(from)
		b.users.Store(2)
		q.push(b)
		other.push(b)
		return b
	}
	before := push()
	q.drop(errDropped)
	after := push()
	if len(q.items) != 0 || len(other.items) != 2 {
		t.Errorf("%d batches in the dropped queue, %d in the other; want 0, 2", len(q.items), len(other.items))
	}
	for _, b := range []*batch{before, after} {
		if n := b.users.Load(); n != 1 {
			t.Errorf("a batch has %d users, want 1", n)
		}
	}
	q.close()
	if b, err := q.pop(t.Context()); b != nil || !errors.Is(err, errDropped) {
		t.Errorf("the dropped queue gives %v, error %v", b, err)
	}
	if b, err := other.pop(t.Context()); b != before || err != nil {
		t.Errorf("the other queue gives another batch than the first, error %v", err)
	}
}

// TestFoldReleases: a fold gives back what it has read, and what others have yet
// to read stays as it is.
func TestFoldReleases(t *testing.T) {
	var o Options
	o.fill()
	r := newRun([][]Layer{{{}}}, &o)
	b := newBatch(r.budget)
	b.entries = append(b.entries, entry{kind: makeFIFO, path: b.add([]byte("a"))})
	b.users.Store(2)
	r.queue(Use{}).push(b)
	r.queue(Use{}).close()
	if _, err := r.fold(t.Context(), 0, &amount{}); err != nil {
		t.Fatal(err)
	}
	if n := b.users.Load(); n != 1 || len(b.entries) != 1 || string(b.text) != "a" {
		t.Errorf("after the fold a batch has %d users, %d entries and text %q; want 1, 1, a", n, len(b.entries), b.text)
	}
}

// TestMergeCalledOff: when the context has ended, nothing is merged, though
// there be entries, and nobody is told.
func TestMergeCalledOff(t *testing.T) {
	errEnd := errors.New("the end")
	var o Options
	o.fill()
	r := newRun([][]Layer{{{}}}, &o)
	b := newBatch(r.budget)
	b.users.Store(1)
	q := r.queue(Use{})
	q.push(b)
	q.close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errEnd)
	err := r.merge(ctx, 0, func(int, *Merged, error) error {
		t.Error("the image is told")
		return nil
	})
	if !errors.Is(err, errEnd) {
		t.Errorf("error %v, want the context's cause", err)
	}
	if len(q.items) != 1 {
		t.Errorf("%d batches are in the queue, want the one that was", len(q.items))
	}
}
