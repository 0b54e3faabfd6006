// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// stallTimeout is how long a registry may send nothing of a body while it is
// waited for. The time in which nobody asks for more does not count.
const stallTimeout = time.Minute

// watchBody makes the body of the response end with an error when the registry
// stalls. cancel ends the request; closing the body calls it.
func watchBody(resp *http.Response, timeout time.Duration, cancel context.CancelFunc) {
	b := &watchedBody{body: resp.Body, timeout: timeout, cancel: cancel}
	b.timer = time.AfterFunc(timeout, b.stall)
	b.timer.Stop()
	resp.Body = b
}

type watchedBody struct {
	body    io.ReadCloser
	timeout time.Duration
	cancel  context.CancelFunc
	timer   *time.Timer // runs while Read waits
	stalled atomic.Bool
}

func (b *watchedBody) stall() {
	b.stalled.Store(true)
	b.cancel()
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.timeout)
	n, err := b.body.Read(p)
	b.timer.Stop()
	if err != nil && b.stalled.Load() {
		err = fmt.Errorf("the registry sent nothing for %v", b.timeout)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.timer.Stop()
	err := b.body.Close()
	b.cancel()
	return err
}
