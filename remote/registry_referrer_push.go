// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// subjectHeader is how a registry says that it lists a manifest among the
// referrers of its subject (distribution-spec, "Pushing Manifests with
// Subject").
const subjectHeader = "OCI-Subject"

func (r *registry) PushReferrer(ctx context.Context, subject v1.Hash, d v1.Descriptor, raw []byte, replaced []v1.Hash) error {
	a := asked{what: aManifest, name: d.Digest.String(), write: true}
	err := checkManifest(d, raw)
	if err == nil {
		err = wellFormed(subject)
	}
	if err == nil && d.ArtifactType == "" {
		err = completeEntry(&d, raw)
	}
	if err != nil {
		return r.fail(a, err)
	}
	// What is to stay is never deleted, whatever replaced says.
	replaced = slices.DeleteFunc(slices.Clone(replaced), func(h v1.Hash) bool { return h == d.Digest || h == subject })
	listed, err := r.pushListed(ctx, subject, d, raw)
	if err != nil {
		return r.fail(a, err)
	}
	if listed {
		r.deleteReferrers(ctx, subject, d, replaced)
		return r.fail(a, ctx.Err())
	}
	a = asked{what: aTag, name: fallbackTag(subject), write: true}
	return r.fail(a, r.mergeFallback(ctx, a.name, d, replaced))
}

// pushListed stores a manifest unless it is there, and reports whether the
// registry lists it by itself.
func (r *registry) pushListed(ctx context.Context, subject v1.Hash, d v1.Descriptor, raw []byte) (bool, error) {
	if said, err := r.headDigest(ctx, d.Digest.String()); err == nil && isHash(said, raw) {
		// Some registries list without the header, and some list only what was
		// pushed since they know how.
		listed, api, err := r.lists(ctx, subject, d.Digest)
		if listed || !api || err != nil {
			return listed, err
		}
	}
	header, err := r.putManifest(ctx, d.Digest.String(), d, raw)
	if err != nil {
		return false, err
	}
	if header.Get(subjectHeader) == subject.String() {
		return true, nil
	}
	// A registry with the API but neither header nor entry gets the tag: it does
	// not know of subjects (distribution-spec, ibid.).
	listed, _, err := r.lists(ctx, subject, d.Digest)
	return listed, err
}

// lists reports whether the referrers API lists a manifest, and whether there is
// one.
func (r *registry) lists(ctx context.Context, subject, h v1.Hash) (listed, api bool, err error) {
	entries, api, err := r.listReferrers(ctx, subject, "")
	return slices.ContainsFunc(entries, hasDigest(h)), api, err
}

func hasDigest(h v1.Hash) func(v1.Descriptor) bool {
	return func(d v1.Descriptor) bool { return d.Digest == h }
}

// deleteReferrers deletes those of gone that the registry lists. Many don't let
// anybody delete: then there is one referrer too many, and all else is well.
func (r *registry) deleteReferrers(ctx context.Context, subject v1.Hash, d v1.Descriptor, gone []v1.Hash) {
	if len(gone) == 0 {
		return
	}
	entries, _, err := r.listReferrers(ctx, subject, "")
	if err != nil && ctx.Err() == nil {
		r.warn(fmt.Sprintf("%s may still list what %s replaces: %s", r.Name(), d.Digest, reason(err)))
	}
	for _, h := range gone {
		if !slices.ContainsFunc(entries, hasDigest(h)) {
			continue
		}
		if err := r.deleteManifest(ctx, h); err != nil && ctx.Err() == nil {
			r.warn(fmt.Sprintf("%s still lists %s, which %s replaces: the registry did not delete it (%s)", r.Name(), h, d.Digest, reason(err)))
		}
	}
}

func (r *registry) deleteManifest(ctx context.Context, h v1.Hash) error {
	resp, err := r.do(ctx, request{
		method: http.MethodDelete, path: "manifests/" + h.String(), action: transport.DeleteScope,
		ok: []int{http.StatusAccepted, http.StatusOK, http.StatusNoContent},
	})
	if err != nil {
		return err
	}
	discard(resp)
	return nil
}

// reason returns what a registry answered, or why it didn't, in short.
func reason(err error) string {
	if s := status(err); s != 0 {
		return fmt.Sprintf("%d %s", s, http.StatusText(s))
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return brief(err.Error())
}

func (r *registry) warn(message string) {
	if r.opts.Warn != nil {
		r.opts.Warn(message)
	}
}
