// SPDX-License-Identifier: Apache-2.0

package fsverity

// Batch computes the digests of many files under any number of algorithms,
// reading each byte once. Files follow one another: Begin, Write, …, End.
//
// A digest may be ready only later, when enough blocks have come together to
// be hashed at once; it is ready at the latest when Flush returns. Write never
// keeps its argument.
type Batch struct {
	blocks blocks
	trees  []*merkle
	done   func(file int, sums []byte)
	sums   []byte
	file   int
	open   bool
}

// NewBatch returns a Batch that calls done for each file, from within End,
// Write or Flush: sums holds the digests' bytes one behind the other in the
// order of algs, and is valid only during the call.
func NewBatch(algs []Algorithm, done func(file int, sums []byte)) *Batch {
	b := &Batch{done: done}
	for _, alg := range algs {
		b.trees = append(b.trees, newMerkle(alg))
	}
	return b
}

// Begin starts a file; done gets its number back.
func (b *Batch) Begin(file int) {
	if b.open {
		panic("fsverity: Begin before the End of the file before")
	}
	b.file, b.open = file, true
	b.blocks.reset()
	for _, t := range b.trees {
		t.reset()
	}
}

// Write adds p to the file. It never fails.
func (b *Batch) Write(p []byte) (int, error) {
	if !b.open {
		panic("fsverity: Write without Begin")
	}
	return b.blocks.write(p, b.addBlock)
}

func (b *Batch) addBlock(block []byte) {
	for _, t := range b.trees {
		t.addBlock(block)
	}
}

// End ends the file.
func (b *Batch) End() {
	if !b.open {
		panic("fsverity: End without Begin")
	}
	b.open = false
	b.sums = b.sums[:0]
	for _, t := range b.trees {
		b.sums = t.appendDigest(b.sums, b.blocks.size, b.blocks.tail())
	}
	b.done(b.file, b.sums)
}

// Flush returns when done was called for every file that was ended.
func (b *Batch) Flush() {}
