// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// signatures finds out which fs-verity signatures hold. Without a certificate it
// only finds those that nobody could check.
func (in *inspection) signatures() {
	var good, strangers []*claimGroup // among artifacts
	inlineHolds := false
	for _, g := range in.groups() {
		if !g.isSigned() {
			continue
		}
		in.unsigned(g)
		if in.options.Certificate == nil {
			continue
		}
		otherKey := in.verifyGroup(g)
		switch isFull := g.isFull(); {
		case isFull && g.artifact:
			good = append(good, g)
		case isFull:
			inlineHolds = true
		case g.artifact && otherKey:
			strangers = append(strangers, g)
			continue // it may do no harm
		}
		in.findSignatures(g)
	}
	for _, g := range strangers {
		if slices.ContainsFunc(good, func(o *claimGroup) bool { return o.alg == g.alg }) {
			in.options.Warn(fmt.Sprintf("%s is signed by another key than that of %s; there is one by it, too", g, in.options.Certificate))
			continue
		}
		in.findSignatures(g)
	}
	if in.options.Certificate != nil && len(good) == 0 {
		in.notCovered(inlineHolds)
	}
}

// notCovered finds that no artifact has a full set of signatures. Those of
// annotations cannot cover the manifest: the specification wants trust in it from
// elsewhere (sealing_spec.rs, "Inline composefs metadata").
func (in *inspection) notCovered(inlineHolds bool) {
	switch {
	case !inlineHolds:
		in.find("there is no full set of fs-verity signatures by %s", in.options.Certificate)
	case !in.signed && !in.pinned:
		in.find("the fs-verity signatures are in annotations, and do not cover the manifest: " +
			"verify a signature of the image as well, or name it by its digest, or attach signatures in an artifact")
	}
}

// isSigned reports whether there is a signature in the group, good or bad.
func (g *claimGroup) isSigned() bool {
	return slices.ContainsFunc(g.claims, func(c *claim) bool { return c.Signature != "" })
}

// isFull reports whether all in the group is signed, and all signatures hold.
func (g *claimGroup) isFull() bool {
	for _, role := range g.roles() {
		if g.of(role) == nil {
			return false
		}
	}
	return !slices.ContainsFunc(g.claims, func(c *claim) bool { return c.Signature != Holds })
}

// unsigned finds objects without a signature beside others that have one. In an
// artifact image.ParseArtifact has seen to it.
func (in *inspection) unsigned(g *claimGroup) {
	if c := g.of(image.RoleConfig); !g.artifact && c != nil && c.Signature == "" {
		in.find("%s has no signature, which it must have if any has", c)
	}
	if in.options.Certificate != nil {
		return // that one is there which cannot be read is told with the others
	}
	in.findSignatures(g)
}

// findSignatures makes findings of signatures that do not hold.
func (in *inspection) findSignatures(g *claimGroup) {
	for _, c := range g.claims {
		if c.Signature == Wrong {
			in.find("the signature of %s does not hold: %s", c, c.SignatureReason)
		}
	}
}

// verifyGroup verifies the signatures of a group, each for the digest that was
// computed. otherKey tells that all are by another key.
func (in *inspection) verifyGroup(g *claimGroup) (otherKey bool) {
	otherKey = true
	for _, c := range g.claims {
		if c.signature == nil {
			otherKey = otherKey && c.Signature == ""
			continue
		}
		d, ok := in.right(c.Role, c.Algorithm)
		if !ok {
			c.Signature, c.SignatureReason, otherKey = Wrong, "nobody computed the digest", false
			continue
		}
		err := in.options.Certificate.Verify(d, c.signature)
		otherKey = otherKey && errors.Is(err, pkcs7.ErrOtherKey)
		if c.Signature = Holds; err != nil {
			c.Signature, c.SignatureReason = Wrong, err.Error()
		}
	}
	return otherKey
}

// signedByCertificate reports whether an artifact has the certificate's signature
// of the manifest.
func (in *inspection) signedByCertificate() bool {
	if in.options.Certificate == nil {
		return false
	}
	return slices.ContainsFunc(in.claims, func(c *claim) bool {
		return c.Role == image.RoleManifest && c.signature != nil &&
			in.options.Certificate.Verify(fsverity.Sum(c.Algorithm, in.n.source.RawManifest), c.signature) == nil
	})
}
