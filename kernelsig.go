// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// Signatures for the kernel's fs-verity: each is of one digest.

// signInline sets the signatures of objects that a manifest can carry
// (sealing_spec.rs, "Inline signatures example").
func signInline(change *image.ManifestEdit, objects []image.ArtifactEntry, key *pkcs7.Key) error {
	if key == nil {
		return nil
	}
	for _, o := range objects {
		sig, err := key.Sign(o.Digest)
		if err != nil {
			return err
		}
		if err := change.SetSignature(o.Role, o.Digest.Algorithm(), sig); err != nil {
			return err
		}
	}
	return nil
}

// signEntries signs all that an artifact carries.
func signEntries(a *image.Artifact, key *pkcs7.Key) error {
	if key == nil {
		return nil
	}
	for i := range a.Entries {
		var err error
		if a.Entries[i].Signature, err = key.Sign(a.Entries[i].Digest); err != nil {
			return err
		}
	}
	return nil
}

// isSignedBy reports whether all digests of an artifact are signed with the
// certificate's key.
func isSignedBy(a *image.Artifact, by *pkcs7.Certificate) bool {
	for _, e := range a.Entries {
		if e.Signature == nil || by.Verify(e.Digest, e.Signature) != nil {
			return false
		}
	}
	return true
}
