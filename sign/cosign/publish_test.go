// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// meddler is a transport that does something else with requests which write a
// tag.
type meddler struct {
	hub  *hub
	puts int
	do   func(n int, in *http.Request, send func() *http.Response) (*http.Response, error)
}

func (m *meddler) RoundTrip(in *http.Request) (*http.Response, error) {
	if in.Method != http.MethodPut || !strings.Contains(in.URL.Path, "/manifests/sha256-") {
		return m.hub.RoundTrip(in)
	}
	m.puts++
	return m.do(m.puts, in, func() *http.Response {
		resp, err := m.hub.RoundTrip(in)
		if err != nil {
			panic(err) // the registry of the test is there
		}
		return resp
	})
}

// answer is what a registry says without doing anything.
func answer(in *http.Request, status int) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: in,
	}
}

// through returns options to sign through it.
func (m *meddler) through(o cosign.SignOptions) cosign.SignOptions {
	o.Remote = []remote.Option{
		remote.WithTransport(m), remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithRetryPredicate(func(error) bool { return false }), remote.WithRetryStatusCodes(),
	}
	return o
}

// tagOf returns the tag that a format writes, in a registry without referrers.
func tagOf(im sign.Image, f sign.Format) name.Tag {
	tag := strings.Replace(im.Name.DigestStr(), ":", "-", 1)
	if f == sign.Legacy {
		tag += ".sig"
	}
	return im.Name.Context().Tag(tag)
}

// TestTagIsWrittenAgain: a tag whose PUT fails in passing is written again, one
// that was written though the answer was lost is not, and neither makes a second
// signature.
func TestTagIsWrittenAgain(t *testing.T) {
	k, a := newP256(t), newAuthority(t)
	for what, tc := range map[string]struct {
		puts int
		do   func(in *http.Request, send func() *http.Response) (*http.Response, error)
	}{
		"502 and not written": {2, func(in *http.Request, _ func() *http.Response) (*http.Response, error) {
			return answer(in, http.StatusBadGateway), nil
		}},
		"502 and written": {1, func(in *http.Request, send func() *http.Response) (*http.Response, error) {
			_ = send().Body.Close()
			return answer(in, http.StatusBadGateway), nil
		}},
		"the connection breaks before": {2, func(*http.Request, func() *http.Response) (*http.Response, error) {
			return nil, io.ErrUnexpectedEOF
		}},
		"the connection breaks after": {1, func(_ *http.Request, send func() *http.Response) (*http.Response, error) {
			_ = send().Body.Close()
			return nil, io.ErrUnexpectedEOF
		}},
	} {
		for _, f := range both {
			for _, keyless := range []bool{false, true} {
				t.Run(what+"/"+string(f)+"/"+map[bool]string{true: "identity", false: "key"}[keyless], func(t *testing.T) {
					h := newHub(t, false)
					im := h.push(t, "a")
					m := &meddler{hub: h, do: func(n int, in *http.Request, send func() *http.Response) (*http.Response, error) {
						if n == 1 {
							return tc.do(in, send)
						}
						return send(), nil
					}}
					o, vo := h.keyed(k, f), h.by(k)
					if keyless {
						o, vo = h.keyless(t, a, f), h.byIdentity(t, a)
					}
					s, err := newSigner(m.through(o))
					must(t, err)
					cosign.Impatient(s)
					_, err = s.Sign(t.Context(), im)
					must(t, err)
					got, err := verifyIt(t, vo, im)
					must(t, err)
					if len(got) != 1 || m.puts != tc.puts {
						t.Errorf("%d signatures after %d writes, want 1 after %d", len(got), m.puts, tc.puts)
					}
				})
			}
		}
	}
}

// TestRefusedForGood: what a registry refuses is asked for once.
func TestRefusedForGood(t *testing.T) {
	k := newP256(t)
	for _, f := range both {
		h := newHub(t, false)
		im := h.push(t, "a")
		m := &meddler{hub: h, do: func(_ int, in *http.Request, _ func() *http.Response) (*http.Response, error) {
			return answer(in, http.StatusForbidden), nil
		}}
		s, err := newSigner(m.through(h.keyed(k, f)))
		must(t, err)
		pauses := cosign.Impatient(s)
		_, err = s.Sign(t.Context(), im)
		if refused, ok := errors.AsType[*transport.Error](err); !ok || refused.StatusCode != http.StatusForbidden {
			t.Errorf("%s: got %v", f, err)
		}
		if m.puts != 1 || *pauses != 0 {
			t.Errorf("%s: %d writes, %d pauses", f, m.puts, *pauses)
		}
	}
}

// TestTwoSigners: a signature that somebody else's write has undone is added to
// theirs; one that is undone again and again is an error.
func TestTwoSigners(t *testing.T) {
	mine, theirs := newP256(t), newP256(t)
	for _, f := range both {
		for _, times := range []int{1, 3, cosign.MaxWrites + 1} {
			h := newHub(t, false)
			im := h.push(t, "a")
			signIt(t, h.keyed(theirs, f), im)
			tag := tagOf(im, f)
			before, err := remote.Get(tag)
			must(t, err)
			m := &meddler{hub: h, do: func(n int, _ *http.Request, send func() *http.Response) (*http.Response, error) {
				resp := send()
				if n > times {
					return resp, nil
				}
				return resp, remote.Put(tag, rawTag{before.Manifest, before.MediaType})
			}}
			s, err := newSigner(m.through(h.keyed(mine, f)))
			must(t, err)
			pauses := cosign.Impatient(s)
			_, err = s.Sign(t.Context(), im)
			if times > cosign.MaxWrites {
				if err == nil || !strings.Contains(err.Error(), "others write there") || m.puts != cosign.MaxWrites {
					t.Errorf("%s: after %d writes: %v", f, m.puts, err)
				}
				continue
			}
			must(t, err)
			if m.puts != times+1 || *pauses != times {
				t.Errorf("%s: %d writes and %d pauses, want %d and %d", f, m.puts, *pauses, times+1, times)
			}
			for _, k := range []keyFiles{mine, theirs} {
				got, err := verifyIt(t, h.by(k), im)
				must(t, err)
				if len(got) != 2 {
					t.Errorf("%s: %d signatures, want 2", f, len(got))
				}
			}
		}
	}
}

