// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// maxRedirects is how many hops a request may take, as for net/http.
const maxRedirects = 10

// leadError says where a registry leads and is not followed.
type leadError string

func (e leadError) Error() string { return string(e) + ", which is not followed" }

// location returns where an upload goes on. It may be at another host, which
// gets no credentials.
func (r *registry) location(resp *http.Response) (*url.URL, error) {
	u, err := resp.Location()
	if err != nil {
		return nil, errors.New("the registry does not say where the upload goes on")
	}
	u.User = nil
	secure := url.URL{Scheme: "https", Host: u.Host}
	if r.repo.Scheme() == "https" && u.Scheme == "http" && isHost(&secure, r.repo.RegistryStr()) {
		u.Scheme = "https" // it does not know of the server in front of it
	}
	return u, r.checkLead("sends the upload", u, true)
}

// checkRedirect lets a registry lead a request elsewhere, but not make it
// another: what was to be stored would only be read, and said to be there. The
// transport sends credentials to the registry's own host alone.
func (r *registry) checkRedirect(req *http.Request, via []*http.Request) error {
	// An address has secrets that the next host is not to see.
	req.Header.Del("Referer")
	if len(via) >= maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if was := via[0].Method; req.Method != was {
		return leadError(fmt.Sprintf("the registry redirects a %s to %s://%s such that it becomes a %s", was, req.URL.Scheme, req.URL.Host, req.Method))
	}
	return r.checkLead("redirects", req.URL, req.Method != http.MethodGet && req.Method != http.MethodHead)
}

// checkLead lets a registry with a certificate lead only to others that have one,
// and no registry to what only this machine can reach, if something is to be
// written there: it would be the registry that writes.
func (r *registry) checkLead(does string, u *url.URL, write bool) error {
	if u.Scheme != "https" && (u.Scheme != "http" || r.repo.Scheme() == "https") {
		return leadError(fmt.Sprintf("the registry %s from %s to %s://%s", does, r.repo.Scheme(), u.Scheme, u.Host))
	}
	own := r.urlOf("", nil).Hostname()
	if write && u.Hostname() != own && isPrivate(u.Hostname(), own) {
		return leadError(fmt.Sprintf("the registry %s to the private address %s", does, u.Host))
	}
	return nil
}

// isPrivate reports whether a host is of this machine or its network. A name of
// this machine is not for a registry that is not on it. What other names mean, who
// looks them up decides.
func isPrivate(host, own string) bool {
	host = strings.TrimSuffix(host, ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		a, err := netip.ParseAddr(own)
		return own != "localhost" && !strings.HasSuffix(own, ".localhost") && (err != nil || !a.IsLoopback())
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	a = a.Unmap()
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified()
}
