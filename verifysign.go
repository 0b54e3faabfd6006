// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign"
)

// notHolding are the errors of signatures that were read, and do not hold.
var notHolding = []error{
	sign.ErrNoSignature, sign.ErrOtherDigest, sign.ErrKey, sign.ErrIdentity, sign.ErrCertificate,
	sign.ErrExpired, sign.ErrLog, sign.ErrTimestamp, sign.ErrAnnotation, sign.ErrContent,
}

// notReady are those of a verifier that could not verify.
var notReady = []error{sign.ErrOptions, sign.ErrSecret, sign.ErrKeyFile, sign.ErrService}

// isNotHolding reports whether an error says that a signature does not hold, and
// not that nobody could find out.
func isNotHolding(err error) bool {
	is := func(target error) bool { return errors.Is(err, target) }
	return slices.ContainsFunc(notHolding, is) && !slices.ContainsFunc(notReady, is)
}

// checkSignatures has the verifier verify the signatures of what the reference
// names, and of its images if they are to have some, too.
func (v *verification) checkSignatures(ctx context.Context) error {
	if v.options.Verifier == nil {
		return nil
	}
	library, err := remote.ForLibrary(v.ref.Repo)
	if err != nil {
		return err
	}
	v.options.Progress.Step("verifying signatures")
	nodes := []*node{v.graph.top}
	if v.options.Recursive {
		nodes = append(nodes, slices.DeleteFunc(slices.Clone(v.graph.images), func(n *node) bool { return n == v.graph.top })...)
	}
	found := make([][]sign.Signature, len(nodes))
	failed := make([]error, len(nodes))
	work, running := errgroup.WithContext(ctx)
	work.SetLimit(lookups)
	for i, n := range nodes {
		work.Go(func() error {
			name := library.Repository.Digest(n.descriptor.Digest.String())
			found[i], failed[i] = v.options.Verifier.Verify(running, sign.Image{Name: name})
			return undecided(found[i], failed[i])
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for i, n := range nodes {
		v.addSignatures(n, found[i], failed[i])
	}
	return nil
}

// IsUnread reports whether nobody could find out if the signature holds, as its
// registry did not give it.
func (s VerifiedSignature) IsUnread() bool { return s.Err != nil && !isNotHolding(s.Err) }

// undecided returns the error of a verifier that could not find out whether there
// is a signature that holds; nil if it could.
func undecided(found []sign.Signature, err error) error {
	if err == nil {
		return nil
	}
	if !isNotHolding(err) {
		return err
	}
	for _, s := range found {
		if s.Err != nil && !isNotHolding(s.Err) {
			return err // that which could not be read may be one that holds
		}
	}
	return nil
}

// addSignatures remembers the signatures of a manifest or index. A verifier that
// is content without one that holds is not believed.
func (v *verification) addSignatures(n *node, found []sign.Signature, err error) {
	platform := ""
	if n.source != nil {
		platform = v.platformOf(n)
	}
	holds := false
	for _, s := range found {
		holds = holds || s.Err == nil
		v.verified.Signatures = append(v.verified.Signatures, VerifiedSignature{Platform: platform, Of: n.descriptor.Digest, Signature: s})
	}
	switch {
	case err != nil:
		v.find(n, err.Error())
	case !holds:
		v.find(n, "no signature of "+n.descriptor.Digest.String()+" holds")
	case n == v.graph.top:
		v.signed = true
	}
}
