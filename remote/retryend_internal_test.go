// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"io"
	"testing"
)

// TestEndIsTold: an error that comes when the context is done says so, whatever
// it was itself.
func TestEndIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	fails := func(context.Context) error {
		cancel()
		return io.EOF
	}
	err := patienceOf(Options{}).persist(ctx, func(error) bool { return true }, fails)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	if err := orEnd(t.Context(), io.EOF); !errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		t.Errorf("nothing ended, but the error is %v", err)
	}
}
