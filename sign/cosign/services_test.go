// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// services writes a signing config with a Rekor of a version, and what else is
// given.
func services(t *testing.T, version int, address string, more map[string]any) string {
	t.Helper()
	config := map[string]any{
		"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		"rekorTlogUrls": []any{map[string]any{
			"url": address, "majorApiVersion": version, "validFor": map[string]string{"start": "2020-01-01T00:00:00Z"}, "operator": "tests",
		}},
		"rekorTlogConfig": map[string]any{"selector": "ANY"},
	}
	maps.Copy(config, more)
	raw, err := json.Marshal(config)
	must(t, err)
	path := filepath.Join(t.TempDir(), "config.json")
	must(t, os.WriteFile(path, raw, 0o600))
	return path
}

// recorder is a transport that writes down what it sends.
type recorder struct {
	mu   sync.Mutex
	sent []string
	next http.RoundTripper
}

func (r *recorder) RoundTrip(in *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, in.Method+" "+in.URL.Path+" "+in.UserAgent())
	return r.next.RoundTrip(in)
}

// TestServicesClient: requests to the services go through the client that is
// given, under the name that is given. A log that fails in passing is asked again
// with the same entry.
func TestServicesClient(t *testing.T) {
	var bodies []string
	rekor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if bodies = append(bodies, string(raw)); len(bodies) == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"logIndex":"7"}`)
	}))
	t.Cleanup(rekor.Close)
	h, k := newHub(t, true), newP256(t)
	r := &recorder{next: http.DefaultTransport}
	o := h.keyed(k, sign.Bundle)
	o.NoTlog, o.SigningConfig = false, services(t, 2, rekor.URL+"/below", nil)
	o.Client, o.UserAgent = &http.Client{Transport: r}, "tests/1"
	s, err := newSigner(o)
	must(t, err)
	// An entry without a proof, in which no verifier believes.
	if _, err := s.Sign(t.Context(), h.push(t, "a")); !errors.Is(err, sign.ErrService) {
		t.Errorf("got %v, want ErrService", err)
	}
	want := []string{"POST /below/api/v2/log/entries tests/1", "POST /below/api/v2/log/entries tests/1"}
	if diff := cmp.Diff(want, r.sent); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if len(bodies) != 2 || bodies[0] != bodies[1] || !strings.Contains(bodies[0], "hashedRekordRequestV002") {
		t.Errorf("sent %q", bodies)
	}

	a := newAuthority(t)
	r.sent = nil
	o = h.keyless(t, a)
	o.FulcioURL += "/"
	o.Client, o.UserAgent = &http.Client{Transport: r}, "tests/1"
	signIt(t, o, h.push(t, "a"))
	if diff := cmp.Diff([]string{"POST /api/v2/signingCert tests/1"}, r.sent); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestHostileServices: what a service answers is limited, is no panic, cannot lead
// away from https, and ends with the context. The kind is ErrService.
func TestHostileServices(t *testing.T) {
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/api/") {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusCreated)
			}
			_, _ = io.WriteString(w, text)
		}
	}
	plain := httptest.NewServer(say("{}"))
	t.Cleanup(plain.Close)
	endless := func(w http.ResponseWriter, _ *http.Request) {
		for block := bytes.Repeat([]byte(" "), 1<<20); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	lead := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL, http.StatusTemporaryRedirect)
	}
	h, k := newHub(t, true), newP256(t)
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		want  string // in the error; "" for anything
	}{
		"endless":    {endless, "larger than"},
		"to http":    {lead, "https"},
		"empty":      {say(""), ""},
		"null":       {say("null"), ""},
		"an object":  {say("{}"), ""},
		"odd":        {say(`{"a":{"verification":{},"body":{}}}`), ""},
		"\x1b[2Jred": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "\x1b[31m", http.StatusTeapot) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewTLSServer(tc.serve)
			t.Cleanup(s.Close)
			fulcio := h.keyless(t, &authority{Server: s})
			v1 := h.keyed(k, sign.Legacy)
			v1.NoTlog, v1.RekorURL = false, s.URL
			v1b := v1
			v1b.Formats = both[1:]
			v2 := h.keyed(k, sign.Bundle)
			v2.NoTlog, v2.SigningConfig = false, services(t, 2, s.URL, nil)
			stamps := h.keyed(k, sign.Legacy)
			stamps.TimestampURL = s.URL
			for which, o := range map[string]cosign.SignOptions{"fulcio": fulcio, "rekor 1": v1, "rekor 1, bundle": v1b, "rekor 2": v2, "timestamp": stamps} {
				o.Client = s.Client()
				signer, err := newSigner(o)
				must(t, err)
				_, err = signer.Sign(t.Context(), h.push(t, "a"))
				if !errors.Is(err, sign.ErrService) || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("%s: %v", which, err)
				}
				if err != nil && (len(err.Error()) > 3000 || strings.ContainsRune(err.Error(), '\x1b')) {
					t.Errorf("%s: the error is not fit to be shown: %.200q", which, err.Error())
				}
			}
		})
	}
}

// TestServicesContext: who has given up does not wait for a service.
func TestServicesContext(t *testing.T) {
	h, k := newHub(t, true), newP256(t)
	for _, which := range []string{"fulcio", "rekor 1", "rekor 2", "timestamp", "registry"} {
		ctx, cancel := context.WithCancel(t.Context())
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			<-r.Context().Done()
		}))
		t.Cleanup(s.Close)
		im := h.push(t, "a")
		o := h.keyed(k, sign.Bundle)
		switch which {
		case "fulcio":
			o = h.keyless(t, &authority{Server: s})
		case "rekor 1":
			o.NoTlog, o.RekorURL = false, s.URL
		case "rekor 2":
			o.NoTlog, o.SigningConfig = false, services(t, 2, s.URL, nil)
		case "timestamp":
			o.TimestampURL = s.URL
		case "registry":
			im = (&hub{host: strings.TrimPrefix(s.URL, "http://")}).named(t, im)
		}
		signer, err := newSigner(o)
		must(t, err)
		if _, err := signer.Sign(ctx, im); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want Canceled", which, err)
		}
	}
}

// TestServicesThatDoNotFit: what cannot work with the services that are named is
// found by Check.
func TestServicesThatDoNotFit(t *testing.T) {
	ed25519, p256 := newKeys(t, generate(t, "ed25519")), newP256(t)
	config := services(t, 2, "https://rekor.invalid", nil)
	withFulcio := services(t, 2, "https://rekor.invalid", map[string]any{"caUrls": []any{map[string]any{
		"url": "https://fulcio.invalid", "majorApiVersion": 1, "validFor": map[string]string{"start": "2020-01-01T00:00:00Z"}, "operator": "tests",
	}}})
	token := "a.e30.b"
	for name, tc := range map[string]struct {
		o    cosign.SignOptions
		want string // "" if it works
	}{
		"a legacy signature in a log of version 2": {cosign.SignOptions{Key: p256.private}, "has no Rekor of version 1"},
		"a bundle in a log of version 2":           {cosign.SignOptions{Key: p256.private, Formats: both[1:]}, ""},
		"Ed25519 in a log of version 2":            {cosign.SignOptions{Key: ed25519.private, Formats: both[1:]}, "signs no digest"},
		"Ed25519 in no log":                        {cosign.SignOptions{Key: ed25519.private, Formats: both[1:], NoTlog: true}, ""},
		"an identity without Fulcio":               {cosign.SignOptions{IdentityToken: token, Formats: both[1:]}, "names no Fulcio"},
		"an identity and nobody who says when": {
			cosign.SignOptions{IdentityToken: token, Formats: both[1:], SigningConfig: withFulcio}, "nobody would say when",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.o.SigningConfig == "" {
				tc.o.SigningConfig = config
			}
			tc.o.Password = givePassword
			s, err := newSigner(tc.o)
			must(t, err)
			err = s.Check(t.Context())
			if tc.want == "" && err == nil {
				return
			}
			if !errors.Is(err, sign.ErrOptions) || tc.want == "" || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
