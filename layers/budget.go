// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"context"
	"fmt"
	"sync"
)

// limits bound a run, so that a hostile one cannot use up memory or keep a
// machine busy for days: a few bytes of zstd can stand for a hundred thousand.
type limits struct {
	entries int64 // in memory at once
	text    int64 // bytes of their names, link targets, xattrs and inline content
	content int64 // bytes of the layers' archives, of the whole run
}

// defaultLimits are about ten times what the largest images have. An entry takes
// up to 200 bytes besides its text, so a run takes about 5 GiB at most.
var defaultLimits = limits{entries: 16 << 20, text: 2 << 30, content: 1 << 40}

const (
	// aheadShare is the part of the limits, one of so many, over which only the
	// oldest image goes on. What is left has room for its layers and its tree.
	aheadShare = 4

	// mergedTimes is how many times the limits all trees of a run may hold, which
	// are not in memory together. It bounds the time: to merge a thousand million
	// entries takes some ten minutes on two CPUs, and their digests more.
	mergedTimes = 64

	// aheadImages is how many images for each job may have layers that are read
	// and not be done: those that are merged, and as many for when they are.
	aheadImages = 2
)

// xattrOverhead is what an attribute takes up besides its name and value, in
// bytes: the headers of two strings.
const xattrOverhead = 32

// amount is what entries take up.
type amount struct {
	entries int64
	text    int64 // bytes
}

func (a *amount) add(b amount) { a.entries, a.text = a.entries+b.entries, a.text+b.text }

func (a *amount) sub(b amount) { a.entries, a.text = a.entries-b.entries, a.text-b.text }

// over reports whether the amount is over a part of the limits.
func (a *amount) over(l limits, times, share int64) bool {
	return a.entries > l.entries*times/share || a.text > l.text*times/share
}

// budget is what a run has used of its limits. Entries count while they are in
// memory: in queues once, though many images have the layer, and in each tree.
//
// Over a part of the limits, everything waits but what the oldest image needs,
// the first that is not done. That never waits, and all its layers begin to be
// read before those that only later images have, so the run goes on.
type budget struct {
	limits
	ahead int // images that have layers that are read, and are not done

	mu      sync.Mutex
	changed sync.Cond // of what follows
	held    amount    // in memory
	merged  amount    // that all trees have together, or will
	content int64     // bytes of archives
	done    []bool    // images
	dones   int       // how many of them
	oldest  int       // image that is not done
}

func newBudget(l limits, images, jobs int) *budget {
	b := &budget{limits: l, ahead: aheadImages * jobs, done: make([]bool, images)}
	b.changed.L = &b.mu
	return b
}

// take takes what was read of a layer, which uses trees will have, for the first
// image that has it; or, with no uses, what went into the image's tree. Then it
// waits until there is room for more, unless the image is the oldest.
func (b *budget) take(ctx context.Context, image int, a amount, uses int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held.add(a)
	b.merged.add(amount{a.entries * int64(uses), a.text * int64(uses)})
	if b.held.over(b.limits, 1, 1) {
		return fmt.Errorf("%w: over %d entries, or %d bytes of names%s", ErrTooMany, b.entries, b.text, b.together())
	}
	if b.merged.over(b.limits, mergedTimes, 1) {
		return fmt.Errorf("%w: over %d entries, or %d bytes of names, to be merged%s", ErrTooMany, b.entries*mergedTimes, b.text*mergedTimes, b.together())
	}
	return b.wait(ctx, func() bool { return b.hasRoom(image) })
}

// give gives back what is in memory no more.
func (b *budget) give(a amount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held.sub(a)
	b.changed.Broadcast()
}

// takeContent takes bytes of archives.
func (b *budget) takeContent(n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.content += int64(n)
	if b.content > b.limits.content {
		return fmt.Errorf("%w: over %d bytes of archives%s", ErrTooMany, b.limits.content, b.together())
	}
	return nil
}

// begin waits until it is the turn of a layer whose first image this is: that of
// an image with fewer than ahead before it that are not done. For the oldest it
// always is.
func (b *budget) begin(ctx context.Context, image int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wait(ctx, func() bool { return image < b.dones+b.ahead && b.hasRoom(image) })
}

// end tells that an image is done, and gives back its tree.
func (b *budget) end(image int, tree amount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held.sub(tree)
	b.done[image] = true
	b.dones++
	for b.oldest < len(b.done) && b.done[b.oldest] {
		b.oldest++
	}
	b.changed.Broadcast()
}

// hasRoom reports whether what the image needs may be read and merged.
func (b *budget) hasRoom(image int) bool {
	return image <= b.oldest || !b.held.over(b.limits, 1, aheadShare)
}

// wait waits until ok, with mu locked.
func (b *budget) wait(ctx context.Context, ok func() bool) error {
	if ok() {
		return nil
	}
	defer context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.changed.Broadcast()
	})()
	for !ok() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b.changed.Wait()
	}
	return nil
}

// together says what several images can do about it.
func (b *budget) together() string {
	if len(b.done) == 1 {
		return ""
	}
	return fmt.Sprintf(" in %d images together; read fewer of them at once", len(b.done))
}
