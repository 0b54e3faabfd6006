// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// verifyFlags say whose signatures are wanted. They are those of cosign verify,
// but for the fs-verity certificate.
type verifyFlags struct {
	key                                            string
	identity, identityRegexp, issuer, issuerRegexp string
	annotations                                    []string
	ignoreTlog, ignoreSCT, privateInfrastructure   bool
	trustedRoot                                    string
	offline                                        bool
	fsverityCert                                   string
}

func (f *verifyFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.key, "key", "", "public key of who signed the image: `FILE`, env://NAME, or NAME://… in a KMS by the program sigstore-kms-NAME")
	fs.StringVar(&f.identity, "certificate-identity", "", "`NAME` (address or URI) in the certificate of who signed the image")
	fs.StringVar(&f.identityRegexp, "certificate-identity-regexp", "", "`REGEXP` for that name")
	fs.StringVar(&f.issuer, "certificate-oidc-issuer", "", "`URL` of the OIDC provider that vouched for that name")
	fs.StringVar(&f.issuerRegexp, "certificate-oidc-issuer-regexp", "", "`REGEXP` for that provider")
	fs.StringArrayVarP(&f.annotations, "annotations", "a", nil, "`KEY=VALUE` that must have been signed (repeatable)")
	fs.BoolVar(&f.ignoreTlog, "insecure-ignore-tlog", false, "want no entry in a transparency log")
	fs.BoolVar(&f.ignoreSCT, "insecure-ignore-sct", false, "want no proof that the certificate is in a transparency log")
	fs.BoolVar(&f.privateInfrastructure, "private-infrastructure", false, "the same as --insecure-ignore-tlog, where there is no log to be in")
	fs.StringVar(&f.trustedRoot, "trusted-root", "", "`FILE` of the certificates and keys of the services (trusted_root.json), in place of those of the public instance")
	fs.BoolVar(&f.offline, "offline", false, "ask nobody but the registry")
	fs.StringVar(&f.fsverityCert, kernelCertFlag, "", "PEM `FILE` of the certificate that the fs-verity signatures must be by")
}

// wantsSignatures reports whether a flag speaks of cosign's signatures.
func (f *verifyFlags) wantsSignatures() bool {
	return f.key != "" || f.identity != "" || f.identityRegexp != "" || f.issuer != "" || f.issuerRegexp != "" ||
		len(f.annotations) > 0 || f.ignoreTlog || f.ignoreSCT || f.privateInfrastructure || f.trustedRoot != ""
}

// verifier returns what verifies the signatures of images in the reference's
// repository; nil if no flag asks for it.
func (f *verifyFlags) verifier(cmd *cobra.Command, t *terminal, net *netFlags, ref *remote.Ref) (sign.Verifier, error) {
	if !f.wantsSignatures() {
		return nil, nil //nolint:nilnil // nothing is asked for
	}
	o := cosign.VerifyOptions{
		Key:      f.key,
		Identity: f.identity, IdentityRegexp: f.identityRegexp, Issuer: f.issuer, IssuerRegexp: f.issuerRegexp,
		IgnoreTlog: f.ignoreTlog || f.privateInfrastructure, IgnoreSCT: f.ignoreSCT, Offline: f.offline,
		Services: services(f.trustedRoot),
	}
	var err error
	if o.Annotations, err = keyValues("annotations", f.annotations); err != nil {
		return nil, err
	}
	if o.Registry, err = signaturesOf(cmd, t, net, ref, false); err != nil {
		return nil, err
	}
	v, err := cosign.NewVerifier(o)
	if err == nil && f.ignoreTlog && !f.privateInfrastructure {
		t.warn("signatures are taken that are in no transparency log (--insecure-ignore-tlog)")
	}
	return v, err
}
