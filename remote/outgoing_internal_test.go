// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestTakeWatch: a request whose body nobody reads ends; one whose source is
// waited for does not.
func TestTakeWatch(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	w := newTakeWatch(time.Hour, cancel)
	w.pause()
	w.timeout = 0
	w.resume(false)
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), errTakesNothing) {
		t.Errorf("got %v", context.Cause(ctx))
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	w = newTakeWatch(time.Hour, cancel)
	w.pause()
	if w.timer.Stop() {
		t.Error("the watch runs while the source is waited for")
	}
	w.timeout = 0
	w.resume(true)
	if !w.timer.Stop() || ctx.Err() != nil {
		t.Error("behind the last byte, there is no time left to answer")
	}
}
