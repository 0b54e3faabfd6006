// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// maxWrites is how often a signature is written before it is given up.
const maxWrites = 6

// errOverwritten is what others may do to a tag.
var errOverwritten = errors.New("the registry took it and does not have it: others write there at the same time; run again")

// The pause before the second look is settleTime and up to settleSpread more:
// longer than the request of another, who has read the tag before it was
// written, takes as a rule. It is random, so that two do not meet again.
const settleTime, settleSpread = 100 * time.Millisecond, 300 * time.Millisecond

// pauseWrites waits before attempt n+1 to write, and with 0 before the second
// look.
func pauseWrites(ctx context.Context, n int) error {
	if n > 0 {
		return pause(ctx, n)
	}
	return wait(ctx, settleTime+rand.N(settleSpread)) //nolint:gosec // no secret
}

// untilThere looks, and writes if something is not there, until it is or until it
// cannot be. Look returns what writes it in addition to what was seen. The
// pauses get longer; there is none before the second attempt. What was written
// is looked at twice: somebody else may have been about to write.
func (s *signer) untilThere(ctx context.Context, look func() (there bool, write func() error, err error)) error {
	var lost error
	for n := 0; ; n++ {
		if n > 1 {
			if err := s.pause(ctx, n-1); err != nil {
				return errors.Join(err, lost)
			}
		}
		there, write, err := look()
		if there && err == nil && n > 0 {
			if err = s.pause(ctx, 0); err == nil {
				there, write, err = look()
			}
		}
		if there || err != nil {
			return err
		}
		if n == maxWrites {
			return lost
		}
		if lost = write(); lost != nil && (ctx.Err() != nil || !unclear(lost)) && !errors.Is(lost, errOverwritten) {
			return lost
		}
		if lost == nil {
			lost = errOverwritten
		}
	}
}

// unclear reports whether a request that failed may have been carried out, or
// may be if it is sent again.
func unclear(err error) bool {
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		return passing(answer.StatusCode)
	}
	_, broken := errors.AsType[*url.Error](err)
	return broken || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
