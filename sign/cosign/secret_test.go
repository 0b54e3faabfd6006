// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

var errRefused = errors.New("refused")

// refuse is a transport that sends nothing.
type refuse struct{}

func (refuse) RoundTrip(*http.Request) (*http.Response, error) { return nil, errRefused }

// rawManifest is a manifest that is pushed as it is.
type rawManifest []byte

func (m rawManifest) RawManifest() ([]byte, error)        { return m, nil }
func (m rawManifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// asJSON returns a manifest with an artifact type.
func asJSON(t *testing.T, m *v1.Manifest, artifactType string) []byte {
	t.Helper()
	raw, err := json.Marshal(struct {
		*v1.Manifest
		ArtifactType string `json:"artifactType,omitempty"`
	}{m, artifactType})
	must(t, err)
	return raw
}

// newToken returns a token that nobody signed.
func newToken(t *testing.T, expiry time.Time) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://issuer.example.com", "sub": "me", "email": "me@example.com", "email_verified": true,
		"aud": "sigstore", "exp": expiry.Unix(),
	})
	must(t, err)
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(`{"alg":"none"}`)) + "." + e(claims) + "." + e([]byte("this is no signature but a secret"))
}

// TestSecrets: whatever goes wrong, the kind says what, and neither the error
// nor standard error has a password, a key or a token.
func TestSecrets(t *testing.T) {
	h, k := newHub(t, true), newP256(t)
	im := h.push(t, "a")
	private, err := os.ReadFile(k.private)
	must(t, err)
	token, old := newToken(t, time.Now().Add(time.Hour)), newToken(t, time.Now().Add(-time.Hour))
	const wrong = "another-password-that-is-wrong"
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, "what is %s?", r.Header.Get("Authorization"))
	}))
	t.Cleanup(echo.Close)
	damaged := filepath.Join(t.TempDir(), "damaged.key")
	must(t, os.WriteFile(damaged, []byte(strings.Replace(string(private), "J", "K", 3)), 0o600))
	t.Setenv("DAMAGED_KEY", string(private[:len(private)/2]))
	give := func(p string) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return []byte(p), nil }
	}
	for name, tc := range map[string]struct {
		o    cosign.SignOptions
		kind error
	}{
		"a wrong password":      {cosign.SignOptions{Key: k.private, Password: give(wrong)}, sign.ErrSecret},
		"no password":           {cosign.SignOptions{Key: k.private}, sign.ErrSecret},
		"no such file":          {cosign.SignOptions{Key: k.private + "x", Password: give(password)}, sign.ErrKeyFile},
		"a public key":          {cosign.SignOptions{Key: k.public, Password: give(password)}, sign.ErrKeyFile},
		"a damaged key":         {cosign.SignOptions{Key: damaged, Password: give(password)}, nil},
		"half a key":            {cosign.SignOptions{Key: "env://DAMAGED_KEY", Password: give(password)}, sign.ErrKeyFile},
		"no such variable":      {cosign.SignOptions{Key: "env://NO_KEY_AT_ALL", Password: give(password)}, sign.ErrKeyFile},
		"the key as its name":   {cosign.SignOptions{Key: string(private), Password: give(password)}, sign.ErrKeyFile},
		"no such KMS":           {cosign.SignOptions{Key: "nosuchkms://key/1"}, sign.ErrKeyFile},
		"nobody":                {cosign.SignOptions{}, sign.ErrSecret},
		"a token that is none":  {cosign.SignOptions{IdentityToken: "not-a-token-but-secret"}, sign.ErrSecret},
		"an old token":          {cosign.SignOptions{IdentityToken: old}, sign.ErrSecret},
		"a Fulcio that repeats": {cosign.SignOptions{IdentityToken: token, FulcioURL: echo.URL}, sign.ErrService},
		"a URL with a password": {cosign.SignOptions{Key: k.private, Password: give(password), RekorURL: "https://u:" + wrong + "@x"}, sign.ErrOptions},
	} {
		t.Run(name, func(t *testing.T) {
			tc.o.Registry = h.registry()
			said := standardError(t, func() {
				s, err := cosign.NewSigner(tc.o)
				must(t, err)
				if _, err = s.Sign(t.Context(), im); err == nil {
					t.Fatal("no error")
				}
				if e, ok := errors.AsType[*sign.Error](err); !ok {
					t.Errorf("%v is of type %T", err, err)
				} else if e.Kind == nil || tc.kind != nil && !errors.Is(err, tc.kind) {
					t.Errorf("got %v, want %v", err, tc.kind)
				}
				for e := err; e != nil; e = errors.Unwrap(e) {
					fmt.Fprintf(os.Stderr, "%v %+v %#v\n", e, e, e.Error())
				}
			})
			lines := strings.Split(strings.TrimSpace(string(private)), "\n")
			for _, secret := range append(lines[1:len(lines)-1], password, wrong, token, old, "not-a-token-but-secret", strings.Split(token, ".")[2]) {
				if strings.Contains(said, secret) {
					t.Errorf("%q is shown:\n%s", secret, said)
				}
			}
		})
	}
}

// standardError returns what a function writes there.
func standardError(t *testing.T, do func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	was := os.Stderr
	os.Stderr = w
	said := make(chan string)
	go func() {
		raw, _ := io.ReadAll(r)
		said <- string(raw)
	}()
	func() {
		defer func() { os.Stderr = was; _ = w.Close() }()
		do()
	}()
	return <-said
}
