// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/types"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/cfs-label/cfs-label/sign"
)

// judgeLegacy fails unless a signature holds, and says what it is.
func (v *verifier) judgeLegacy(ctx context.Context, f oci.Signature, h v1.Hash, s *sign.Signature) (err error) {
	defer recovered(&err, sign.ErrContent)
	text, err := f.Payload()
	if err != nil {
		return failed(sign.ErrContent, err)
	}
	var p payload.SimpleContainerImage
	if err := json.Unmarshal(text, &p); err != nil {
		return failed(sign.ErrContent, fmt.Errorf("what is signed is no payload: %w", err))
	}
	if p.Critical.Type != payload.CosignSignatureType {
		return failed(sign.ErrContent, fmt.Errorf("what is signed is a %q", p.Critical.Type))
	}
	s.Digest, s.DockerReference, s.Annotations = p.Critical.Image.DockerManifestDigest, p.Critical.Identity.DockerReference, texts(p.Optional)
	cert, err := f.Cert()
	if err != nil {
		return failed(sign.ErrContent, fmt.Errorf("the certificate: %w", err))
	}
	v.name(cert, s)
	stamp, err := f.RFC3161Timestamp()
	if err != nil {
		return failed(sign.ErrContent, err)
	}
	co := v.checks()
	co.UseSignedTimestamps = stamp != nil && len(v.trust.TimestampingAuthorities()) > 0
	raw, err := f.Signature()
	if err != nil {
		return failed(sign.ErrContent, err)
	}
	e := evidence{
		v: v, co: co, cert: cert, text: text, sig: raw, digest: s.Digest, want: h,
		annotations: checkAnnotations(v.o.Annotations, s.Annotations),
	}
	if stamp != nil {
		e.stampTime, e.stampErr = v.stamped(&legacyStamp{stamp: stamp.SignedRFC3161Timestamp, content: content{sig: raw}})
	}
	var logged bool
	if err = e.stampErr; err == nil || !co.UseSignedTimestamps { // the library takes it that one is good
		logged, err = cosign.VerifyImageSignature(ctx, f, h, co)
	}
	if err != nil {
		e.logTime, e.logErr = legacyLog(f, co)
		return e.explain(err)
	}
	v.settle(s)
	if b, err := f.Bundle(); logged && err == nil && b != nil {
		s.Time, s.LogIndexes = time.Unix(b.Payload.IntegratedTime, 0).UTC(), []int64{b.Payload.LogIndex}
	} else if co.UseSignedTimestamps {
		s.Time = e.stampTime.UTC()
	}
	return nil
}

// name writes down who has signed. Whether that is so, is seen later.
func (v *verifier) name(cert *x509.Certificate, s *sign.Signature) {
	if v.key != nil {
		s.Key = fingerprint(v.key.public)
	}
	if cert == nil {
		return
	}
	s.Key = fingerprint(cert.PublicKey)
	s.Identity = strings.Join(cryptoutils.GetSubjectAlternateNames(cert), ", ")
	extensions := cosign.CertExtensions{Cert: cert}
	s.Issuer = extensions.GetIssuer()
}

// settle takes back, of a signature that holds, what a certificate says that
// nobody asked for: where a key verifies, the certificate was not checked.
func (v *verifier) settle(s *sign.Signature) {
	if v.key != nil {
		s.Key, s.Identity, s.Issuer = fingerprint(v.key.public), "", ""
	}
}

// legacyLog returns the time of a log entry, or why there is none.
func legacyLog(f oci.Signature, co *cosign.CheckOpts) (at time.Time, err error) {
	defer recovered(&err, sign.ErrContent)
	b, err := f.Bundle()
	if err != nil {
		return at, err
	}
	if b == nil {
		return at, errors.New("it has no entry of a transparency log")
	}
	if _, err := cosign.VerifyBundle(f, co); err != nil {
		return at, err
	}
	return time.Unix(b.Payload.IntegratedTime, 0), nil
}

