// SPDX-License-Identifier: Apache-2.0

package selinux

import (
	"bytes"
	"fmt"
	"time"
)

// Kind is the letter of a file type, as file_contexts has it behind a dash
// (selabel_file(5)).
type Kind byte

// The kinds of files.
const (
	Regular     Kind = '-'
	Directory   Kind = 'd'
	Symlink     Kind = 'l'
	BlockDevice Kind = 'b'
	CharDevice  Kind = 'c'
	FIFO        Kind = 'p'
	Socket      Kind = 's'
)

// none is the label of files that shall have none.
const none = "<<none>>"

// A Policy says which label a file gets. It is not safe for concurrent use:
// expressions are compiled when they are needed first.
type Policy struct {
	rules   []*rule          // in the order of the files: the last that matches holds
	paths   map[string][]int // rules that match one path alone
	stems   map[string][]int // the others, by the directories that they begin with
	deepest int              // bytes of the longest of stems
	aliases map[string]string

	buffer    []byte
	backtrack int    // how many rules do
	compiled  int    // instructions of the expressions that were needed
	work      uint64 // done
	allow     uint64 // work that may be done
	slow      time.Duration
}

// maxCompiled is how many instructions expressions may have that are kept, at
// some 100 bytes each. Fedora's policy has 200,000 in all.
const maxCompiled = 2_000_000

var errCompiled = limitf("the policy's patterns make more than %d instructions; real policies stay far below this limit", maxCompiled)

// Bounds of the work that expressions make, in instructions times bytes of the
// path, which is what it takes at worst: some 10^8 in a second. An image with a
// policy like Fedora's needs about 1,500 for each path.
const (
	workAtFirst = 10_000_000_000
	workPerPath = 20_000
)

var errWork = limitf("the policy's patterns make too much work for this many paths; real policies stay far below this limit")

// Rules returns how many entries the policy has.
func (p *Policy) Rules() int { return len(p.rules) }

// Substitute returns what stands in place of a path, for labels: the path
// itself for one that .subs and .subs_dist do not have. It is for whole paths.
// That of a directory counts for what is in it.
func (p *Policy) Substitute(path []byte) []byte {
	if original, ok := p.aliases[string(path)]; ok {
		return []byte(original)
	}
	return path
}

// Lookup returns the label of a file, and false if it shall have none: no entry
// is about it, or one that says so. It is an error if that takes too long to
// find out. The path is any bytes; substitutions are the caller's to make.
func (p *Policy) Lookup(path []byte, kind Kind) (label string, ok bool, err error) {
	p.allow += workPerPath
	if p.work += uint64(len(path)); p.work > p.allow {
		return "", false, fmt.Errorf("selinux: %w", errWork)
	}
	k := newKey(p.buffer[:0], path, kind)
	p.buffer = k.bytes
	best, err := p.last(p.paths[string(path)], -1, path, k, kind)
	for i := min(len(path), p.deepest); i > 0 && err == nil; i-- {
		if path[i-1] == '/' {
			p.work += uint64(i) // what it takes to look the stem up
			best, err = p.last(p.stems[string(path[:i])], best, path, k, kind)
		}
	}
	if err == nil {
		best, err = p.last(p.stems[""], best, path, k, kind)
	}
	if err != nil || best < 0 || p.rules[best].label == none {
		return "", false, err
	}
	return p.rules[best].label, true, nil
}

// last returns the last of the rules behind best that matches, or best.
func (p *Policy) last(rules []int, best int, path []byte, k *key, kind Kind) (int, error) {
	for i := len(rules) - 1; i >= 0 && rules[i] > best; i-- {
		r := p.rules[rules[i]]
		p.work++
		if r.mask&^k.mask != 0 {
			continue
		}
		match, sure, err := p.may(r, path, kind)
		if err == nil && match && !sure {
			match, err = p.match(r, k)
		}
		if err != nil {
			return -1, fmt.Errorf("selinux: pattern %q on path %.200q: %w", r.text, path, err)
		}
		if match {
			return rules[i], nil
		}
	}
	return best, nil
}

// may compares within the bounds.
func (p *Policy) may(r *rule, path []byte, kind Kind) (match, sure bool, err error) {
	if p.work += uint64(len(path)); p.work > p.allow {
		return false, false, errWork
	}
	match, sure = r.may(path, kind)
	return match, sure, nil
}

// match matches within the bounds.
func (p *Policy) match(r *rule, k *key) (bool, error) {
	p.work += uint64(r.cost) * uint64(len(k.bytes))
	if p.work > p.allow {
		return false, errWork
	}
	if r.slow == nil {
		if r.linear == nil {
			p.compiled += r.cost
		}
		if p.compiled > maxCompiled {
			return false, errCompiled
		}
		return r.match(k)
	}
	if p.slow > 100*slowTime {
		return false, errSlow
	}
	start := time.Now()
	match, err := r.match(k)
	p.slow += time.Since(start)
	if err != nil {
		return false, errSlow
	}
	return match, nil
}

// index puts the rules where Lookup finds them.
func (p *Policy) index() {
	p.paths, p.stems = map[string][]int{}, map[string][]int{}
	p.allow = workAtFirst
	for i, r := range p.rules {
		if r.shape == exact {
			p.paths[string(r.prefix)] = append(p.paths[string(r.prefix)], i)
			continue
		}
		stem := string(r.prefix[:bytes.LastIndexByte(r.prefix, '/')+1])
		p.deepest = max(p.deepest, len(stem))
		p.stems[stem] = append(p.stems[stem], i)
	}
}
