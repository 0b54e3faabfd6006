// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"maps"
	"slices"
	"sync"
	"testing"
)

// summary counts over all runs.
type summary struct {
	mu     sync.Mutex
	runs   int
	moods  map[mood]map[ending]int
	ends   map[ending]int
	faults map[string]int // by kind
	with   map[string]int // runs that had the kind
	jobs   map[string]int
}

func newSummary() *summary {
	return &summary{
		moods:  map[mood]map[ending]int{mild: {}, mixed: {}, hopeless: {}},
		ends:   map[ending]int{},
		faults: map[string]int{},
		with:   map[string]int{},
		jobs:   map[string]int{},
	}
}

func (s *summary) add(p *plan, end ending, counts map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	s.moods[p.mood][end]++
	s.ends[end]++
	for name, n := range counts {
		s.faults[name] += n
		s.with[name]++
	}
	s.jobs[string(p.job.target)]++
	for _, w := range p.job.write {
		s.jobs["write "+w]++
	}
	if p.shape.index {
		s.jobs["index"]++
	}
}

// report prints the counts.
func (s *summary) report(t *testing.T) {
	t.Helper()
	t.Logf("%d runs", s.runs)
	for _, end := range []ending{sealedEnd, cleanEnd, unknownEnd} {
		t.Logf("  %-30s %4d   (mild %d, mixed %d, hopeless %d)", end, s.ends[end], s.moods[mild][end], s.moods[mixed][end], s.moods[hopeless][end])
	}
	t.Logf("faults, and runs that had them:")
	for _, name := range slices.Sorted(maps.Keys(s.faults)) {
		t.Logf("  %-30s %6d %4d", name, s.faults[name], s.with[name])
	}
	t.Logf("asked for:")
	for _, name := range slices.Sorted(maps.Keys(s.jobs)) {
		t.Logf("  %-30s %4d", name, s.jobs[name])
	}
}

// complete fails if something never happened: a test of nothing.
func (s *summary) complete(t *testing.T) {
	t.Helper()
	names := []string{countExpired, countNoHEAD, countRange, countMount, countStorage, countLostTag, hopelessCount}
	for _, k := range kinds {
		names = append(names, k.name)
	}
	for _, name := range names {
		if s.with[name] == 0 {
			t.Errorf("no run had %q", name)
		}
	}
	for _, end := range []ending{sealedEnd, cleanEnd, unknownEnd} {
		if s.ends[end] == 0 {
			t.Errorf("no run ended %q", end)
		}
	}
	asked := []string{"index", "write label", "write annotations", "write artifact"}
	for _, target := range []target{ownTag, newTag, noTag, elseThan} {
		asked = append(asked, string(target))
	}
	for _, name := range asked {
		if s.jobs[name] == 0 {
			t.Errorf("no run was asked for %q", name)
		}
	}
}

// result returns what the proxy did.
func (p *proxy) result() (counts map[string]int, mayMove bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts), p.lostTag
}
