// SPDX-License-Identifier: Apache-2.0

// Package cosign signs images as cosign 2 does, and verifies what cosign 2 and 3
// signed. It is the only importer of cosign and of Sigstore's libraries.
//
// A signature is of a digest. It is made with a key, or with a certificate that
// Fulcio issues to the identity of an OIDC token, and may be entered in a Rekor
// transparency log. Legacy signatures are layers of the image under the tag
// sha256-<hex>.sig; bundles are referrers (cosign's specs/SIGNATURE_SPEC.md and
// specs/BUNDLE_SPEC.md).
//
// What is read from a registry or from a service is limited in number and size
// before it is parsed. Whether a signature holds, cosign's own code decides; why
// it does not, this package finds out afterwards.
package cosign
