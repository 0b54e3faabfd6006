// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// The annotations of legacy signatures (cosign, specs/SIGNATURE_SPEC.md).
const (
	signatureAnnotation = "dev.cosignproject.cosign/signature"
	bundleAnnotation    = "dev.sigstore.cosign/bundle"
	stampAnnotation     = "dev.sigstore.cosign/rfc3161timestamp"
)

// annotate changes the annotations of the one legacy signature of an image.
func annotate(t *testing.T, im sign.Image, change func(annotations map[string]string)) {
	t.Helper()
	tag := tagOf(im, sign.Legacy)
	d, err := remote.Get(tag)
	must(t, err)
	m, err := v1.ParseManifest(strings.NewReader(string(d.Manifest)))
	must(t, err)
	change(m.Layers[0].Annotations)
	raw, err := json.Marshal(m)
	must(t, err)
	must(t, remote.Put(tag, rawTag{raw, d.MediaType}))
}

// legacyEntry returns an entry as a log of version 1 attaches it, but for the
// promise, which nobody has signed.
func legacyEntry(t *testing.T, im sign.Image, k keyFiles) map[string]any {
	t.Helper()
	image, err := remote.Image(tagOf(im, sign.Legacy))
	must(t, err)
	m, err := image.Manifest()
	must(t, err)
	public, err := os.ReadFile(k.public)
	must(t, err)
	layers, err := image.Layers()
	must(t, err)
	r, err := layers[0].Compressed()
	must(t, err)
	text, err := io.ReadAll(r)
	must(t, err)
	sum := sha256.Sum256(text)
	body, err := json.Marshal(map[string]any{"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": map[string]any{
		"data": map[string]any{"hash": map[string]string{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}},
		"signature": map[string]any{
			"content":   m.Layers[0].Annotations[signatureAnnotation],
			"publicKey": map[string]any{"content": public},
		},
	}})
	must(t, err)
	return map[string]any{"SignedEntryTimestamp": []byte("promised"), "Payload": map[string]any{
		"body": base64.StdEncoding.EncodeToString(body), "integratedTime": 1700000000, "logIndex": 7, "logID": strings.Repeat("ab", sha256.Size),
	}}
}

func inJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return string(raw)
}

// has asks whether the signature is there that options would make.
func has(t *testing.T, o cosign.SignOptions, im sign.Image) bool {
	t.Helper()
	s, err := newSigner(o)
	must(t, err)
	got, err := s.Has(t.Context(), im)
	must(t, err)
	return got
}

// TestHasEntry: what is attached to a legacy signature is an entry only if it is
// of this signature by this key and has what a log gives for it, and with a
// trusted root, only if a log that is in it has made it.
func TestHasEntry(t *testing.T) {
	h, k, other := newHub(t, true), newP256(t), newP256(t)
	im, another := h.push(t, "a"), h.push(t, "a")
	signIt(t, h.keyed(k), im)
	signIt(t, h.keyed(k), another)
	with := func(change func(e, payload map[string]any)) string {
		e := legacyEntry(t, im, k)
		change(e, e["Payload"].(map[string]any))
		return inJSON(t, e)
	}
	for name, tc := range map[string]struct {
		entry string
		root  string
		want  bool
	}{
		"as a log makes it":    {with(func(_, _ map[string]any) {}), "", true},
		"by no trusted log":    {with(func(_, _ map[string]any) {}), emptyRoot(t), false},
		"garbage":              {"garbage", "", false},
		"empty":                {"{}", "", false},
		"null":                 {"null", "", false},
		"no body":              {with(func(_, p map[string]any) { delete(p, "body") }), "", false},
		"another body":         {with(func(_, p map[string]any) { p["body"] = "e30=" }), "", false},
		"a body that is none":  {with(func(_, p map[string]any) { p["body"] = 7 }), "", false},
		"another signature's":  {inJSON(t, legacyEntry(t, another, k)), "", false},
		"another key's":        {inJSON(t, legacyEntry(t, im, other)), "", false},
		"no promise":           {with(func(e, _ map[string]any) { delete(e, "SignedEntryTimestamp") }), "", false},
		"no time":              {with(func(_, p map[string]any) { delete(p, "integratedTime") }), "", false},
		"no log":               {with(func(_, p map[string]any) { delete(p, "logID") }), "", false},
		"a log that can't be":  {with(func(_, p map[string]any) { p["logID"] = "abcd" }), "", false},
		"a log that is no hex": {with(func(_, p map[string]any) { p["logID"] = strings.Repeat("x", 64) }), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			annotate(t, im, func(a map[string]string) { a[bundleAnnotation] = tc.entry })
			o := h.keyed(k)
			o.NoTlog, o.RekorURL, o.TrustedRoot = false, "https://rekor.invalid", tc.root
			if got := has(t, o, im); got != tc.want {
				t.Errorf("has is %v", got)
			}
			if o = h.keyed(k); !has(t, o, im) {
				t.Error("without a log it is not there")
			}
		})
	}
}

// TestHasTimestamp: where a timestamp is asked for, a signature without one, or
// with one of another signature, is not what would be made; with a trusted root
// that has authorities, neither is one of another authority.
func TestHasTimestamp(t *testing.T) {
	h, k, a := newHub(t, true), newP256(t), newAuthority(t)
	now := time.Now().UTC().Truncate(time.Second)
	right, stranger := newClock(t, now), newClock(t, now)
	for _, f := range both {
		stamped := h.keyed(k, f)
		stamped.TimestampURL = right.URL
		under := func(root string) cosign.SignOptions {
			o := stamped
			o.TrustedRoot = root
			return o
		}
		bare, im := h.push(t, "a"), h.push(t, "a")
		signIt(t, h.keyed(k, f), bare)
		signIt(t, stamped, im)
		for name, tc := range map[string]struct {
			o    cosign.SignOptions
			im   sign.Image
			want bool
		}{
			"none":                     {stamped, bare, false},
			"none is asked for":        {h.keyed(k, f), bare, true},
			"its own":                  {stamped, im, true},
			"of a trusted authority":   {under(a.trustedRoot(t, right)), im, true},
			"of another authority":     {under(a.trustedRoot(t, stranger)), im, false},
			"of a root without clocks": {under(a.trustedRoot(t)), im, true},
		} {
			if got := has(t, tc.o, tc.im); got != tc.want {
				t.Errorf("%s, %s: has is %v", f, name, got)
			}
		}
		if m := signIt(t, stamped, bare).Made[0]; m.Present || !has(t, stamped, bare) {
			t.Errorf("%s: no signature with a timestamp was made", f)
		}
	}
	o := h.keyed(k)
	o.TimestampURL = right.URL
	im, another := h.push(t, "a"), h.push(t, "a")
	signIt(t, o, im)
	signIt(t, o, another)
	var stamp string
	annotate(t, another, func(a map[string]string) { stamp = a[stampAnnotation] })
	for _, text := range []string{stamp, "garbage", "{}", "null", `{"SignedRFC3161Timestamp":"Z2FyYmFnZQ=="}`} {
		annotate(t, im, func(a map[string]string) { a[stampAnnotation] = text })
		if has(t, o, im) {
			t.Errorf("%.40s is taken for its timestamp", text)
		}
	}
}
