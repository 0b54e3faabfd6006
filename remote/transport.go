// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
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

func newTransport() *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if d, ok := ggcr.DefaultTransport.(*http.Transport); ok {
		t = d.Clone()
	}
	t.ResponseHeaderTimeout = answerTimeout
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout}
	return t
}

// baseTransport returns what sends the requests to one registry, and those to
// which it redirects, without credentials.
func baseTransport(reg name.Registry, o Options) (http.RoundTripper, error) {
	own, others, err := wires(o)
	if err != nil {
		return nil, err
	}
	bottom := byHost{host: reg.RegistryStr(), own: own, others: others, plain: o.PlainHTTP, secure: reg.Scheme() == "https"}
	return chain(bottom, reg, o, stallTimeout), nil
}

// chain returns what sends requests through bottom as o has it.
func chain(bottom http.RoundTripper, reg name.Registry, o Options, stall time.Duration) http.RoundTripper {
	var t http.RoundTripper = answers{next: rewinder{takers{next: bottom, stall: stall}}, stall: stall}
	t = retrier{next: forgetting{t}, patience: patienceOf(o)}
	if o.Warn != nil {
		t = newWarner(t, o.Warn)
	}
	t = discreet{next: t, host: reg.RegistryStr()}
	// The user agent comes last: the library looks for it there.
	return transport.NewUserAgent(t, o.UserAgent)
}

// byHost sends what goes to the registry one way, and what goes elsewhere
// another: nobody else is shown the client certificate, or spoken to in http
// because the registry is.
type byHost struct {
	host        string
	own, others http.RoundTripper
	plain       bool // http only
	secure      bool // https only, to all
}

func (b byHost) RoundTrip(in *http.Request) (*http.Response, error) {
	if b.secure && in.URL.Scheme != "https" {
		// The library would follow the very first request to http, and stay.
		closeBody(in)
		return nil, leadError(fmt.Sprintf("the registry is spoken to in https, and leads to %s://%s", in.URL.Scheme, in.URL.Host))
	}
	if !isHost(in.URL, b.host) {
		return b.others.RoundTrip(in)
	}
	if b.plain && in.URL.Scheme != "http" {
		// The library asks for https before anything else.
		u := *in.URL
		u.Scheme = "http"
		in = in.WithContext(in.Context())
		in.URL = &u
	}
	return b.own.RoundTrip(in)
}

// isHost reports whether u leads to a registry, whose port may be left out.
func isHost(u *url.URL, registry string) bool {
	other := url.URL{Host: registry}
	return u.Hostname() == other.Hostname() && portOf(u.Port(), u.Scheme) == portOf(other.Port(), u.Scheme)
}

func portOf(port, scheme string) string {
	switch {
	case port != "":
		return port
	case scheme == "http":
		return "80"
	}
	return "443"
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
	closeBody(in)
	out := in.WithContext(in.Context())
	out.Body = body
	return r.next.RoundTrip(out)
}

// closeBody is what a transport owes a request that it does not send.
func closeBody(in *http.Request) {
	if in.Body != nil {
		_ = in.Body.Close()
	}
}
