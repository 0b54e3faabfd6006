// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"context"
	"runtime"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// DefaultJobs is how many layers are fetched at once unless told otherwise:
// the number of CPUs, and at least 4.
func DefaultJobs() int { return max(4, runtime.NumCPU()) }

// Options say how to read layers.
type Options struct {
	// Algorithms are those of the files' digests. The default is SHA-512.
	Algorithms []fsverity.Algorithm
	// Jobs is how many layers are fetched at once, and how many images are
	// merged at once. The default is DefaultJobs. The result does not depend on
	// it.
	Jobs int
	// Progress, if not nil, is called with the number of bytes of a layer that
	// have just been fetched, from several goroutines. The layer is a position in
	// Distinct of the images.
	Progress func(layer, bytes int)
	// Capture, if not nil, chooses files whose content is wanted.
	Capture Capture
	// Notice, if not nil, is told what hosts refuse, which is no error then.
	Notice Notice
}

func (o *Options) fill() {
	if len(o.Algorithms) == 0 {
		o.Algorithms = []fsverity.Algorithm{fsverity.SHA512}
	}
	if o.Jobs <= 0 {
		o.Jobs = DefaultJobs()
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
}

// Flatten reads the layers, the lowest first in the list, and returns what they
// give together. Its errors are of type *Error, or the context's. Progress and
// limits are those of FlattenAll with the one image: a layer that is there twice
// has one position.
func Flatten(ctx context.Context, layers []Layer, o Options) (*Merged, error) {
	var merged *Merged
	err := FlattenAll(ctx, [][]Layer{layers}, o, func(_ int, m *Merged, err error) error {
		merged = m
		return err
	})
	if err != nil {
		return nil, err
	}
	return merged, nil
}
