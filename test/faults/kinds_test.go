// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// class says what a client can do about a fault.
type class uint8

const (
	harmless class = iota // no fault at all: registries may do so
	passing               // gone if the request is sent again
	poison                // the client cannot get over it, or need not
)

// kind is one way in which a registry is not what one would like it to be. Of
// its functions, one is set.
type kind struct {
	name  string
	class class
	fits  func(*exchange) bool

	// instead answers without asking the registry.
	instead func(http.ResponseWriter, *exchange)
	// after answers when the registry has carried the request out: its answer
	// is lost.
	after func(http.ResponseWriter, *exchange)
	// spoil changes the answer and how it is sent.
	spoil func(*answer, *sending, *exchange)
}

// sending is how an answer goes out.
type sending struct {
	cutAt  int           // bytes of the body after which the connection is cut; -1: never
	length int           // what is added to the Content-Length
	pieces int           // that the body is sent in
	pause  time.Duration // between them
}

// warning is how the texts of Warning headers begin.
const warning = "over quota, number "

// tooManyAt is how many answers 429 of a run ask for a second's patience; the
// others ask for none.
const tooManyAt = 1

// kinds are all faults, in a fixed order: a seed's meaning hangs on it.
var kinds = []kind{
	{name: "429", class: passing, fits: all, instead: func(w http.ResponseWriter, x *exchange) {
		w.Header().Set("Retry-After", strconv.Itoa(x.patience))
		refuse(w, http.StatusTooManyRequests)
	}},
	status(http.StatusRequestTimeout),
	status(http.StatusInternalServerError),
	status(http.StatusBadGateway),
	status(http.StatusServiceUnavailable),
	{name: "cut before", class: passing, fits: all, instead: func(http.ResponseWriter, *exchange) { abort() }},
	{name: "answer lost", class: passing, fits: all, after: func(http.ResponseWriter, *exchange) { abort() }},
	{name: "answer lost, 504", class: passing, fits: isWrite, after: func(w http.ResponseWriter, _ *exchange) {
		refuse(w, http.StatusGatewayTimeout)
	}},
	{name: "stream cut", class: passing, fits: hasContent, spoil: func(a *answer, s *sending, x *exchange) {
		s.cutAt = x.rng.IntN(len(a.body) + 1)
	}},
	{name: kindHalf, class: poison, fits: none, spoil: func(a *answer, s *sending, _ *exchange) { s.cutAt = len(a.body) / 2 }},
	{name: "wrong byte", class: poison, fits: hasContent, spoil: func(a *answer, _ *sending, x *exchange) { flip(a, x.rng) }},
	{name: kindQuiet, class: poison, fits: isManifest, spoil: func(a *answer, _ *sending, x *exchange) { flipQuietly(a, x.rng) }},
	{name: "length too long", class: poison, fits: hasContent, spoil: func(_ *answer, s *sending, x *exchange) {
		s.length = 1 + x.rng.IntN(100)
	}},
	{name: "length too short", class: poison, fits: hasContent, spoil: func(a *answer, s *sending, x *exchange) {
		s.length = -1 - x.rng.IntN(len(a.body))
	}},
	{name: "slow", class: harmless, fits: hasContent, spoil: func(_ *answer, s *sending, x *exchange) {
		s.pieces, s.pause = 2+x.rng.IntN(14), time.Duration(1+x.rng.IntN(4))*time.Millisecond
	}},
	{name: "chunked", class: harmless, fits: hasContent, spoil: func(a *answer, s *sending, _ *exchange) {
		a.header.Del("Content-Length")
		s.pieces = max(s.pieces, 2)
	}},
	{name: "warning", class: harmless, fits: all, spoil: func(a *answer, _ *sending, x *exchange) {
		a.header.Add("Warning", fmt.Sprintf(`299 - "%s%d"`, warning, x.rng.IntN(3)))
	}},
	{name: kindRedirect, class: harmless, fits: isBlob, instead: func(w http.ResponseWriter, x *exchange) {
		code := http.StatusTemporaryRedirect
		if x.rng.IntN(2) == 0 {
			code = http.StatusFound
		}
		w.Header().Set("Location", x.elsewhere)
		w.WriteHeader(code)
	}},
}

// Kinds that are named elsewhere.
const (
	kindRedirect = "redirect"           // to another host
	kindHalf     = "stream cut halfway" // always at the same place
	kindQuiet    = "wrong byte, still JSON"
)

// Names of what is counted like a fault but happens elsewhere.
const (
	countExpired = "token expired"
	countNoHEAD  = "HEAD refused"
	countRange   = "range served"
	countMount   = "mounted"
	countStorage = "read from storage"
	countLostTag = "tag's answer lost"
)

func kindNamed(name string) *kind {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i]
		}
	}
	panic("no kind " + name)
}

func status(code int) kind {
	return kind{
		name: strconv.Itoa(code), class: passing, fits: all,
		instead: func(w http.ResponseWriter, _ *exchange) { refuse(w, code) },
	}
}

func all(*exchange) bool { return true }

func none(*exchange) bool { return false }

func isWrite(x *exchange) bool {
	return x.req.Method == http.MethodPut || x.req.Method == http.MethodPatch || x.req.Method == http.MethodPost
}

func isBlob(x *exchange) bool {
	return x.req.Method == http.MethodGet && x.thing == aBlob && !x.atStorage
}

// isManifest reports whether the answer is a manifest or an index.
func isManifest(x *exchange) bool {
	return x.req.Method == http.MethodGet && (x.thing == aManifest || x.thing == aTag)
}

// hasContent reports whether the answer is a manifest or a blob.
func hasContent(x *exchange) bool {
	return x.req.Method == http.MethodGet && (x.thing == aBlob || x.thing == aManifest || x.thing == aTag)
}

// abort cuts the connection.
func abort() { panic(http.ErrAbortHandler) }

func refuse(w http.ResponseWriter, code int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"errors":[{"code":"UNKNOWN","message":"the proxy says %d"}]}`, code)
}

// flip flips one bit.
func flip(a *answer, rng *rand.Rand) {
	if len(a.body) > 0 {
		a.body[rng.IntN(len(a.body))] ^= 1 << rng.IntN(8)
	}
}

// flipQuietly flips one bit in such a way that a parser does not see it.
func flipQuietly(a *answer, rng *rand.Rand) {
	whole := a.body
	for range 1000 {
		a.body = bytes.Clone(whole)
		if flip(a, rng); json.Valid(a.body) && utf8.Valid(a.body) {
			return
		}
	}
}

// send sends the answer.
func (a *answer) send(w http.ResponseWriter, req *http.Request, s sending) {
	maps.Copy(w.Header(), a.header)
	if s.length != 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)+s.length))
	}
	w.WriteHeader(a.status)
	if req.Method == http.MethodHead {
		return
	}
	body := a.body[:len(a.body)+min(s.length, 0)]
	if s.cutAt >= 0 {
		body = body[:min(s.cutAt, len(body))]
	}
	size := max(1, len(body)/max(1, s.pieces))
	for len(body) > 0 {
		n := min(size, len(body))
		if _, err := w.Write(body[:n]); err != nil {
			return // the client is gone
		}
		body = body[n:]
		if s.pieces > 0 || s.cutAt >= 0 {
			_ = http.NewResponseController(w).Flush()
			time.Sleep(s.pause)
		}
	}
	if s.cutAt >= 0 {
		abort()
	}
}
