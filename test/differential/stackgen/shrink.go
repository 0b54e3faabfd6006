// SPDX-License-Identifier: Apache-2.0

package stackgen

import "slices"

// Shrink cuts layers and entries off the stack for as long as holds says that
// the rest still shows what is looked for. It asks at most limit times.
func Shrink(stack Stack, limit int, holds func(Stack) bool) Stack {
	try := func(smaller Stack) bool {
		if limit <= 0 {
			return false
		}
		limit--
		if !holds(smaller) {
			return false
		}
		stack = smaller
		return true
	}
	for i := len(stack.Layers) - 1; i >= 0 && len(stack.Layers) > 1; i-- {
		smaller := stack.Clone()
		if i+1 < len(smaller.Layers) {
			smaller.Layers[i+1].Same = false
		}
		smaller.Layers = slices.Delete(smaller.Layers, i, i+1)
		try(smaller)
	}
	for i := range stack.Layers {
		shrinkEntries(&stack, i, try)
		simplify(&stack, i, try)
	}
	return stack
}

// shrinkEntries cuts entries off one layer: half of them at once, then a
// quarter, down to one by one; the last ones first, as entries need what comes
// before them.
func shrinkEntries(stack *Stack, layer int, try func(Stack) bool) {
	for size := (len(stack.Layers[layer].Entries) + 1) / 2; size > 0; size /= 2 {
		for to := len(stack.Layers[layer].Entries); to > 0; to -= size {
			smaller := stack.Clone()
			entries := &smaller.Layers[layer].Entries
			*entries = slices.Delete(*entries, max(to-size, 0), to)
			try(smaller)
		}
	}
}

// simplify takes away what is special about a layer and its entries.
func simplify(stack *Stack, layer int, try func(Stack) bool) {
	smaller := stack.Clone()
	smaller.Layers[layer].Compression = Compression{Codec: Plain, Damage: smaller.Layers[layer].Compression.Damage}
	smaller.Layers[layer].End = EndTwoBlocks
	try(smaller)
	edits := []func(*Entry){
		func(e *Entry) { e.Xattrs = nil },
		func(e *Entry) { e.Records, e.AllPAX = nil, false },
		func(e *Entry) { e.Fraction = "" },
		func(e *Entry) { e.Mode, e.UID, e.GID = 0o755, 0, 0 },
		func(e *Entry) { e.Mtime = 0 },
		func(e *Entry) { e.Before = nil },
		func(e *Entry) { e.Data, e.Claim = Data{}, 0 },
		func(e *Entry) { e.Numbers, e.Format = OctalNUL, USTAR },
		func(e *Entry) { e.Text = "" },
	}
	if len(stack.Layers[layer].Entries) > 12 {
		return
	}
	for i := range stack.Layers[layer].Entries {
		for _, edit := range edits {
			smaller := stack.Clone()
			edit(&smaller.Layers[layer].Entries[i])
			try(smaller)
		}
	}
}
