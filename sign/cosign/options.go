// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"

	"github.com/cfs-label/cfs-label/sign"
)

// Registry says how registries are reached. Nothing else is used to reach them:
// no other transport, and no keychain but one that is in the options.
type Registry struct {
	// Remote are the transport and the credentials for the image's repository.
	// The context is added to them.
	Remote []remote.Option
	// Repository, if set, is where legacy signatures are, instead of beside the
	// image (COSIGN_REPOSITORY). Bundles refer to the image and have to be in
	// its repository.
	Repository name.Repository
	// RepositoryRemote are the options for Repository; nil stands for Remote.
	RepositoryRemote []remote.Option
}

// Services says how Sigstore's services are reached.
type Services struct {
	// Client sends the requests to Fulcio, Rekor, timestamp authorities and the
	// TUF repository. Nil is one with the system's transport. Requests for a
	// token in GitHub Actions go through the system's in any case.
	Client *http.Client
	// UserAgent is what these requests say that they come from; "" is what the
	// libraries say.
	UserAgent string
	// TrustedRoot is a file with the certificates and keys of the services, as
	// in trusted_root.json. "" are those of the public instance, which are
	// fetched where they are needed.
	TrustedRoot string
}

// SignOptions says how to sign. Without a Key, the identity of an OIDC token
// signs ("keyless").
type SignOptions struct {
	Registry
	Services

	// Key is the file of a private key as cosign generate-key-pair or
	// import-key-pair writes it, env://NAME for such a key in the environment,
	// or a key in a KMS, as in NAME://…, by the program sigstore-kms-NAME.
	Key string
	// Password returns the password of a key file. Nil: COSIGN_PASSWORD.
	Password func(ctx context.Context) ([]byte, error)
	// IdentityToken is the OIDC token. "" asks SIGSTORE_ID_TOKEN, the file
	// /var/run/sigstore/cosign/oidc-token, and GitHub Actions.
	IdentityToken string

	// FulcioURL and RekorURL are the services; "" is the public instance.
	FulcioURL, RekorURL string
	// TimestampURL is a timestamp authority (RFC 3161), with its path; "" is
	// none.
	TimestampURL string
	// SigningConfig is a file that names the services, in place of the URLs.
	SigningConfig string
	// NoTlog makes no entry in a transparency log.
	NoTlog bool

	// Formats of the signatures; none is [sign.Legacy].
	Formats []sign.Format
	// Annotations are signed too.
	Annotations map[string]string
}

// check fails for options that contradict one another.
func (o SignOptions) check() error {
	switch {
	case o.SigningConfig != "" && (o.FulcioURL != "" || o.RekorURL != "" || o.TimestampURL != ""):
		return errors.New("the services come from a signing config or from URLs: both are given")
	case o.Key != "" && o.IdentityToken != "":
		return errors.New("a key or an identity signs: both are given")
	}
	seen := map[sign.Format]bool{}
	for _, f := range o.Formats {
		if f != sign.Legacy && f != sign.Bundle {
			return fmt.Errorf("%q is no format of signatures: there are %s and %s", f, sign.Legacy, sign.Bundle)
		}
		if seen[f] {
			return fmt.Errorf("the format %s is given twice", f)
		}
		seen[f] = true
	}
	return nil
}

// VerifyOptions says what a signature must be: by a key, or by an identity and
// an issuer, each given as it is or as a regular expression.
type VerifyOptions struct {
	Registry
	Services

	// Key is the file of a public key in PEM, env://NAME, or a key in a KMS.
	Key string
	// Identity is the subject of the certificate (an address or a URI).
	Identity, IdentityRegexp string
	// Issuer is the OIDC provider.
	Issuer, IssuerRegexp string
	// Annotations must have been signed.
	Annotations map[string]string

	// IgnoreTlog wants no entry in a transparency log. Then somebody else has to
	// say when a certificate signed, or it has to be valid now.
	IgnoreTlog bool
	// IgnoreSCT wants no proof that the certificate is in a transparency log.
	IgnoreSCT bool
	// Offline asks no service. TrustedRoot is needed then, but for a key whose
	// entries in a log are ignored, and a Key may not be in a KMS.
	Offline bool
}

// check fails for options that contradict one another, or that anybody's
// signature would satisfy.
func (o VerifyOptions) check() error {
	subject, issuer := o.Identity != "" || o.IdentityRegexp != "", o.Issuer != "" || o.IssuerRegexp != ""
	switch {
	case o.Key == "" && !subject && !issuer:
		return errors.New("whose signatures are wanted? Name a key, or an identity and its issuer")
	case o.Key != "" && (subject || issuer):
		return errors.New("a key or an identity has signed: both are given")
	case o.Key == "" && (!subject || !issuer):
		return errors.New("an identity and its issuer go together: only one is given")
	case o.Identity != "" && o.IdentityRegexp != "", o.Issuer != "" && o.IssuerRegexp != "":
		return errors.New("an identity is given as it is or as a regular expression: both are given")
	case o.Offline && isKMS(o.Key):
		return errors.New("a program asks the KMS for the key: to verify without asking anybody, export the public key to a file")
	case o.Offline && o.TrustedRoot == "" && o.needsTrust():
		return errors.New("to verify without asking anybody, the trusted root is needed as a file")
	}
	return nil
}

// needsTrust reports whether certificates or keys of services are needed.
func (o VerifyOptions) needsTrust() bool { return o.Key == "" || !o.IgnoreTlog }

// at returns the options for requests about the image's repository.
func (r Registry) at(ctx context.Context) []remote.Option {
	return append(slices.Clip(slices.Clone(r.Remote)), remote.WithContext(ctx))
}

// atSignatures returns the options for requests about legacy signatures.
func (r Registry) atSignatures(ctx context.Context) []remote.Option {
	if r.RepositoryRemote == nil || r.Repository == (name.Repository{}) {
		return r.at(ctx)
	}
	return append(slices.Clip(slices.Clone(r.RepositoryRemote)), remote.WithContext(ctx))
}

// signatureTag returns the tag of an image's legacy signatures.
func (r Registry) signatureTag(d name.Digest) (name.Tag, error) {
	// Without a remote option the library would take its own keychain.
	opts := []ociremote.Option{ociremote.WithRemoteOptions()}
	repo := d.Context()
	if r.Repository != (name.Repository{}) {
		repo = r.Repository
	}
	return ociremote.SignatureTag(d, append(opts, ociremote.WithTargetRepository(repo))...)
}

// hashOf returns the digest of an image. Only SHA-256 can be signed.
func hashOf(d name.Digest) (v1.Hash, error) {
	h, err := v1.NewHash(d.DigestStr())
	if err == nil && h.Algorithm != "sha256" {
		err = fmt.Errorf("the digest is of %s, and only sha256 is signed", h.Algorithm)
	}
	return h, err
}

// anyValues returns a map as cosign wants it; nil stays nil.
func anyValues(m map[string]string) map[string]any {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]any, len(m))
	for k := range maps.Keys(m) {
		out[k] = m[k]
	}
	return out
}
