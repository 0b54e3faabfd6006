// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// side says on which side of a request the registry is cut off.
type side string

const (
	before side = "before" // the request does not reach the registry
	after  side = "after"  // it does, and its answer does not come back
)

// cutter stands before a registry and writes down the requests, in the order of
// their arrival, until the registry is cut off for good.
type cutter struct {
	next *backing
	at   int // the number of the request, from 1; 0 is never
	side side

	mu     sync.Mutex // held while a request is carried out: one comes after the other
	asked  []string
	writes []place // that were carried out
	early  []error // manifests that came before what they need
	cut    bool
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		abort()
	}
	a, ok := c.carryOut(req, body)
	if !ok {
		abort()
	}
	a.send(w, req, sending{cutAt: -1})
}

// carryOut has the registry do it, unless it is cut off; ok tells that the answer
// gets through.
func (c *cutter) carryOut(req *http.Request, body []byte) (a answer, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, req.Method+" "+req.URL.RequestURI())
	isIt := len(c.asked) == c.at
	if isIt && c.side == before {
		c.cut = true
	}
	if c.cut {
		return answer{}, false
	}
	header := req.Header.Clone()
	header.Del("Range")
	a = c.next.ask(req.Method, req.URL.RequestURI(), header, body)
	if req.Method == http.MethodPut && a.status < http.StatusMultipleChoices {
		c.wrote(parsePath(req.URL.Path))
	}
	c.cut = isIt
	return a, !c.cut
}

// wrote writes down a PUT. What a manifest needs must be there before it.
func (c *cutter) wrote(w place) {
	c.writes = append(c.writes, w)
	if w.thing != aTag && w.thing != aManifest {
		return
	}
	obj, err := c.next.manifest(w.repo, w.name)
	if err == nil {
		err = c.next.whole(w.repo, obj)
	}
	if err != nil {
		c.early = append(c.early, fmt.Errorf("when %s was written: %w", w.name, err))
	}
}

// wroteTag reports whether the tag was written.
func (c *cutter) wroteTag(repo, tag string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.writes, place{aTag, repo, tag})
}

// list returns the requests, a line each.
func (c *cutter) list() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.asked, "\n")
}
