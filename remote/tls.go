// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
)

// trust is what TLS needs of Options: not the names of the files but what is in
// them, which may change while a process runs.
type trust struct {
	insecure      bool
	ca, cert, key string
}

// transports has the transport of each trust in this process: repositories
// share their connections.
var transports sync.Map

// wires returns the transports to the registry and to all others.
func wires(o Options) (own, others http.RoundTripper, err error) {
	t, err := trustOf(o)
	if err != nil {
		return nil, nil, err
	}
	public := t
	public.cert, public.key = "", ""
	given, ok := o.Transport.(*http.Transport)
	switch {
	case o.Transport == nil:
		if others, err = shared(public); err == nil {
			own, err = shared(t)
		}
	case !ok || t == (trust{}):
		return o.Transport, o.Transport, nil
	default:
		if others, err = public.applied(given); err == nil {
			own = others
			if t != public {
				own, err = t.applied(given)
			}
		}
	}
	return own, others, err
}

func isTransport(t http.RoundTripper) bool {
	_, ok := t.(*http.Transport)
	return ok
}

func shared(t trust) (http.RoundTripper, error) {
	if there, ok := transports.Load(t); ok {
		return there.(*http.Transport), nil //nolint:forcetypeassert // the map has nothing else
	}
	made, err := t.applied(newTransport())
	if err != nil {
		return nil, err
	}
	there, _ := transports.LoadOrStore(t, made)
	return there.(*http.Transport), nil //nolint:forcetypeassert // the map has nothing else
}

// trustOf reads the files of o.
func trustOf(o Options) (trust, error) {
	t := trust{insecure: o.Insecure}
	for _, f := range []struct {
		name string
		into *string
	}{{o.CAFile, &t.ca}, {o.ClientCert, &t.cert}, {o.ClientKey, &t.key}} {
		if f.name == "" {
			continue
		}
		b, err := os.ReadFile(f.name)
		if err != nil {
			return trust{}, err
		}
		*f.into = string(b)
	}
	if t.ca != "" || o.CAFile != "" {
		if !x509.NewCertPool().AppendCertsFromPEM([]byte(t.ca)) {
			return trust{}, fmt.Errorf("%s has no certificate in PEM format", o.CAFile)
		}
	}
	if o.ClientCert != "" {
		if _, err := tls.X509KeyPair([]byte(t.cert), []byte(t.key)); err != nil {
			return trust{}, fmt.Errorf("%s with the key in %s: %w", o.ClientCert, o.ClientKey, err)
		}
	}
	return t, nil
}

// applied returns a copy of base that trusts, and is trusted, as t says.
func (t trust) applied(base *http.Transport) (*http.Transport, error) {
	base = base.Clone()
	if t == (trust{}) {
		return base, nil
	}
	if base.TLSClientConfig == nil {
		base.TLSClientConfig = &tls.Config{}
	}
	c := base.TLSClientConfig
	c.InsecureSkipVerify = c.InsecureSkipVerify || t.insecure // what Options.Insecure asks for
	if t.ca != "" {
		pool := c.RootCAs
		if pool == nil {
			var err error
			if pool, err = x509.SystemCertPool(); err != nil {
				pool = x509.NewCertPool() // a system without any
			}
		} else {
			pool = pool.Clone()
		}
		if !pool.AppendCertsFromPEM([]byte(t.ca)) {
			return nil, errors.New("no certificate in PEM format")
		}
		c.RootCAs = pool
	}
	if t.cert != "" {
		pair, err := tls.X509KeyPair([]byte(t.cert), []byte(t.key))
		if err != nil {
			return nil, err
		}
		c.Certificates = append(slices.Clip(c.Certificates), pair)
	}
	return base, nil
}
