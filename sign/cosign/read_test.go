// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/cosign/v2/pkg/oci/empty"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// simpleSigning is the media type of legacy signatures.
const simpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"

// liar is a transport whose registry says something else about one address.
type liar struct {
	hub  *hub
	part string // of the path
	say  func(in *http.Request) reply
	sent []string // the methods of the requests that it answered
}

func (l *liar) RoundTrip(in *http.Request) (*http.Response, error) {
	if !strings.Contains(in.URL.Path, l.part) {
		return l.hub.RoundTrip(in)
	}
	l.sent = append(l.sent, in.Method)
	r := l.say(in)
	resp := answer(in, r.status)
	if r.mediaType != "" {
		resp.Header.Set("Content-Type", r.mediaType)
		resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(r.text)), int64(len(r.text))
	}
	if r.digest != "" {
		resp.Header.Set("Docker-Content-Digest", r.digest)
	}
	return resp, nil
}

// reply is what a registry answers.
type reply struct {
	status                  int
	mediaType, text, digest string
}

// through returns options to verify through it.
func (l *liar) through(o cosign.VerifyOptions) cosign.VerifyOptions {
	o.Remote = (&meddler{}).through(cosign.SignOptions{}).Remote[1:]
	o.Remote = append(o.Remote, remote.WithTransport(l))
	return o
}

// saying answers with a status.
func saying(status int) func(*http.Request) reply {
	return func(*http.Request) reply { return reply{status: status} }
}

// showing answers with a text.
func showing(mediaType, text string) func(*http.Request) reply {
	return func(*http.Request) reply { return reply{status: http.StatusOK, mediaType: mediaType, text: text} }
}

// isTransport reports whether a registry's answer is the cause of an error: the
// exit status would be that of the answer.
func isTransport(err error) bool {
	_, ok := errors.AsType[*transport.Error](err)
	return ok
}

// TestOneBadLayer: a legacy signature that cannot be read is one that does not
// hold, and hides none that does. What the registry fails at is said so.
func TestOneBadLayer(t *testing.T) {
	for name, tc := range map[string]struct {
		say  func(payload []byte) func(*http.Request) reply
		kind error // nil: nobody knows what it is
		want string
	}{
		"missing": {func([]byte) func(*http.Request) reply { return saying(http.StatusNotFound) }, sign.ErrContent, "it is listed"},
		"altered": {func(p []byte) func(*http.Request) reply {
			return showing(simpleSigning, strings.ToUpper(string(p)))
		}, sign.ErrContent, "checksum"},
		"longer": {func(p []byte) func(*http.Request) reply {
			return showing(simpleSigning, string(p)+" and more")
		}, sign.ErrContent, "bytes"},
		"not shown": {func([]byte) func(*http.Request) reply { return saying(http.StatusForbidden) }, nil, "it could not be read: "},
		"failing":   {func([]byte) func(*http.Request) reply { return saying(http.StatusBadGateway) }, nil, "it could not be read: "},
	} {
		t.Run(name, func(t *testing.T) {
			h, k := newHub(t, true), newP256(t)
			im := h.push(t, "a")
			signIt(t, h.keyed(k), im)
			digest, payload := h.firstPayload(t, im)
			l := &liar{hub: h, part: "/blobs/" + digest.String(), say: tc.say(payload)}
			got, err := verifyIt(t, l.through(h.by(k)), im)
			if len(got) != 1 || err == nil || !errors.Is(err, tc.kind) && tc.kind != nil || isTransport(err) != (tc.kind == nil) {
				t.Errorf("alone: got %v of %d signatures, want %v of 1", err, len(got), tc.kind)
			}
			o := h.keyed(k)
			o.Annotations = map[string]string{"a": "b"}
			signIt(t, o, im)
			got, err = verifyIt(t, l.through(h.by(k)), im)
			must(t, err)
			if len(got) != 2 || got[0].Err != nil || got[1].Err == nil {
				t.Fatalf("got %+v, want one that holds and one that does not", got)
			}
			bad := got[1]
			if !strings.HasSuffix(bad.Place, digest.String()) || !strings.Contains(bad.Err.Error(), tc.want) ||
				errors.Is(bad.Err, sign.ErrContent) != (tc.kind != nil) || isTransport(bad.Err) != (tc.kind == nil) {
				t.Errorf("%s: %v, want %v, %q", bad.Place, bad.Err, tc.kind, tc.want)
			}
		})
	}
}

// firstPayload returns the payload of an image's first legacy signature.
func (h *hub) firstPayload(t *testing.T, im sign.Image) (v1.Hash, []byte) {
	t.Helper()
	image, err := remote.Image(tagOf(im, sign.Legacy))
	must(t, err)
	layers, err := image.Layers()
	must(t, err)
	digest, err := layers[0].Digest()
	must(t, err)
	r, err := layers[0].Compressed()
	must(t, err)
	defer r.Close()
	raw, err := io.ReadAll(r)
	must(t, err)
	return digest, raw
}

