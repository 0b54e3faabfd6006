// SPDX-License-Identifier: Apache-2.0

package selinux

import "slices"

// op is what a node of a regular expression is.
type op uint8

const (
	opEmpty      op = iota
	opFlags         // (?i): nothing, but nothing can be repeated either
	opLiteral       // lit
	opSet           // one byte of set
	opAssert        // assert
	opGroup         // subs[0], captured as number capture unless 0
	opConcat        // subs
	opAlternate     // subs
	opRepeat        // subs[0], min to max times
	opLook          // subs[0] ahead or behind, as look says
	opAtomic        // subs[0], without a way back into it
	opBackref       // what group number capture matched
	opBegin         // before the first byte
	opEnd           // behind the last byte
	opEndNewline    // behind the last byte, or before a newline that is the last
)

// assertion is a condition on the bytes around a place.
type assertion uint8

const (
	lineBegin assertion = iota
	lineEnd
	wordBoundary
	notWordBoundary
	wordStart
	wordEnd
	wordStartHalf
	wordEndHalf
)

// unlimited is the max of a repetition without one.
const unlimited = -1

// A node is a part of a regular expression over bytes.
type node struct {
	op        op
	lit       []byte
	set       set
	assert    assertion
	look      string // as it is written: (?= (?! (?<= (?<!
	subs      []*node
	min, max  int
	lazy      bool
	capture   int
	depth     int  // of the tree below, this node included
	size      int  // about how many instructions it takes
	repeats   int  // the largest product of nested repetition counts
	backtrack bool // only the backtracking engine can do it
}

// set is a set of bytes.
type set [4]uint64

func (s *set) add(b byte)           { s[b>>6] |= 1 << (b & 63) }
func (s *set) has(b byte) bool      { return s[b>>6]&(1<<(b&63)) != 0 }
func (s *set) addAll(other *set)    { s.each(other, func(a, b uint64) uint64 { return a | b }) }
func (s *set) intersect(other *set) { s.each(other, func(a, b uint64) uint64 { return a & b }) }
func (s *set) subtract(other *set)  { s.each(other, func(a, b uint64) uint64 { return a &^ b }) }
func (s *set) differ(other *set)    { s.each(other, func(a, b uint64) uint64 { return a ^ b }) }
func (s *set) negate()              { s.each(s, func(a, _ uint64) uint64 { return ^a }) }

func (s *set) each(other *set, f func(a, b uint64) uint64) {
	for i := range s {
		s[i] = f(s[i], other[i])
	}
}

func (s *set) addRange(from, to byte) {
	for b := int(from); b <= int(to); b++ {
		s.add(byte(b))
	}
}

// fold adds the other case of the ASCII letters in the set.
func (s *set) fold() {
	for b := byte('a'); b <= 'z'; b++ {
		if s.has(b) || s.has(b-'a'+'A') {
			s.add(b)
			s.add(b - 'a' + 'A')
		}
	}
}

// only returns the byte of a set that has no other.
func (s *set) only() (byte, bool) {
	found, n := byte(0), 0
	for b := range 256 {
		if s.has(byte(b)) {
			found = byte(b)
			n++
		}
	}
	return found, n == 1
}

// allBut returns the set of all bytes but some.
func allBut(bytes ...byte) set {
	var s set
	for _, b := range bytes {
		s.add(b)
	}
	s.negate()
	return s
}

// asciiClasses are the classes that both syntaxes know by name, as they are in
// the C locale.
var asciiClasses = map[string][]byte{
	"alnum": []byte("09AZaz"), "alpha": []byte("AZaz"), "ascii": {0, 0x7f}, "blank": []byte("\t\t  "),
	"cntrl": {0, 0x1f, 0x7f, 0x7f}, "digit": []byte("09"), "graph": []byte("!~"), "lower": []byte("az"),
	"print": []byte(" ~"), "punct": []byte("!/:@[`{~"), "space": []byte("\t\r  "), "upper": []byte("AZ"),
	"word": []byte("09AZ__az"), "xdigit": []byte("09AFaf"),
}

func asciiClass(name string) (set, bool) {
	ranges, ok := asciiClasses[name]
	var s set
	for i := 0; i+1 < len(ranges); i += 2 {
		s.addRange(ranges[i], ranges[i+1])
	}
	return s, ok
}

// perlClass returns the class of the escapes \d, \s and \w, and of their
// capitals.
func perlClass(c byte) (set, bool) {
	name := map[byte]string{'d': "digit", 's': "space", 'w': "word"}[c|0x20]
	s, ok := asciiClass(name)
	if ok && c < 'a' {
		s.negate()
	}
	return s, ok
}

func literal(b ...byte) *node { return measured(&node{op: opLiteral, lit: b}) }

func setNode(s *set) *node {
	if b, ok := s.only(); ok {
		return literal(b)
	}
	return measured(&node{op: opSet, set: *s})
}

func assertNode(a assertion) *node {
	return measured(&node{op: opAssert, assert: a, backtrack: a >= wordStart})
}

// measured fills in what a node's children tell of it.
func measured(n *node) *node {
	n.size, n.repeats = 1+len(n.lit), 1
	for _, sub := range n.subs {
		n.depth = max(n.depth, sub.depth)
		n.size += sub.size
		n.repeats = max(n.repeats, sub.repeats)
		n.backtrack = n.backtrack || sub.backtrack
	}
	n.depth++
	if n.op == opRepeat {
		times := max(n.min, n.max, 1)
		// Saturate: each factor is bounded, a long chain of them is not.
		n.size = min(n.size*times, maxSize+1)
		n.repeats = min(n.repeats*times, maxRepeat+1)
	}
	return n
}

// concat returns a node for one item behind the other. Literals that meet
// become one.
func concat(items []*node) *node {
	var subs []*node
	joined := false // whether the last of subs is a literal made here
	for _, item := range items {
		last := len(subs) - 1
		switch {
		case item.op == opFlags || item.op == opEmpty:
			continue
		case item.op == opLiteral && joined:
			subs[last].lit = append(subs[last].lit, item.lit...)
			subs[last].size += len(item.lit)
			continue
		case item.op == opLiteral && last >= 0 && subs[last].op == opLiteral:
			subs[last] = literal(slices.Concat(subs[last].lit, item.lit)...)
			joined = true
			continue
		}
		subs = append(subs, item)
		joined = false
	}
	switch len(subs) {
	case 0:
		return measured(&node{op: opEmpty})
	case 1:
		return subs[0]
	}
	return measured(&node{op: opConcat, subs: subs})
}
