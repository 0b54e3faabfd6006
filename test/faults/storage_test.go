// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"net/http"
	"strings"
	"testing"
)

// storage is another host, which blobs are redirected to. Who comes there must
// bring no credentials.
type storage struct {
	t     *testing.T
	proxy *proxy
	host  string
}

func startStorage(t *testing.T, p *proxy) *storage {
	t.Helper()
	s := &storage{t: t, proxy: p}
	s.host = serve(t, s)
	if p.plan.otherName {
		s.host = strings.Replace(s.host, "127.0.0.1", "localhost", 1)
	}
	return s
}

// location is where the storage has a blob. The query is a secret.
func (s *storage) location(repo, digest string) string {
	return "http://" + s.host + "/v2/" + repo + "/blobs/" + digest + "?signature=" + secretQuery
}

func (s *storage) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
		if got := req.Header.Get(name); got != "" {
			s.t.Errorf("%s: the storage was sent %s: %s", s.proxy.plan, name, got)
		}
	}
	s.proxy.note(countStorage)
	x := s.proxy.arrive(req, true)
	fault := s.proxy.choose(x)
	if fault != nil && fault.instead != nil {
		s.proxy.done(x, fault)
		fault.instead(w, x)
		return
	}
	a := s.proxy.carryOut(x)
	if fault != nil && fault.after != nil {
		s.proxy.done(x, fault)
		fault.after(w, x)
		return
	}
	s.proxy.answer(w, x, a, fault)
}
