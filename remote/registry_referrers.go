// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// referrersOf is the list of manifests that have a subject.
const referrersOf noun = "referrers of"

// Limits of the list of a subject's referrers.
const (
	maxReferrers     = 10_000
	maxReferrerPages = 100
	maxReferrerBytes = 16 << 20 // of all pages
	maxDescribed     = 256      // manifests that are read for what the list leaves out
)

// referrers is what a registry knows about its referrers.
type referrers struct {
	noAPI   atomic.Bool   // the registry was found to have no referrers API
	writing chan struct{} // held while a fallback tag is read, merged and written
}

func (r *registry) Referrers(ctx context.Context, subject v1.Hash, artifactType string) ([]v1.Descriptor, error) {
	a := asked{what: referrersOf, name: subject.String()}
	if err := wellFormed(subject); err != nil {
		return nil, r.fail(a, err)
	}
	entries, there, err := r.listReferrers(ctx, subject, artifactType)
	if err == nil && !there {
		a = asked{what: aTag, name: fallbackTag(subject)}
		_, entries, err = r.readFallback(ctx, a.name)
	}
	if err == nil {
		err = r.describe(ctx, entries)
	}
	if err != nil {
		return nil, r.fail(a, err)
	}
	// The registry was asked for one type, but need not know of types.
	return slices.DeleteFunc(entries, func(d v1.Descriptor) bool {
		return artifactType != "" && d.ArtifactType != artifactType
	}), nil
}

// listReferrers asks the referrers API (distribution-spec, "Listing
// Referrers"). there is false if the registry has none.
func (r *registry) listReferrers(ctx context.Context, subject v1.Hash, artifactType string) (_ []v1.Descriptor, there bool, err error) {
	if r.referrers.noAPI.Load() {
		return nil, false, nil
	}
	query := url.Values{}
	if artifactType != "" {
		query.Set("artifactType", artifactType)
	}
	var list entryList
	for u := r.urlOf("referrers/"+subject.String(), query); u != nil; {
		raw, header, err := r.getPage(ctx, u)
		if list.pages == 0 && r.hasNoAPI(header, raw, err) {
			return nil, false, nil
		}
		if err == nil {
			err = isIndex(header, raw)
		}
		if err == nil {
			err = list.add(raw)
		}
		if err != nil {
			return nil, true, err
		}
		if u, err = r.nextPage(u, header); err != nil {
			return nil, true, err
		}
	}
	return list.entries, true, nil
}

// getPage returns one page of the list, unchecked.
func (r *registry) getPage(ctx context.Context, u *url.URL) ([]byte, http.Header, error) {
	resp, err := r.do(ctx, request{
		method: http.MethodGet, url: u,
		header: http.Header{"Accept": {string(types.OCIImageIndex)}},
		ok:     []int{http.StatusOK},
	})
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	raw, err := readLimited(resp.Body, MaxManifest)
	return raw, resp.Header, err
}

// hasNoAPI reports whether an answer to the first request means that there is no
// referrers API, and remembers that. A registry that does not know the
// repository (yet) has not said so for good, one that dislikes the digest
// neither.
func (r *registry) hasNoAPI(header http.Header, raw []byte, err error) bool {
	switch status(err) {
	case 0:
		if err != nil {
			return false
		}
		if m, err := mediaType(header.Get("Content-Type"), raw); err != nil || m == types.OCIImageIndex {
			return false
		}
	case http.StatusNotFound:
		answer, _ := errors.AsType[*transport.Error](err)
		for _, d := range answer.Errors {
			if d.Code == transport.NameUnknownErrorCode {
				return true
			}
		}
	case http.StatusBadRequest:
		return true
	case http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
	default:
		return false
	}
	r.referrers.noAPI.Store(true)
	return true
}

// isIndex fails for what is no OCI index.
func isIndex(header http.Header, raw []byte) error {
	m, err := mediaType(header.Get("Content-Type"), raw)
	if err != nil {
		return err
	}
	if m != types.OCIImageIndex {
		return kinded(ErrContent, fmt.Errorf("the list of referrers is a %q, not an OCI index", m))
	}
	return nil
}

// nextLink is a Link header's address of the next page (RFC 8288).
var nextLink = regexp.MustCompile(`(?i)<([^<>]*)>[^<]*;\s*rel="?next"?\s*(?:[;,]|$)`)

// nextPage returns where the list goes on, nil at its end. It goes on in the
// same repository of the same registry.
func (r *registry) nextPage(u *url.URL, header http.Header) (*url.URL, error) {
	for _, v := range header.Values("Link") {
		m := nextLink.FindStringSubmatch(v)
		if m == nil {
			continue
		}
		next, err := u.Parse(m[1])
		if err != nil {
			return nil, kinded(ErrContent, fmt.Errorf("the next page is said to be at %q, which is no address", m[1]))
		}
		own := r.urlOf("", nil)
		if next.Host != own.Host || next.User != nil || path.Clean(next.Path) != next.Path || !strings.HasPrefix(next.Path, own.Path) {
			return nil, kinded(ErrContent, fmt.Errorf("the next page is said to be at %s%s, outside of the repository", next.Host, next.Path))
		}
		// Behind a proxy, registries don't know their scheme.
		next.Scheme = own.Scheme
		return next, nil
	}
	return nil, nil //nolint:nilnil // the end of the list is no error
}

// fallbackTag returns the tag that stands in for the referrers API
// (distribution-spec, "Referrers Tag Schema").
func fallbackTag(subject v1.Hash) string {
	return fmt.Sprintf("%.32s-%.64s", subject.Algorithm, subject.Hex)
}

// readFallback returns the index behind a fallback tag and its entries; none,
// if there is no such tag.
func (r *registry) readFallback(ctx context.Context, tag string) ([]byte, []v1.Descriptor, error) {
	raw, header, err := r.getManifest(ctx, tag)
	if status(err) == http.StatusNotFound {
		return nil, nil, nil
	}
	if err == nil {
		err = isIndex(header, raw)
	}
	if err != nil {
		return nil, nil, err
	}
	var list entryList
	if err := list.add(raw); err != nil {
		return nil, nil, err
	}
	return raw, list.entries, nil
}
