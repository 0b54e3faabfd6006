// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"strings"
)

// thing is what a request is about. The order counts: see plan.noHEAD.
type thing uint8

const (
	thePing thing = iota
	theToken
	aTag
	aManifest // by its digest
	aBlob
	anUpload
	theReferrers
	anything // else
)

// place is the path of a request.
type place struct {
	thing thing
	repo  string
	name  string // tag or digest; of an upload, its number or ""
}

// parsePath takes the path of a request apart (distribution-spec, "Endpoints").
func parsePath(path string) place {
	switch path {
	case "/v2/", "/v2":
		return place{thing: thePing}
	case tokenPath:
		return place{thing: theToken}
	}
	path = strings.TrimPrefix(path, "/v2/")
	for _, p := range []struct {
		infix string
		thing thing
	}{
		{"/blobs/uploads/", anUpload},
		{"/blobs/", aBlob},
		{"/manifests/", aManifest},
		{"/referrers/", theReferrers},
	} {
		repo, name, ok := strings.Cut(path, p.infix)
		if !ok {
			continue
		}
		if p.thing == aManifest && !strings.Contains(name, ":") {
			return place{aTag, repo, name}
		}
		return place{p.thing, repo, name}
	}
	return place{thing: anything}
}

// isFallback reports whether a tag stands in for the referrers API
// (distribution-spec, "Referrers Tag Schema").
func isFallback(tag string) bool { return strings.HasPrefix(tag, "sha256-") }
