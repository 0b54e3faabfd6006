// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	cfslabel "github.com/cfs-label/cfs-label"
)

// newProgress returns who shows progress: bars where a person looks, else
// nobody.
func newProgress(t *terminal) cfslabel.Progress {
	if !t.showsBars() {
		return &steps{terminal: t}
	}
	return &bars{steps: steps{terminal: t}}
}

// showsBars reports whether there is a person who wants to see them.
func (t *terminal) showsBars() bool { return !t.quiet && !t.noProgress && t.isTerminal() }

// steps tells of steps, if asked for details.
type steps struct{ *terminal }

func (s *steps) Begin(list []cfslabel.ReadLayer) {
	var platforms []string
	for _, l := range list {
		if !slices.Contains(platforms, l.Platform) {
			platforms = append(platforms, l.Platform)
		}
	}
	s.detail("reading %d layers of %s", len(list), strings.Join(platforms, ", "))
}

func (s *steps) Fetched(int, int) {}

func (s *steps) End() {}

func (s *steps) Step(what string) { s.detail("%s", what) }

// bars shows a bar for each layer: bytes, rate and time left.
type bars struct {
	steps
	mu     sync.Mutex
	pool   *mpb.Progress
	bars   []*mpb.Bar
	meters []*meter
}

func (b *bars) Begin(list []cfslabel.ReadLayer) {
	b.steps.Begin(list)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pool = mpb.New(mpb.WithOutput(b.stderr), mpb.WithWidth(40))
	b.hold()
	b.bars, b.meters = make([]*mpb.Bar, len(list)), make([]*meter, len(list))
	for i, l := range list {
		name := fmt.Sprintf("%s %2d/%d %.12s ", l.Platform, l.Layer+1, l.Layers, l.Digest.Hex)
		m := newMeter(l.Size, time.Now())
		b.meters[i] = m
		b.bars[i] = b.pool.AddBar(l.Size,
			mpb.PrependDecorators(decor.Name(name), decor.CountersKibiByte("% .1f / % .1f", decor.WCSyncSpace)),
			mpb.AppendDecorators(
				decor.Any(m.showRate, decor.WCSyncSpace),
				decor.OnComplete(decor.Any(m.showTimeLeft, decor.WCSyncSpace), "done"),
			),
		)
	}
}

func (b *bars) Fetched(layer, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bars != nil {
		b.meters[layer].add(n, time.Now())
		b.bars[layer].IncrBy(n)
	}
}

func (b *bars) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bar := range b.bars {
		bar.Abort(false) // does nothing to a bar that is complete
	}
	if b.pool != nil {
		b.pool.Wait()
	}
	b.release()
	b.pool, b.bars, b.meters = nil, nil, nil
}

func (b *bars) Step(what string) { b.say("%s", what) }