// TestSecondLook: a signature that another undoes after the first look is seen
// to be gone at the second, and is added to theirs.
func TestSecondLook(t *testing.T) {
	mine, theirs := newP256(t), newP256(t)
	for _, f := range both {
		for _, times := range []int{1, 3} {
			h := newHub(t, false)
			im := h.push(t, "a")
			signIt(t, h.keyed(theirs, f), im)
			tag := tagOf(im, f)
			before, err := remote.Get(tag)
			must(t, err)
			s, err := newSigner(h.keyed(mine, f))
			must(t, err)
			looks := 0
			cosign.AtSecondLook(s, func() {
				if looks++; looks <= times {
					must(t, remote.Put(tag, rawTag{before.Manifest, before.MediaType}))
				}
			})
			_, err = s.Sign(t.Context(), im)
			must(t, err)
			if looks != times+1 {
				t.Errorf("%s: looked %d times again, want %d", f, looks, times+1)
			}
			holds(t, h, im, mine, theirs)
		}
	}
}

// holds checks that the image has one signature by each of two keys.
func holds(t *testing.T, h *hub, im sign.Image, keys ...keyFiles) {
	t.Helper()
	for _, k := range keys {
		got, err := verifyIt(t, h.by(k), im)
		must(t, err)
		if len(got) != len(keys) {
			t.Errorf("%d signatures, want %d", len(got), len(keys))
		}
	}
}

// trail is a transport that writes down each request, and does something before
// the first one that sends a blob.
type trail struct {
	hub    *hub
	sent   []string
	before func()
}

func (r *trail) RoundTrip(in *http.Request) (*http.Response, error) {
	r.sent = append(r.sent, in.Method+" "+in.URL.Path)
	if in.Method == http.MethodPost && r.before != nil {
		r.before()
		r.before = nil
	}
	return r.hub.RoundTrip(in)
}

// TestTagIsReadBeforeItIsWritten: what another signs while the blobs are sent is
// not written over, and nothing is sent between the look at the tag and the
// manifest.
func TestTagIsReadBeforeItIsWritten(t *testing.T) {
	mine, theirs, third := newP256(t), newP256(t), newP256(t)
	for _, signed := range []bool{false, true} {
		h := newHub(t, true)
		im, keys := h.push(t, "a"), []keyFiles{mine, theirs}
		if signed {
			signIt(t, h.keyed(third), im)
			keys = append(keys, third)
		}
		r := &trail{hub: h, before: func() { signIt(t, h.keyed(theirs), im) }}
		o := h.keyed(mine)
		o.Remote = []remote.Option{remote.WithTransport(r)}
		signIt(t, o, im)
		holds(t, h, im, keys...)
		puts := 0
		path := "/v2/a/manifests/" + tagOf(im, sign.Legacy).TagStr()
		for i, sent := range r.sent {
			if sent != "PUT "+path {
				continue
			}
			if puts++; i == 0 || r.sent[i-1] != "GET "+path {
				t.Errorf("the tag is not read right before it is written:\n%s", strings.Join(r.sent, "\n"))
			}
		}
		if puts != 1 {
			t.Errorf("the tag is written %d times, want once", puts)
		}
	}
}

// TestTagIsAnIndex: a tag that is no image of signatures is an error that says
// what to do, and stays.
func TestTagIsAnIndex(t *testing.T) {
	h, k := newHub(t, true), newP256(t)
	im := h.push(t, "a")
	index, err := random.Index(16, 1, 1)
	must(t, err)
	tag := tagOf(im, sign.Legacy)
	must(t, remote.WriteIndex(tag, index))
	s, err := newSigner(h.keyed(k))
	must(t, err)
	_, err = s.Sign(t.Context(), im)
	e, ok := errors.AsType[*sign.Error](err)
	if !ok || !errors.Is(err, sign.ErrContent) || !strings.Contains(e.Hint, "remove the tag, or set COSIGN_REPOSITORY") {
		t.Errorf("got %v", err)
	}
	if d, err := remote.Get(tag); err != nil || !d.MediaType.IsIndex() {
		t.Errorf("the tag is %v, %v", d, err)
	}
}

// rawTag is a manifest of any type that is pushed as it is.
type rawTag struct {
	raw       []byte
	mediaType types.MediaType
}

func (m rawTag) RawManifest() ([]byte, error)        { return m.raw, nil }
func (m rawTag) MediaType() (types.MediaType, error) { return m.mediaType, nil }

// TestOthersLayersStay: what else is under the tag of signatures stays there.
func TestOthersLayersStay(t *testing.T) {
	h, k := newHub(t, true), newP256(t)
	im, other := h.push(t, "a"), h.push(t, "a")
	image, err := remote.Image(other.Name)
	must(t, err)
	tag := tagOf(im, sign.Legacy)
	must(t, remote.Write(tag, image))
	signIt(t, h.keyed(k), im)
	now, err := remote.Image(tag)
	must(t, err)
	m, err := now.Manifest()
	must(t, err)
	was, err := image.Manifest()
	must(t, err)
	if len(m.Layers) != 2 || m.Layers[0].Digest != was.Layers[0].Digest {
		t.Errorf("the layers are %v", m.Layers)
	}
}
