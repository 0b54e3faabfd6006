// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-openapi/runtime"
	openapi "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	rekor "github.com/sigstore/rekor/pkg/generated/client"
)

const (
	// serviceTimeout is how long a service may take for an answer.
	serviceTimeout = 60 * time.Second
	// serviceRetries is how often a service is asked again after a status of 5xx.
	serviceRetries = 2
	// maxAnswer is the size of the largest answer of a service, in bytes. The
	// entries and metadata that are known are below a tenth of it.
	maxAnswer = 8 << 20
)

// roundTrip is a function that is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip sends a request.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// transport returns the one for services. It ends with the context, as the
// libraries send some requests without one, and it reads each answer to its end,
// up to a limit, as they do not close all.
func (s Services) transport(ctx context.Context) http.RoundTripper {
	next := http.DefaultTransport
	if s.Client != nil && s.Client.Transport != nil {
		next = s.Client.Transport
	}
	return roundTrip(func(in *http.Request) (*http.Response, error) {
		if r := in.Response; r != nil && r.Request != nil && r.Request.URL.Scheme == "https" && in.URL.Scheme != "https" {
			closeBody(in)
			return nil, answerError(fmt.Sprintf("the service is spoken to in https, and leads to %s://%s", in.URL.Scheme, in.URL.Host))
		}
		own, cancel := context.WithCancel(in.Context())
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		out := in.WithContext(own) //nolint:contextcheck // it ends with both contexts
		if s.UserAgent != "" {
			out.Header = in.Header.Clone()
			out.Header.Set("User-Agent", s.UserAgent)
		}
		resp, err := next.RoundTrip(out)
		if err == nil {
			err = readAnswer(resp)
		}
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return nil, err
		}
		return resp, nil
	})
}

// answerError is an answer that would not be another one the next time.
type answerError string

func (e answerError) Error() string { return string(e) }

// readAnswer puts what a service says into memory.
func readAnswer(resp *http.Response) error {
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(raw) > maxAnswer {
		return answerError(fmt.Sprintf("the answer is larger than %d bytes", maxAnswer))
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	return nil
}

// closeBody is what a transport owes a request that it does not send.
func closeBody(in *http.Request) {
	if in.Body != nil {
		_ = in.Body.Close()
	}
}

// client returns the client for services.
func (s Services) client(ctx context.Context) *http.Client {
	var c http.Client
	if s.Client != nil {
		c = *s.Client
	}
	if c.Timeout == 0 {
		c.Timeout = serviceTimeout
	}
	c.Transport = s.transport(ctx)
	return &c
}

// logClient returns the client for transparency logs. An entry that is sent
// twice is made once, so a request that a log failed to answer is sent again.
func (s Services) logClient(ctx context.Context) *http.Client {
	c := s.client(ctx)
	next := c.Transport
	c.Transport = roundTrip(func(in *http.Request) (*http.Response, error) {
		for n := 0; ; n++ {
			if n > 0 && in.GetBody != nil {
				body, err := in.GetBody()
				if err != nil {
					return nil, err
				}
				again := *in
				again.Body = body
				in = &again
			}
			resp, err := next.RoundTrip(in)
			if n == serviceRetries || in.Context().Err() != nil || ctx.Err() != nil || (in.Body != nil && in.GetBody == nil) {
				return resp, err
			}
			_, final := errors.AsType[answerError](err)
			if final || (err == nil && !passing(resp.StatusCode)) {
				return resp, err
			}
			if werr := pause(in.Context(), n); werr != nil { //nolint:contextcheck // next ends with ctx
				return nil, errors.Join(werr, err)
			}
		}
	})
	return c
}

// passing reports whether a status may be another one the next time.
func passing(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// pause waits before an attempt, but the first one: the longer the more there
// were.
func pause(ctx context.Context, n int) error {
	if n == 0 {
		return ctx.Err()
	}
	return wait(ctx, time.Second<<min(n-1, maxDoublings))
}

// wait waits, unless the context ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxDoublings is how often a pause of a second is doubled.
const maxDoublings = 4

// rekorV1 returns a client of Rekor's first API.
func (s Services) rekorV1(ctx context.Context, address string) (*rekor.Rekor, error) {
	u, err := serviceURL(address)
	if err != nil {
		return nil, err
	}
	base := u.Path
	if base == "" {
		base = rekor.DefaultBasePath
	}
	rt := openapi.NewWithClient(u.Host, base, []string{u.Scheme}, s.logClient(ctx))
	rt.Consumers["application/x-pem-file"] = runtime.TextConsumer()
	return rekor.New(rt, strfmt.Default), nil
}

// serviceURL fails for what is no address of a service. What is in it may be a
// secret then.
func serviceURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("the address of a service is no URL, as https://host is")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("the address of the service at %q has more than a host and a path", u.Host)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return nil, fmt.Errorf("%q is no address of a service, as https://host is", u)
	}
	return u, nil
}
