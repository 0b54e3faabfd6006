// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"

	"github.com/cfs-label/cfs-label/sign"
)

// TestLogSaysWhen: the certificate of a bundle in a log was valid when the log
// says that it signed. A log that does not say when, as version 2 of Rekor, needs
// a timestamp beside it.
func TestLogSaysWhen(t *testing.T) {
	rekor, err := ca.NewVirtualSigstore()
	must(t, err)
	const unknown = "and no timestamp or log says when it signed: the log's entry has no time"
	old, now := time.Now().Add(-time.Hour), time.Now()
	for name, tc := range map[string]struct {
		issued time.Time     // the certificate is valid for ten minutes from then
		after  time.Duration // when the log says that it signed; 0: it does not say
		proof  bool          // the log has signed its tree, and no time
		kind   error         // nil: it holds
		want   string
	}{
		"in time":                 {issued: old, after: time.Minute},
		"too late":                {old, 20 * time.Minute, false, sign.ErrExpired, "the log says that it signed"},
		"too early":               {old, -20 * time.Minute, false, sign.ErrExpired, "the log says that it signed"},
		"too late, not signed":    {old, 20 * time.Minute, true, sign.ErrExpired, "the log says that it signed"},
		"no time":                 {old, 0, true, sign.ErrExpired, unknown},
		"no time, and valid now":  {now, 0, true, sign.ErrExpired, unknown},
		"valid now, and too late": {now, 20 * time.Minute, false, sign.ErrExpired, "the log says that it signed"},
	} {
		t.Run(name, func(t *testing.T) {
			h, a := newHub(t, true), newAuthority(t)
			a.from, a.to = tc.issued, tc.issued.Add(10*time.Minute)
			im := h.push(t, "a")
			signIt(t, h.keyless(t, a, sign.Bundle), im)
			b := h.bundleOf(t, im)
			var at int64
			if tc.after != 0 {
				at = tc.issued.Add(tc.after).Unix()
			}
			b.VerificationMaterial.TlogEntries = []*protorekor.TransparencyLogEntry{entryOf(t, rekor, b, at, tc.proof)}
			logged := newHub(t, true)
			im = logged.take(t, h, im)
			logged.refer(t, im, b)
			o := logged.byIdentity(t, a)
			o.IgnoreTlog, o.TrustedRoot = false, a.trustedRootWith(t, trustedLogs(t, rekor))
			got, err := verifyIt(t, o, im)
			if len(got) != 1 || !errors.Is(err, tc.kind) || errors.Is(err, sign.ErrLog) {
				t.Fatalf("got %v of %d signatures, want %v of 1", err, len(got), tc.kind)
			}
			if tc.kind == nil && got[0].Time.Unix() != at {
				t.Errorf("signed at %s", got[0].Time)
			}
			if tc.kind != nil && !strings.Contains(got[0].Err.Error(), tc.want) {
				t.Errorf("got %v, want %q", got[0].Err, tc.want)
			}
		})
	}
}

// entryOf enters a bundle in a log. With the proof alone, the log has signed no
// time.
func entryOf(t *testing.T, rekor *ca.VirtualSigstore, b *sgbundle.Bundle, at int64, proof bool) *protorekor.TransparencyLogEntry {
	t.Helper()
	cert, err := x509.ParseCertificate(b.GetVerificationMaterial().GetCertificate().GetRawBytes())
	must(t, err)
	content, err := b.SignatureContent()
	must(t, err)
	entry, err := rekor.GenerateTlogEntry(cert, content.EnvelopeContent().RawEnvelope(), content.Signature(), at, true)
	must(t, err)
	tle := entry.TransparencyLogEntry()
	tle.KindVersion = &protorekor.KindVersion{Kind: "intoto", Version: "0.0.2"}
	if proof {
		return tle
	}
	id, err := rekor.RekorLogID()
	must(t, err)
	promise, err := rekor.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(tle.GetCanonicalizedBody()), IntegratedTime: at, LogIndex: tle.GetLogIndex(), LogID: id,
	})
	must(t, err)
	tle.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: promise}
	return tle
}

// trustedLogs returns the log for a trusted root.
func trustedLogs(t *testing.T, rekor *ca.VirtualSigstore) []any {
	t.Helper()
	var logs []any
	for id, l := range rekor.RekorLogs() {
		der, err := x509.MarshalPKIXPublicKey(l.PublicKey)
		must(t, err)
		raw, err := hex.DecodeString(id)
		must(t, err)
		logs = append(logs, map[string]any{
			"baseUrl": "https://rekor.invalid", "hashAlgorithm": "SHA2_256", "logId": map[string]any{"keyId": raw},
			"publicKey": map[string]any{
				"rawBytes": der, "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": map[string]any{"start": "2020-01-01T00:00:00Z"},
			},
		})
	}
	return logs
}

// bundleOf returns the bundle of an image.
func (h *hub) bundleOf(t *testing.T, im sign.Image) *sgbundle.Bundle {
	t.Helper()
	image, err := remote.Image(h.referrers(t, im)[0])
	must(t, err)
	layers, err := image.Layers()
	must(t, err)
	r, err := layers[0].Compressed()
	must(t, err)
	defer r.Close()
	raw, err := io.ReadAll(r)
	must(t, err)
	b := &sgbundle.Bundle{}
	must(t, b.UnmarshalJSON(raw))
	return b
}

// referrers returns what refers to an image.
func (h *hub) referrers(t *testing.T, im sign.Image) []name.Digest {
	t.Helper()
	index, err := remote.Referrers(im.Name)
	must(t, err)
	m, err := index.IndexManifest()
	must(t, err)
	var out []name.Digest
	for _, d := range m.Manifests {
		out = append(out, im.Name.Context().Digest(d.Digest.String()))
	}
	return out
}

// take copies an image from another registry.
func (h *hub) take(t *testing.T, from *hub, im sign.Image) sign.Image {
	t.Helper()
	image, err := remote.Image(from.named(t, im).Name)
	must(t, err)
	d, err := image.Digest()
	must(t, err)
	return sign.Image{Name: h.write(t, "a", d, image)}
}

// refer pushes a bundle that refers to an image.
func (h *hub) refer(t *testing.T, im sign.Image, b *sgbundle.Bundle) {
	t.Helper()
	raw, err := json.Marshal(b)
	must(t, err)
	mediaType := b.GetMediaType()
	layer := static.NewLayer(raw, types.MediaType(mediaType))
	must(t, ociremote.WriteReferrer(im.Name, mediaType, []v1.Layer{layer}, nil, ociremote.WithRemoteOptions(remote.WithTransport(h))))
}
