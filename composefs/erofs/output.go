// SPDX-License-Identifier: Apache-2.0

package erofs

import "io"

// output is where an image goes: nowhere in the first pass, which only counts,
// and to a writer in the second. Its error sticks.
type output struct {
	w   io.Writer // nil while counting
	buf []byte
	pos uint64 // bytes so far
	err error
}

// flushSize is how much is collected before it is written, in bytes.
const flushSize = 64 << 10

// counting reports whether this is the first pass.
func (o *output) counting() bool { return o.w == nil }

// skip counts n bytes that the second pass will write.
func (o *output) skip(n uint64) { o.pos += n }

// scratch returns where to append what wrote is then told of.
func (o *output) scratch() []byte { return o.buf }

// wrote takes over what was appended to scratch.
func (o *output) wrote(buf []byte) {
	o.pos += uint64(len(buf) - len(o.buf))
	o.buf = buf
	if len(o.buf) >= flushSize {
		o.flush()
	}
}

func (o *output) flush() {
	if o.w != nil && o.err == nil && len(o.buf) > 0 {
		var n int
		if n, o.err = o.w.Write(o.buf); o.err == nil && n < len(o.buf) {
			o.err = io.ErrShortWrite
		}
	}
	o.buf = o.buf[:0]
}

// zeros writes n zero bytes.
func (o *output) zeros(n uint64) {
	if o.counting() {
		o.skip(n)
		return
	}
	var zero [512]byte
	for n > 0 {
		c := min(n, uint64(len(zero)))
		o.wrote(append(o.scratch(), zero[:c]...))
		n -= c
	}
}

// pad writes zeros up to the next multiple of align.
func (o *output) pad(align uint64) {
	if rest := o.pos % align; rest > 0 {
		o.zeros(align - rest)
	}
}