// TestLargePayload: a layer that is too large to be a signature is neither read
// nor touched: others are added to it, found, and hold.
func TestLargePayload(t *testing.T) {
	h, k := newHub(t, true), newP256(t)
	im := h.push(t, "a")
	large := static.NewLayer(bytes.Repeat([]byte(" "), 1<<20+1), simpleSigning)
	image, err := mutate.AppendLayers(empty.Signatures(), large)
	must(t, err)
	must(t, remote.Write(tagOf(im, sign.Legacy), image))
	for _, present := range []bool{false, true} {
		if made := signIt(t, h.keyed(k), im).Made[0]; made.Present != present {
			t.Errorf("present is %v, want %v", made.Present, present)
		}
	}
	s, err := newSigner(h.keyed(k))
	must(t, err)
	if has, err := s.Has(t.Context(), im); !has || err != nil {
		t.Errorf("has is %v, %v", has, err)
	}
	digest, err := large.Digest()
	must(t, err)
	if first, _ := h.firstPayload(t, im); first != digest {
		t.Errorf("the first layer is %s now", first)
	}
	l := &liar{hub: h, part: "/blobs/" + digest.String(), say: saying(http.StatusNotFound)}
	got, err := verifyIt(t, l.through(h.by(k)), im)
	must(t, err)
	if len(got) != 2 || got[0].Err != nil || !errors.Is(got[1].Err, sign.ErrContent) || !strings.Contains(got[1].Err.Error(), "at most 1048576") {
		t.Errorf("got %+v", got)
	}
	if len(l.sent) != 0 {
		t.Errorf("it was asked for: %q", l.sent)
	}
}

// TestUnreadLayerIsNoOther: a signature that a registry fails to show may be the
// signer's own: no second one is made.
func TestUnreadLayerIsNoOther(t *testing.T) {
	h, k := newHub(t, true), newP256(t)
	im := h.push(t, "a")
	signIt(t, h.keyed(k), im)
	digest, _ := h.firstPayload(t, im)
	l := &liar{hub: h, part: "/blobs/" + digest.String(), say: saying(http.StatusBadGateway)}
	o := h.keyed(k)
	o.Registry = l.through(h.by(k)).Registry
	s, err := newSigner(o)
	must(t, err)
	if has, err := s.Has(t.Context(), im); has || !isTransport(err) {
		t.Errorf("has is %v, %v", has, err)
	}
	if _, err := s.Sign(t.Context(), im); !isTransport(err) {
		t.Errorf("signed: %v", err)
	}
}

// TestGoneBundle: a bundle that is listed and gone is none.
func TestGoneBundle(t *testing.T) {
	for _, referrers := range []bool{true, false} {
		h, k := newHub(t, referrers), newP256(t)
		im := h.push(t, "a")
		signIt(t, h.keyed(k, sign.Bundle), im)
		gone := h.referrers(t, im)[0]
		l := &liar{hub: h, part: "/manifests/" + gone.DigestStr(), say: saying(http.StatusNotFound)}
		if got, err := verifyIt(t, l.through(h.by(k)), im); !errors.Is(err, sign.ErrNoSignature) || len(got) != 0 {
			t.Errorf("alone: got %v of %d signatures, want ErrNoSignature of none", err, len(got))
		}
		o := h.keyed(k, sign.Bundle)
		o.Annotations = map[string]string{"a": "b"}
		signIt(t, o, im)
		got, err := verifyIt(t, l.through(h.by(k)), im)
		must(t, err)
		if len(got) != 1 || len(l.sent) != 2 {
			t.Errorf("%d signatures, and it was asked for %d times", len(got), len(l.sent))
		}
	}
}

// TestListedSizes: a manifest that is said to be too large is not read, and one
// that is not as large as is said is not believed.
func TestListedSizes(t *testing.T) {
	for name, tc := range map[string]struct {
		change int64 // of the size
		want   string
		read   int
	}{
		"as it is":  {0, "", 1},
		"too large": {4 << 20, "at most 4194304 are read", 0},
		"smaller":   {-1, "as is said where it is listed", 1},
		"larger":    {1, "as is said where it is listed", 1},
	} {
		t.Run(name, func(t *testing.T) {
			h, k := newHub(t, true), newP256(t)
			im := h.push(t, "a")
			signIt(t, h.keyed(k, sign.Bundle), im)
			index, err := remote.Referrers(im.Name)
			must(t, err)
			list, err := index.IndexManifest()
			must(t, err)
			list = list.DeepCopy()
			list.Manifests[0].Size += tc.change
			raw, err := json.Marshal(list)
			must(t, err)
			before := &liar{hub: h, part: "/referrers/", say: showing(string(types.OCIImageIndex), string(raw))}
			read := 0
			o := before.through(h.by(k))
			o.Remote = append(o.Remote, remote.WithTransport(counting{before, list.Manifests[0].Digest.String(), &read}))
			got, err := verifyIt(t, o, im)
			if len(got) != 1 || read != tc.read {
				t.Fatalf("%d signatures, and %d requests; want 1 and %d", len(got), read, tc.read)
			}
			if tc.want == "" {
				must(t, err)
			} else if !errors.Is(err, sign.ErrContent) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ErrContent, %q", err, tc.want)
			}
		})
	}
}

