// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// exchange is a request that arrived at the proxy.
type exchange struct {
	place
	req       *http.Request
	body      []byte
	number    int  // of the request in this run, from 1
	atStorage bool // it arrived at the storage, not at the registry
	rng       *rand.Rand
	patience  int    // seconds of Retry-After
	elsewhere string // where the storage has the blob
}

// proxy stands before the registry and does to each request what the plan says.
type proxy struct {
	plan    *plan
	next    *backing
	about   *original
	tokens  *tokens
	storage *storage
	host    string

	mu      sync.Mutex
	count   int
	keys    map[string]int // requests by what they are
	failed  map[string]int // faults, by what they were done to
	counts  map[string]int // by kind
	lostTag bool           // a tag was written, and nobody was told
}

func startProxy(t *testing.T, p *plan, b *backing, about *original) *proxy {
	t.Helper()
	x := &proxy{plan: p, next: b, about: about, keys: map[string]int{}, failed: map[string]int{}, counts: map[string]int{}}
	x.tokens = newTokens(p.tokenUses)
	x.host = serve(t, x)
	x.storage = startStorage(t, x)
	return x
}

// serve starts a server and returns its host and port.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return strings.TrimPrefix(s.URL, "http://")
}

// arrive reads the request. One that did not come whole is not passed on.
func (p *proxy) arrive(req *http.Request, atStorage bool) *exchange {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		abort()
	}
	x := &exchange{place: parsePath(req.URL.Path), req: req, body: body, atStorage: atStorage}
	name := x.name
	if x.thing == anUpload { // its number is not the seed's
		name = req.URL.Query().Get("digest")
	}
	key := fmt.Sprintf("%t %s %d %s %s %x", atStorage, req.Method, x.thing, x.repo, name, sha256.Sum256(body))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	x.number = p.count
	p.keys[key]++
	// Requests come in any order; what happens to one hangs on nothing but
	// itself and how often it came before.
	h := fnv.New64a()
	fmt.Fprint(h, key, p.keys[key])
	x.rng = rand.New(rand.NewPCG(p.plan.seed, h.Sum64())) //nolint:gosec // the same each time is what is wanted
	if p.counts["429"] < tooManyAt && x.rng.IntN(4) == 0 {
		x.patience = 1
	}
	if x.thing == aBlob && p.storage != nil {
		x.elsewhere = p.storage.location(x.repo, x.name)
	}
	return x
}

// note counts what happened.
func (p *proxy) note(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[name]++
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Set-Cookie", "session="+secretCookie)
	x := p.arrive(req, false)
	fault := p.choose(x)
	if fault != nil && fault.instead != nil && fault.class != harmless {
		p.done(x, fault)
		fault.instead(w, x)
		return
	}
	if p.plan.tokenUses > 0 && x.thing != theToken {
		if expired := p.tokens.refuse(w, x); expired != "" {
			p.note(expired)
			return
		}
	}
	if req.Method == http.MethodHead && x.thing <= p.plan.noHEAD && x.thing >= aTag {
		p.note(countNoHEAD)
		refuse(w, http.StatusMethodNotAllowed)
		return
	}
	if p.isGone(x) {
		abort()
	}
	if fault != nil && fault.instead != nil {
		p.done(x, fault)
		fault.instead(w, x)
		return
	}
	a := p.carryOut(x)
	isTag := x.thing == aTag && req.Method == http.MethodPut && a.status < 300 && !isFallback(x.name)
	lost := fault != nil && fault.after != nil || p.plan.hopeless == goneWithTag
	if isTag && lost {
		p.note(countLostTag)
		p.mu.Lock()
		p.lostTag = true
		p.mu.Unlock()
	}
	switch {
	case isTag && p.plan.hopeless == goneWithTag:
		p.note(hopelessCount)
		abort()
	case fault != nil && fault.after != nil:
		p.done(x, fault)
		fault.after(w, x)
	default:
		p.answer(w, x, a, fault)
	}
}

// isGone reports whether the registry does not answer any more, because the
// tag was written.
func (p *proxy) isGone(x *exchange) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.plan.hopeless == goneWithTag && p.lostTag && x.thing != theToken
}

// carryOut has the registry, or its token server, do it.
func (p *proxy) carryOut(x *exchange) answer {
	if x.thing == theToken {
		return p.tokens.issue(x)
	}
	header := x.req.Header.Clone()
	header.Del("Range") // ggcr's registry does not know ranges without an end
	a := p.next.ask(x.req.Method, x.req.URL.RequestURI(), header, x.body)
	if x.thing == anUpload && a.status == http.StatusCreated && x.req.Method == http.MethodPost && x.req.URL.Query().Has("mount") {
		p.note(countMount)
	}
	return a
}

// answer sends what the registry said, spoiled.
func (p *proxy) answer(w http.ResponseWriter, x *exchange, a answer, fault *kind) {
	s := sending{cutAt: -1}
	if a.status == http.StatusOK && x.thing == aBlob && x.req.Method == http.MethodGet && p.plan.ranges {
		if a.slice(x.req.Header.Get("Range")) {
			p.note(countRange)
		}
	}
	if a.status >= 300 || (hasContent(x) && len(a.body) == 0) {
		fault = nil // there is nothing to spoil
	}
	for _, k := range p.features(x) {
		k.spoil(&a, &s, x)
	}
	if fault != nil {
		p.done(x, fault)
		fault.spoil(&a, &s, x)
		// Otherwise a handler that ends early closes a chunked body in order.
		if s.length != 0 {
			s.pieces = 0
		}
	}
	a.send(w, x.req, s)
}

// slice makes the answer a part of itself, as the Range header asks, and
// reports whether it did (RFC 9110, "Range Requests").
func (a *answer) slice(header string) bool {
	from, to := 0, len(a.body)-1
	if n, _ := fmt.Sscanf(header, "bytes=%d-%d", &from, &to); n == 0 || from < 0 || from > to || to >= len(a.body) {
		return false
	}
	a.status = http.StatusPartialContent
	a.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(a.body)))
	a.body = a.body[from : to+1]
	a.header.Set("Content-Length", fmt.Sprint(len(a.body)))
	return true
}
