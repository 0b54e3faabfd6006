// SPDX-License-Identifier: Apache-2.0

package tree

import "iter"

// Step is one name that Walk comes to. It is valid until the next.
type Step struct {
	Dir Ino // the directory that has the name
	Ino Ino // what it means

	c     *Checked
	stack []uint32 // positions in sorted, from the root's entry down to this one
}

// Name returns the name. The caller must not change it.
func (s *Step) Name() []byte { return s.c.nameAt(s.stack[len(s.stack)-1]) }

// Depth returns how many names the path has.
func (s *Step) Depth() int { return len(s.stack) }

// AppendPath appends the path, which begins with a slash.
func (s *Step) AppendPath(b []byte) []byte {
	for _, pos := range s.stack {
		b = append(b, '/')
		b = append(b, s.c.nameAt(pos)...)
	}
	return b
}

// Path returns the path, which begins with a slash.
func (s *Step) Path() string { return string(s.AppendPath(nil)) }

func (c *Checked) nameAt(pos uint32) []byte { return c.names.at(c.dentries.at(c.sorted[pos]).name) }

// Walk yields every name below the root, depth first: a directory before what
// it holds, names in the order of bytes. It needs no recursion, however deep
// the tree is.
func (c *Checked) Walk() iter.Seq[*Step] {
	return func(yield func(*Step) bool) {
		type level struct {
			dir       Ino
			next, end uint32
		}
		enter := func(dir Ino) level {
			key := c.dirKey(dir)
			return level{dir, c.start[key], c.start[key+1]}
		}
		s := &Step{c: c}
		levels := []level{enter(Root)}
		for len(levels) > 0 {
			top := &levels[len(levels)-1]
			s.stack = s.stack[:len(levels)-1]
			if top.next == top.end {
				levels = levels[:len(levels)-1]
				continue
			}
			s.stack = append(s.stack, top.next)
			s.Dir, s.Ino = top.dir, c.dentries.at(c.sorted[top.next]).ino
			top.next++
			if !yield(s) {
				return
			}
			if c.Kind(s.Ino) == Directory {
				levels = append(levels, enter(s.Ino))
			}
		}
	}
}
