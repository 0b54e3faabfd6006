// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"net/http"
)

// hopelessCount is how the faults of a hopeless registry are counted.
const hopelessCount = "hopeless"

// Hopeless registries that are named elsewhere.
const (
	goneWithTag = "gone with the tag" // it carries out the PUT of the tag and is never heard of again
	neverEnding = "layers never end"
	quietlyBad  = "quietly bad manifest" // what the reference names has a wrong bit, and is still JSON
)

// stubborn is one thing that never works.
type stubborn struct {
	name string
	kind string // of the fault
	hits func(*exchange, *proxy) bool
}

// stubborns are what hopeless registries do; goneWithTag is the proxy's own.
var stubborns = []stubborn{
	{"out of order", "503", func(x *exchange, p *proxy) bool { return x.number >= p.plan.from }},
	{"gone", "cut before", func(x *exchange, p *proxy) bool { return x.number >= p.plan.from }},
	{"bad layer", "wrong byte", isLayer},
	{"bad config", "wrong byte", isConfig},
	{"bad manifest", "wrong byte", isTop},
	{quietlyBad, kindQuiet, isTop},
	{"long layer", "length too long", isLayer},
	{"short layer", "length too short", isLayer},
	{"short config", "length too short", isConfig},
	{"short manifest", "length too short", isTop},
	{neverEnding, kindHalf, isLayer},
	{"no uploads", "500", writes(anUpload, http.MethodPost)},
	{"no commits", "503", writes(anUpload, http.MethodPut)},
	{"no manifests", "502", writes(aManifest, http.MethodPut)},
	{"no tags", "500", writes(aTag, http.MethodPut)},
	{"no tokens", "503", func(x *exchange, _ *proxy) bool { return x.thing == theToken }},
	{name: goneWithTag},
}

func hopelessNames() []string {
	names := make([]string, len(stubborns))
	for i, s := range stubborns {
		names[i] = s.name
	}
	return names
}

// stubbornFault returns the fault that a hopeless registry has for a request.
func (p *proxy) stubbornFault(x *exchange) *kind {
	for _, s := range stubborns {
		if s.name == p.plan.hopeless && s.hits != nil && s.hits(x, p) {
			return kindNamed(s.kind)
		}
	}
	return nil
}

func isLayer(x *exchange, p *proxy) bool {
	return hasContent(x) && p.about.layers[x.name]
}

func isConfig(x *exchange, p *proxy) bool {
	return hasContent(x) && p.about.configs[x.name]
}

// isTop reports whether a request reads what the reference names.
func isTop(x *exchange, p *proxy) bool {
	return hasContent(x) && x.repo == sourceRepo && (x.name == sourceTag || x.name == p.about.top.desc.Digest.String())
}

func writes(t thing, method string) func(*exchange, *proxy) bool {
	return func(x *exchange, _ *proxy) bool { return x.thing == t && x.req.Method == method && !isFallback(x.name) }
}

// choose returns the fault that is done to a request; nil is none.
func (p *proxy) choose(x *exchange) *kind {
	if k := p.stubbornFault(x); k != nil {
		return k
	}
	for i := range kinds {
		k := &kinds[i]
		drawn := x.rng.Float64() < p.plan.chance[k.name]
		switch {
		case !drawn || !k.fits(x) || k.isFeature():
		case k.class == passing && p.plan.mood == mild && !p.mayFail(x):
		default:
			return k
		}
	}
	return nil
}

// features returns the harmless oddities of an answer.
func (p *proxy) features(x *exchange) []*kind {
	var list []*kind
	for i := range kinds {
		k := &kinds[i]
		if k.isFeature() && x.rng.Float64() < p.plan.chance[k.name] && k.fits(x) {
			list = append(list, k)
			p.note(k.name)
		}
	}
	return list
}

func (k *kind) isFeature() bool { return k.class == harmless && k.spoil != nil }

// done counts a fault that was done to a request.
func (p *proxy) done(x *exchange, k *kind) {
	p.note(k.name)
	if p.stubbornFault(x) == k {
		p.note(hopelessCount)
	}
	if k.class == harmless {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed[x.sameAs()]++
}

// mayFail reports whether a mild registry may fail the request.
func (p *proxy) mayFail(x *exchange) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if hasContent(x) {
		return p.failed[x.sameAs()] < p.plan.budget.reads
	}
	return p.failed[x.sameAs()] < p.plan.budget.rest
}

// sameAs is what requests have in common that the product may have to repeat for
// one another.
func (x *exchange) sameAs() string {
	if hasContent(x) {
		return x.repo + " " + x.name
	}
	return "all else"
}
