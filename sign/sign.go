// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"context"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

// Image is what a signature is about: a manifest or an index in a registry.
type Image struct {
	// Name is host/repository@sha256:….
	Name name.Digest
	// Identity is what the signature says that the image is called, as in
	// quay.io/os/image:42. "" is the repository of Name. Hosts may compare it
	// with the reference that they were given (containers-policy.json,
	// signedIdentity).
	Identity string
}

// Format is how a signature is stored.
type Format string

const (
	// Legacy is an image under the tag sha256-<hex>.sig, each of whose layers is
	// a simple signing payload (containers-signature(5)). Today's hosts read it.
	Legacy Format = "legacy"
	// Bundle is a Sigstore bundle, v0.3, that refers to the image.
	Bundle Format = "bundle"
)

// Signer signs images.
type Signer interface {
	// Check fails if Sign would for want of a key, a password or an identity. It
	// is for asking before the long work. Errors are of type *[Error].
	Check(ctx context.Context) error

	// Has reports whether the image has, in its registry and in each format, the
	// signature that Sign would make: then Sign would change nothing. It is one
	// of the same content, by the same key, that holds. If there is to be an
	// entry in a log, it has one that names this signature and this key, with
	// what such a log gives for it; if there is to be a timestamp, it has one
	// that is of this signature. That a log or an authority which is trusted made
	// them is looked at only where the signer was given their keys. A signer
	// whose signatures are never the same twice, as those of an identity are, has
	// none. Errors are of type *[Error].
	Has(ctx context.Context, im Image) (bool, error)

	// Sign signs an image that is in its registry, and stores the signatures
	// there. Errors are of type *[Error].
	Sign(ctx context.Context, im Image) (Result, error)
}

// Result is what one call of Sign did.
type Result struct {
	Made []Made // one for each format
}

// Made is a signature that is in the registry now.
type Made struct {
	Format Format
	// Present is a signature that was there before: by the same key, and of the
	// same content. None was added.
	Present bool
	// Place is the tag of a legacy signature, and what a bundle refers to.
	Place string
	// Identity is whom the certificate names; "" where there is none.
	Identity string
	// LogIndexes are the entries in transparency logs.
	LogIndexes []int64
}

// Verifier verifies the signatures of images.
type Verifier interface {
	// Verify returns the signatures of an image that are in its registry, those
	// that hold and those that do not. The error is nil if one holds at least.
	// Errors are of type *[Error].
	Verify(ctx context.Context, im Image) ([]Signature, error)
}

// Signature is one that was found.
type Signature struct {
	Format Format
	// Place is where it was found, as a reference with a digest.
	Place string
	// Err is why it does not hold; nil if it does. What follows is believed
	// only if Err is nil.
	Err error
	// Digest is what is signed.
	Digest string
	// DockerReference is what the signer says the image is called. Bundles do
	// not say.
	DockerReference string
	// Key is the SHA-256 of the public key (PKIX, DER), in hex.
	Key string
	// Identity and Issuer are whom the certificate names, and who says so; ""
	// where there is no certificate.
	Identity, Issuer string
	// Annotations are what the signer added.
	Annotations map[string]string
	// Time is when it was signed, as a timestamp or a transparency log says.
	// Zero: nobody says.
	Time time.Time
	// LogIndexes are the entries in transparency logs that were checked.
	LogIndexes []int64
}
