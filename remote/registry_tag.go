// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// recheckTimeout is how long the tag is asked for after its answer was lost, also
// when the user has given up meanwhile.
const recheckTimeout = 15 * time.Second

// Tag writes with one request per attempt and reads the tag before each: nobody
// else's tag is overwritten by a request that was only sent again.
func (r *registry) Tag(ctx context.Context, tag string, d v1.Descriptor, raw []byte, was string) error {
	a := asked{what: aTag, name: tag, write: true}
	if !tagSyntax.MatchString(tag) {
		return r.fail(a, kinded(ErrReference, fmt.Errorf("%q is no tag", tag)))
	}
	if err := checkManifest(d, raw); err != nil {
		return r.fail(a, err)
	}
	for n := 0; ; n++ {
		if was != "" {
			if done, err := r.checkTag(ctx, tag, raw, was); done || err != nil {
				return r.fail(a, err)
			}
		}
		_, err := r.putManifest(once(ctx), tag, d, raw)
		if err == nil || !unclear(err) {
			return r.fail(a, err)
		}
		if r.tagIs(ctx, tag, raw) {
			return nil
		}
		if err := r.patience.after(ctx, n, err); err != nil {
			return r.fail(a, err)
		}
	}
}

// checkTag fails if the tag has neither the digest was nor names raw; done says
// that it names raw.
func (r *registry) checkTag(ctx context.Context, tag string, raw []byte, was string) (done bool, err error) {
	said, err := r.headDigest(ctx, tag)
	if err == nil && said != "" {
		if isHash(said, raw) {
			return true, nil
		}
		if said == was {
			return false, nil
		}
	}
	if err != nil && status(err) == 0 {
		return false, err
	}
	// A digest that a registry says is not always true, and some don't answer
	// HEAD: before the tag is said to have moved, it is read.
	now, _, err := r.getManifest(ctx, tag)
	switch {
	case status(err) == http.StatusNotFound:
		return false, kinded(ErrTagMoved, fmt.Errorf("the tag named %s when it was read and is gone now", was))
	case err != nil:
		return false, err
	case bytes.Equal(now, raw):
		return true, nil
	case isHash(was, now):
		return false, nil
	}
	h, err := hashOf("sha256", now)
	if err != nil {
		return false, err
	}
	return false, moved(was, h.String())
}

func moved(was, now string) error {
	return kinded(ErrTagMoved, fmt.Errorf("the tag named %s when it was read and names %s now: run again", was, now))
}

// unclear reports whether a request that failed may have been carried out, or
// may be if it is sent again.
func unclear(err error) bool {
	if errors.Is(err, ErrContent) || errors.Is(err, ErrUnauthorized) {
		return false
	}
	if _, ok := errors.AsType[leadError](err); ok {
		return false
	}
	s := status(err)
	return s == 0 || s >= 500 || passingStatus(s)
}

// tagIs reports whether the tag names raw. It asks even if ctx is done: whether
// the image was published must not depend on when somebody lost patience.
func (r *registry) tagIs(ctx context.Context, tag string, raw []byte) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recheckTimeout)
	defer cancel()
	now, _, err := r.getManifest(ctx, tag)
	return err == nil && bytes.Equal(now, raw)
}
