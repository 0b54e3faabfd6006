// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers"
)

// FuzzFlatten holds the merge of two layers of any bytes to these laws: it does
// not panic; an error says of which layer it is; what is accepted is a tree that
// breaks none of the rules that the merge is to keep: no directory has two names,
// no time is out of range.
func FuzzFlatten(f *testing.F) {
	for _, c := range readCases(f) {
		if len(c.archives) > 1 && len(c.archives[0])+len(c.archives[1]) < 32<<10 {
			f.Add(c.archives[0], c.archives[1])
		} else if len(c.archives[0]) < 32<<10 {
			f.Add(c.archives[0], []byte(nil))
		}
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		lower, upper := plainLayer(fixed(first)), plainLayer(fixed(second))
		list := []layers.Layer{lower, upper}
		merged, err := layers.Flatten(t.Context(), list, layers.Options{})
		if err != nil {
			var placed *layers.Error
			if !errors.As(err, &placed) || placed.Layer > 1 || placed.Digest != list[placed.Layer].Digest.String() {
				t.Fatalf("%v (%T) does not say where", err, err)
			}
			return
		}
		if _, err := merged.Tree.Check(); err != nil {
			var rule *tree.CheckError
			if !errors.As(err, &rule) || errors.Is(err, tree.ErrDirLink) || errors.Is(err, tree.ErrMtime) {
				t.Fatalf("the tree is broken: %v", err)
			}
		}
	})
}

// fixed returns a copy of the archive in which every block has the right
// checksum that ends its field as a header does: so fuzzing gets behind it.
func fixed(archive []byte) []byte {
	archive = bytes.Clone(archive)
	for rest := archive; len(rest) >= 512; rest = rest[512:] {
		if rest[154] != 0 || rest[155] != ' ' {
			continue
		}
		copy(rest[148:], "        ")
		sum := 0
		for _, c := range rest[:512] {
			sum += int(c)
		}
		copy(rest[148:], fmt.Sprintf("%06o\x00 ", sum))
	}
	return archive
}
