// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/cfs-label/cfs-label/sign"
)

// evidence is what a signature that does not hold is made of.
type evidence struct {
	v           *verifier
	co          *cosign.CheckOpts
	cert        *x509.Certificate
	text, sig   []byte
	digest      string
	want        v1.Hash
	annotations error     // nil: they are there
	stampTime   time.Time // zero: unknown
	stampErr    error     // nil: there is no timestamp, or it is good
	logTime     time.Time // zero: unknown
	logErr      error     // nil: the entry is good, but for its time
}

// explain finds out why a signature does not hold. Whoever wants somebody else's
// signature is told so first.
func (e evidence) explain(err error) error {
	switch {
	case e.v.key == nil && e.cert == nil:
		return failed(sign.ErrIdentity, errors.New("a key signed it, and no identity"))
	case e.v.key == nil && cosign.CheckCertificatePolicy(e.cert, e.co) != nil:
		return failed(sign.ErrIdentity, cosign.CheckCertificatePolicy(e.cert, e.co))
	case !e.signed():
		if e.v.key == nil {
			return failed(sign.ErrKey, errors.New("its bytes are not what the key of its certificate signed"))
		}
		return failed(sign.ErrKey, errors.New("another key signed it, or its bytes were altered"))
	case e.digest != e.want.String():
		return failed(sign.ErrOtherDigest, fmt.Errorf("%q is signed, and not %s", e.digest, e.want))
	case e.annotations != nil:
		return e.annotations
	}
	if e.v.key == nil {
		if cerr := e.certificate(); cerr != nil {
			return cerr
		}
	}
	switch {
	case !e.v.o.IgnoreTlog && e.logErr != nil:
		return failed(sign.ErrLog, fmt.Errorf("the entry in the transparency log: %w", e.logErr))
	case e.co.UseSignedTimestamps && e.stampErr != nil:
		return failed(sign.ErrTimestamp, e.stampErr)
	case e.v.key == nil:
		return failed(sign.ErrCertificate, err) // what is left is the proof that it is in a log
	}
	return failed(sign.ErrContent, err)
}

// signed reports whether the key, or that of the certificate, made the signature.
func (e evidence) signed() bool {
	k := e.v.key
	if k == nil {
		var err error
		if k, err = newPublic(e.cert.PublicKey); err != nil {
			return false
		}
	}
	return k.VerifySignature(bytes.NewReader(e.sig), bytes.NewReader(e.text)) == nil
}

// certificate fails for one that is not trusted, or was not when it signed.
func (e evidence) certificate() error {
	cert := *e.cert
	cert.UnhandledCriticalExtensions = nil // names that the library does not know
	if _, err := verify.VerifyLeafCertificate(cert.NotBefore, &cert, e.v.trust); err != nil {
		return failed(sign.ErrCertificate, fmt.Errorf("no authority of the trusted root issued the certificate: %w", err))
	}
	return e.expiry(&cert)
}

// expiry fails for a certificate that was not valid when it signed, by all who
// say when that was, and for one of which nobody says and which is not valid now.
func (e evidence) expiry(cert *x509.Certificate) error {
	logged := !e.v.o.IgnoreTlog && e.logErr == nil
	if logged && !e.logTime.IsZero() {
		if err := checkExpiry(cert, e.logTime, "the log says that it signed"); err != nil {
			return err
		}
	}
	switch {
	case e.co.UseSignedTimestamps && e.stampErr == nil:
		return checkExpiry(cert, e.stampTime, "the timestamp says that it signed")
	case e.co.UseSignedTimestamps:
		return nil // what is wrong with it is the reason
	case logged && !e.logTime.IsZero():
		return nil
	case logged, cosign.CheckExpiry(cert, time.Now()) != nil:
		// Where a log is wanted, that the certificate is valid now is not enough.
		return e.unknownTime(cert)
	}
	return nil
}

// unknownTime is the error for a certificate of which nobody says when it signed.
func (e evidence) unknownTime(cert *x509.Certificate) error {
	switch {
	case e.v.o.IgnoreTlog:
		return failed(sign.ErrExpired, fmt.Errorf("%s, and nobody who is trusted says when it signed", validity(cert)))
	case e.logErr != nil:
		return failed(sign.ErrExpired, fmt.Errorf("%s, and no timestamp or log says when it signed: %w", validity(cert), e.logErr))
	}
	return failed(sign.ErrExpired, fmt.Errorf("%s, and no timestamp or log says when it signed: the log's entry has no time", validity(cert)))
}

func checkExpiry(cert *x509.Certificate, at time.Time, says string) error {
	if cosign.CheckExpiry(cert, at) == nil {
		return nil
	}
	return failed(sign.ErrExpired, fmt.Errorf("%s, %s %s", validity(cert), says, at.UTC().Format(time.RFC3339)))
}

// validity says when a certificate is valid.
func validity(cert *x509.Certificate) string {
	return fmt.Sprintf("the certificate is valid from %s to %s",
		cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339))
}

// anytime is an entity whose certificate is valid whenever that is asked: the
// library's check of a log entry would not say whether only its time is wrong.
type anytime struct{ verify.SignedEntity }

// VerificationContent returns the certificate, or the key.
func (a anytime) VerificationContent() (verify.VerificationContent, error) {
	c, err := a.SignedEntity.VerificationContent()
	return alwaysValid{c}, err
}

// alwaysValid is a certificate or a key.
type alwaysValid struct{ verify.VerificationContent }

// ValidAtTime returns true.
func (alwaysValid) ValidAtTime(time.Time, root.TrustedMaterial) bool { return true }

// legacyStamp is what a timestamp of a legacy signature is about.
type legacyStamp struct {
	verify.BaseSignedEntity
	stamp []byte
	content
}

// content is the signature of an entity, of which nobody asks for more.
type content struct {
	verify.SignatureContent
	sig []byte
}

// Signature returns the signature.
func (c content) Signature() []byte { return c.sig }

// Timestamps returns the timestamp.
func (l *legacyStamp) Timestamps() ([][]byte, error) { return [][]byte{l.stamp}, nil }

// SignatureContent returns what has the signature.
func (l *legacyStamp) SignatureContent() (verify.SignatureContent, error) { return l.content, nil }

// stamped returns the time of a timestamp that is trusted.
func (v *verifier) stamped(e verify.SignedEntity) (at time.Time, err error) {
	defer recovered(&err, sign.ErrTimestamp)
	good, bad, err := verify.VerifySignedTimestamp(e, v.trust)
	if err == nil && len(good) == 0 {
		err = errors.Join(bad...)
	}
	if err != nil || len(good) == 0 {
		return at, fmt.Errorf("no trusted authority made the timestamp: %w", err)
	}
	return good[0].Time, nil
}
