// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"sync"
	"syscall"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// answerTimeout is how long a registry may think before it answers. Some
	// take their time over the manifest of a large image.
	answerTimeout = 60 * time.Second
	// A connection that is silent for pingAfter is asked whether it is alive,
	// and given up pingTimeout later. HTTP/2 only.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
)

// The transports of this process: repositories share their connections.
var (
	verified   = sync.OnceValue(func() http.RoundTripper { return newTransport(false) })
	unverified = sync.OnceValue(func() http.RoundTripper { return newTransport(true) })
)

func newTransport(insecure bool) *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if d, ok := ggcr.DefaultTransport.(*http.Transport); ok {
		t = d.Clone()
	}
	t.ResponseHeaderTimeout = answerTimeout
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout}
	if insecure {
		skipVerify(t)
	}
	return t
}

func skipVerify(t *http.Transport) {
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	t.TLSClientConfig.InsecureSkipVerify = true // what Options.Insecure asks for
}

// baseTransport returns what sends the requests of o, without credentials.
func baseTransport(o Options) http.RoundTripper {
	base := o.Transport
	switch t := base.(type) {
	case nil:
		base = verified()
		if o.Insecure {
			base = unverified()
		}
	case *http.Transport:
		if o.Insecure {
			t = t.Clone()
			skipVerify(t)
			base = t
		}
	}
	// The user agent comes last: the library looks for it there.
	return transport.NewUserAgent(newRetrier(rewinder{base}), o.UserAgent)
}

// rewinder sends the body from its start each time: what is above it sends a
// request again after a lost connection or an expired token.
type rewinder struct{ next http.RoundTripper }

func (r rewinder) RoundTrip(in *http.Request) (*http.Response, error) {
	if in.GetBody == nil {
		return r.next.RoundTrip(in)
	}
	body, err := in.GetBody()
	if err != nil {
		return nil, err
	}
	if in.Body != nil {
		_ = in.Body.Close()
	}
	out := in.WithContext(in.Context())
	out.Body = body
	return r.next.RoundTrip(out)
}

// retrier sends a request again that failed for reasons which pass, unless its
// context says once.
type retrier struct{ again, once http.RoundTripper }

type onceKey struct{}

// once returns a context under which each request is sent but once.
func once(ctx context.Context) context.Context {
	return context.WithValue(ctx, onceKey{}, true)
}

// newRetrier returns next with the retries of the registry library: two, after
// one and three seconds.
func newRetrier(next http.RoundTripper) http.RoundTripper {
	again := transport.NewRetry(next,
		transport.WithRetryBackoff(transport.Backoff{Duration: time.Second, Factor: 3, Jitter: 0.1, Steps: 3}),
		transport.WithRetryPredicate(passes),
		transport.WithRetryStatusCodes(http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout))
	return retrier{again: again, once: next}
}

func (r retrier) RoundTrip(in *http.Request) (*http.Response, error) {
	if in.Context().Value(onceKey{}) != nil {
		return r.once.RoundTrip(in)
	}
	return r.again.RoundTrip(in)
}

// passes reports whether an error is likely to be gone next time.
func passes(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	for _, cause := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, cause) {
			return true
		}
	}
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}