// judgeBundle fails unless a bundle holds, and says what it is. Bundles that are
// no signatures are left out.
func (v *verifier) judgeBundle(ctx context.Context, b *sgbundle.Bundle, h v1.Hash, s *sign.Signature) (isSignature bool, err error) {
	defer recovered(&err, sign.ErrContent)
	isSignature = true //nolint:wastedassign // for what is recovered from
	envelope := b.GetDsseEnvelope()
	st, err := parseStatement(envelope.GetPayloadType(), envelope.GetPayload())
	if err != nil {
		return true, err
	}
	if st == nil {
		return false, nil
	}
	if len(st.Subject) > 0 {
		s.Digest = "sha256:" + st.Subject[0].Digest["sha256"]
	}
	if sub, ok := st.about(h); ok {
		s.Digest, s.Annotations = h.String(), texts(sub.Annotations)
	}
	cert, err := bundleCertificate(b)
	if err != nil {
		return true, failed(sign.ErrContent, err)
	}
	v.name(cert, s)
	stamps, err := b.Timestamps()
	if err != nil {
		return true, failed(sign.ErrContent, err)
	}
	digest, err := hex.DecodeString(h.Hex)
	if err != nil {
		return true, err
	}
	co := v.checks()
	co.UseSignedTimestamps = len(stamps) > 0 && len(v.trust.TimestampingAuthorities()) > 0
	result, err := cosign.VerifyNewBundle(ctx, co, verify.WithArtifactDigest(h.Algorithm, digest), b)
	if err != nil {
		e := evidence{v: v, co: co, cert: cert, digest: s.Digest, want: h}
		if len(stamps) > 0 {
			e.stampTime, e.stampErr = v.stamped(b)
		}
		e.text = (&sgsign.DSSEData{Data: envelope.GetPayload(), PayloadType: types.IntotoPayloadType}).PreAuthEncoding()
		if sigs := envelope.GetSignatures(); len(sigs) == 1 {
			e.sig = sigs[0].GetSig()
		}
		e.logTime, e.logErr = v.bundleLog(b, cert)
		return true, e.explain(err)
	}
	if err := checkAnnotations(v.o.Annotations, s.Annotations); err != nil {
		return true, err
	}
	v.settle(s)
	for _, at := range result.VerifiedTimestamps {
		if at.Type != currentTime {
			s.Time = at.Timestamp.UTC()
			break
		}
	}
	s.LogIndexes, err = v.checkedEntries(b)
	return true, err
}

// currentTime is the type of the library for a time that nobody vouches for.
const currentTime = "CurrentTime"

// checkedEntries returns the entries of trusted logs. Those of others were not
// looked at.
func (v *verifier) checkedEntries(b *sgbundle.Bundle) ([]int64, error) {
	if v.o.IgnoreTlog {
		return nil, nil
	}
	entries, err := b.TlogEntries()
	if err != nil {
		return nil, err
	}
	var out []int64
	logs := v.trust.RekorLogs()
	for _, e := range entries {
		if _, ok := logs[hex.EncodeToString([]byte(e.LogKeyID()))]; ok {
			out = append(out, e.LogIndex())
		}
	}
	return out, nil
}

// bundleCertificate returns the signer's certificate; nil if a key signed.
func bundleCertificate(b *sgbundle.Bundle) (*x509.Certificate, error) {
	m := b.GetVerificationMaterial()
	raw := m.GetCertificate().GetRawBytes()
	if chain := m.GetX509CertificateChain().GetCertificates(); raw == nil && len(chain) > 0 {
		raw = chain[0].GetRawBytes()
	}
	if raw == nil {
		return nil, nil //nolint:nilnil // keys have none
	}
	return x509.ParseCertificate(raw)
}

// bundleLog returns the time of a log entry, or why there is none. Version 2 of
// Rekor says no time. Whether the certificate was valid then is not checked.
func (v *verifier) bundleLog(b *sgbundle.Bundle, cert *x509.Certificate) (at time.Time, err error) {
	defer recovered(&err, sign.ErrContent)
	entries, err := b.TlogEntries()
	if err != nil {
		return at, err
	}
	if len(entries) == 0 {
		return at, errors.New("it has no entry of a transparency log")
	}
	trust := root.TrustedMaterialCollection{v.trust}
	if v.key != nil {
		k := root.NewExpiringKey(v.key, time.Time{}, time.Time{})
		trust = append(trust, root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return k, nil }))
	}
	verified, err := verify.VerifyTlogEntry(anytime{b}, trust, 1, true)
	if err != nil {
		return at, err
	}
	if len(verified) > 0 {
		at = verified[0].Time
	}
	for _, e := range entries {
		// A time that the log has not signed is no proof, but the library wants it
		// to fit, too.
		if t := e.IntegratedTime(); cert != nil && !t.IsZero() && cosign.CheckExpiry(cert, t) != nil {
			if _, ok := v.trust.RekorLogs()[hex.EncodeToString([]byte(e.LogKeyID()))]; ok {
				return t, nil
			}
		}
	}
	return at, nil
}