// counting counts the requests for a digest.
type counting struct {
	next   http.RoundTripper
	digest string
	n      *int
}

func (c counting) RoundTrip(in *http.Request) (*http.Response, error) {
	if strings.HasSuffix(in.URL.Path, c.digest) {
		*c.n++
	}
	return c.next.RoundTrip(in)
}

// TestLargeTag: a manifest of signatures that is too large is not read, and one of
// which the registry does not say is not believed.
func TestLargeTag(t *testing.T) {
	for name, tc := range map[string]struct {
		head int // the status of HEAD
		want string
	}{
		"said":     {http.StatusOK, "HEAD"},
		"not said": {http.StatusMethodNotAllowed, "HEAD GET"},
	} {
		t.Run(name, func(t *testing.T) {
			h, k := newHub(t, true), newP256(t)
			im := h.push(t, "a")
			tag := tagOf(im, sign.Legacy)
			l := &liar{hub: h, part: tag.TagStr()}
			l.say = func(in *http.Request) reply {
				r := reply{status: http.StatusOK, mediaType: string(types.OCIManifestSchema1), text: strings.Repeat(" ", 4<<20+1)}
				if in.Method == http.MethodHead {
					r.status, r.digest = tc.head, im.Name.DigestStr()
				}
				return r
			}
			got, err := verifyIt(t, l.through(h.by(k)), im)
			if !errors.Is(err, sign.ErrContent) || len(got) != 1 || !strings.Contains(err.Error(), "at most 4194304 are read") {
				t.Errorf("got %v of %d signatures", err, len(got))
			}
			if sent := strings.Join(l.sent, " "); sent != tc.want {
				t.Errorf("sent %s, want %s", sent, tc.want)
			}
			if err != nil && strings.Count(err.Error(), tag.String()) != 1 {
				t.Errorf("the place is there more or less than once: %v", err)
			}
		})
	}
}

// TestUnlisted: that a registry fails to list signatures of a format is no
// property of a signature, and does not hide those of the other. The error names
// the image once.
func TestUnlisted(t *testing.T) {
	for f, want := range map[sign.Format]string{sign.Legacy: "they could not be read: ", sign.Bundle: "they could not be listed: "} {
		t.Run(string(f), func(t *testing.T) {
			h, k, other := newHub(t, true), newP256(t), newP256(t)
			im := h.push(t, "a")
			signIt(t, h.keyed(k, both...), im)
			part := map[sign.Format]string{sign.Legacy: tagOf(im, sign.Legacy).TagStr(), sign.Bundle: "/referrers/"}[f]
			l := &liar{hub: h, part: part, say: saying(http.StatusForbidden)}
			got, err := verifyIt(t, l.through(h.by(k)), im)
			must(t, err)
			if len(got) != 2 {
				t.Fatalf("got %+v", got)
			}
			for _, s := range got {
				if s.Format != f && s.Err != nil {
					t.Errorf("%s: %v", s.Format, s.Err)
				}
				if s.Format == f && (!isTransport(s.Err) || !strings.HasPrefix(s.Err.Error(), want)) {
					t.Errorf("%s: %v, want %q", s.Format, s.Err, want)
				}
			}
			_, err = verifyIt(t, l.through(h.by(other)), im)
			if !isTransport(err) || strings.Count(err.Error(), im.Name.String()) != 1 {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestOfflineKMS: nobody is asked but the registry, and a KMS is somebody.
func TestOfflineKMS(t *testing.T) {
	o := cosign.VerifyOptions{Key: "awskms:///key", IgnoreTlog: true, Offline: true}
	if _, err := cosign.NewVerifier(o); !errors.Is(err, sign.ErrOptions) || !strings.Contains(err.Error(), "export the public key to a file") {
		t.Errorf("got %v, want ErrOptions", err)
	}
	for _, key := range []string{"env://KEY", "key.pub"} {
		o.Key = key
		if _, err := cosign.NewVerifier(o); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}
