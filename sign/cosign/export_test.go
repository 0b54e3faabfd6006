// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"sync"

	"github.com/cfs-label/cfs-label/sign"
)

// Impatient makes a signer wait for nothing, and count how often it would have
// before another attempt to write.
func Impatient(s sign.Signer) *int {
	var n int
	AtSecondLook(s, func() {})
	settle := s.(*signer).pause
	s.(*signer).pause = func(ctx context.Context, attempt int) error {
		if attempt > 0 {
			n++
		}
		return settle(ctx, attempt)
	}
	return &n
}

// AtSecondLook makes a signer wait for nothing, and do something before it looks
// a second time at what it has written.
func AtSecondLook(s sign.Signer, do func()) {
	s.(*signer).pause = func(ctx context.Context, attempt int) error {
		if attempt == 0 {
			do()
		}
		return ctx.Err()
	}
}

// Timeless lets an identity sign though nobody says when.
func Timeless(s sign.Signer) { s.(*signer).timeless = true }

// MaxWrites is how often a signature is written before it is given up.
const MaxWrites = maxWrites

// opened are the keys of the tests, by their files.
var opened sync.Map

// Remember makes a signer open each key file once: to open one takes long, on
// purpose.
func Remember(s sign.Signer) {
	load := s.(*signer).load
	s.(*signer).load = func(ctx context.Context, o SignOptions) (*key, error) {
		if k, ok := opened.Load(o.Key); ok {
			return k.(*key), nil
		}
		k, err := load(ctx, o)
		if err == nil {
			opened.Store(o.Key, k)
		}
		return k, err
	}
}
