// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"time"

	"github.com/cfs-label/cfs-label/sign/cosign"
)

// serviceTimeout is how long one request to a service may take.
const serviceTimeout = 60 * time.Second

// services returns how Sigstore's services are reached: through the proxy of the
// environment, and by our name. The flags for registries (credentials,
// certificates, http) are not for them. trustedRoot is the file of their keys, or
// "".
func services(trustedRoot string) cosign.Services {
	next := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if d, ok := http.DefaultTransport.(*http.Transport); ok {
		next = d.Clone()
	}
	return cosign.Services{
		Client:      &http.Client{Transport: next, Timeout: serviceTimeout},
		UserAgent:   userAgent(),
		TrustedRoot: trustedRoot,
	}
}
