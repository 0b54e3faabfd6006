// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/cosign/v2/pkg/oci"
	"github.com/sigstore/cosign/v2/pkg/types"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/cfs-label/cfs-label/sign"
)

// wanted is what a signature has to have, to be the one that would be made. What
// lacks something is no error: another one is made.
type wanted struct {
	key *key
	// logs are the versions of Rekor of which one is to have an entry.
	logs []uint32
	// stamp is whether there is to be a timestamp.
	stamp bool
	// judge has the keys of the logs and authorities; nil if they are not given.
	// Without them an entry and a timestamp are looked at, and not who made them.
	judge *verifier
}

// newWanted returns what is wanted of a key's signature.
func newWanted(k *key, to endpoints, f sign.Format) (wanted, error) {
	w := wanted{key: k, stamp: len(to.tsa) > 0}
	if f == sign.Bundle {
		for _, s := range to.rekor {
			w.logs = append(w.logs, s.MajorAPIVersion)
		}
	} else if to.legacyRekor != "" {
		w.logs = []uint32{1}
	}
	if to.trust == nil {
		return w, nil
	}
	public, err := newPublic(k.public)
	w.judge = &verifier{key: public, trust: to.trust}
	return w, err
}

var (
	errOther    = errors.New("it is another signature")
	errNoEntry  = errors.New("no entry of a log is of this signature by this key")
	errNoStamp  = errors.New("no timestamp is of this signature")
	errNoBundle = errors.New("it has no entry of a log")
)

// checkLegacy fails unless a legacy signature of a text is what is wanted.
func (w wanted) checkLegacy(f oci.Signature, text []byte) (err error) {
	defer recovered(&err, sign.ErrContent)
	have, err := f.Payload()
	if err != nil {
		return err
	}
	sig, err := f.Signature()
	if err != nil {
		return err
	}
	if !bytes.Equal(have, text) {
		return errOther
	}
	if err := w.key.verify(sig, text); err != nil {
		return err
	}
	if len(w.logs) > 0 {
		e, err := legacyEntry(f)
		if err != nil {
			return err
		}
		if err := w.checkEntry(e, sig); err != nil {
			return err
		}
		if w.judge != nil {
			if _, err := legacyLog(f, w.judge.checks()); err != nil {
				return err
			}
		}
	}
	if !w.stamp {
		return nil
	}
	stamp, err := f.RFC3161Timestamp()
	if err != nil {
		return err
	}
	if stamp == nil {
		return errNoStamp
	}
	raw := stamp.SignedRFC3161Timestamp
	return w.checkStamps([][]byte{raw}, sig, &legacyStamp{stamp: raw, content: content{sig: sig}})
}

// legacyEntry returns the entry that is attached to a legacy signature.
func legacyEntry(f oci.Signature) (*tlog.Entry, error) {
	b, err := f.Bundle()
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, errNoBundle
	}
	text, _ := b.Payload.Body.(string)
	body, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(b.Payload.LogID)
	if err != nil {
		return nil, err
	}
	return tlog.ParseTransparencyLogEntry(&protorekor.TransparencyLogEntry{
		LogIndex: b.Payload.LogIndex, LogId: &protocommon.LogId{KeyId: id}, IntegratedTime: b.Payload.IntegratedTime,
		KindVersion:       &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.1"}, // as cosign enters them
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: b.SignedEntryTimestamp},
		CanonicalizedBody: body,
	})
}

// checkBundle fails unless a bundle with a statement is what is wanted.
func (w wanted) checkBundle(b *sgbundle.Bundle, text []byte) (err error) {
	defer recovered(&err, sign.ErrContent)
	e := b.GetDsseEnvelope()
	if e.GetPayloadType() != types.IntotoPayloadType || !bytes.Equal(e.GetPayload(), text) || len(e.GetSignatures()) != 1 {
		return errOther
	}
	sig := e.GetSignatures()[0].GetSig()
	pae := (&sgsign.DSSEData{Data: text, PayloadType: types.IntotoPayloadType}).PreAuthEncoding()
	if err := w.key.verify(sig, pae); err != nil {
		return err
	}
	if len(w.logs) > 0 {
		all, err := b.TlogEntries()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(e *tlog.Entry) bool { return w.checkEntry(e, sig) == nil }) {
			return errNoEntry
		}
		if w.judge != nil {
			if _, err := w.judge.bundleLog(b, nil); err != nil {
				return err
			}
		}
	}
	if !w.stamp {
		return nil
	}
	stamps, err := b.Timestamps()
	if err != nil {
		return err
	}
	return w.checkStamps(stamps, sig, b)
}

// checkEntry fails for an entry of something else, and for one without what a log
// of a version that is wanted gives: the first one promises to keep it, with a
// time, the second one proves that it has it.
func (w wanted) checkEntry(e *tlog.Entry, sig []byte) (err error) {
	defer recovered(&err, sign.ErrContent) // the library takes it that fields are there
	if err := tlog.ValidateEntry(e); err != nil {
		return err
	}
	if !bytes.Equal(e.Signature(), sig) || cryptoutils.EqualKeys(w.key.public, e.PublicKey()) != nil {
		return errNoEntry
	}
	promised := e.HasInclusionPromise() && !e.IntegratedTime().IsZero() && len(e.LogKeyID()) == sha256.Size
	if (promised && slices.Contains(w.logs, 1)) || (e.HasInclusionProof() && slices.ContainsFunc(w.logs, func(v uint32) bool { return v > 1 })) {
		return nil
	}
	return errNoEntry
}

// checkStamps fails unless one of the timestamps is of a signature.
func (w wanted) checkStamps(stamps [][]byte, sig []byte, of verify.SignedEntity) error {
	if !slices.ContainsFunc(stamps, func(raw []byte) bool { return isStampOf(raw, sig) }) {
		return errNoStamp
	}
	if w.judge == nil || len(w.judge.trust.TimestampingAuthorities()) == 0 {
		return nil
	}
	_, err := w.judge.stamped(of)
	return err
}

// isStampOf reports whether an answer of a timestamp authority (RFC 3161, 2.4.2)
// is of a signature, and is signed by the certificate that it has, if any.
func isStampOf(raw, sig []byte) bool {
	stamp, err := timestamp.ParseResponse(raw)
	if err != nil || !stamp.HashAlgorithm.Available() {
		return false
	}
	h := stamp.HashAlgorithm.New()
	h.Write(sig)
	return bytes.Equal(h.Sum(nil), stamp.HashedMessage)
}
