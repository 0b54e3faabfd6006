// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// issuer is who gives out the tokens, and whom the registry is to them.
	issuer = "checks"
	// leeway is how long registries take a token that has expired: Leeway of
	// distribution's registry/auth/token.
	leeway = time.Minute
)

// A tokenServer gives out tokens for a registry, as distribution's "Token
// Authentication Specification" has it.
type tokenServer struct {
	signer jose.Signer
	bundle string // PEM file of the certificate
	realm  string
}

// startTokenServer starts one that knows the user.
func startTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: issuer},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	s := &tokenServer{bundle: filepath.Join(t.TempDir(), "bundle.pem")}
	must(t, os.WriteFile(s.bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o600))
	header := (&jose.SignerOptions{}).WithType("JWT").
		WithHeader("x5c", []string{base64.StdEncoding.EncodeToString(certificate)})
	s.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, header)
	must(t, err)

	front := httptest.NewServer(s)
	t.Cleanup(front.Close)
	at, err := url.Parse(front.URL)
	must(t, err)
	// By name: clients are right to send no password to a private address that
	// is not the registry's.
	s.realm = "http://localhost:" + at.Port() + "/token"
	return s
}

// config returns the configuration of a registry that wants its tokens.
func (s *tokenServer) config(dir string) string {
	return anonymousConfig(dir) + fmt.Sprintf("auth:\n  token: {realm: %q, service: %s, issuer: %s, rootcertbundle: %s}\n",
		s.realm, issuer, issuer, s.bundle)
}

// access is what a token allows, and what a scope asks for.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// scopes reads the scope parameters, each of which may have several scopes.
// The name in a scope may hold colons.
func scopes(parameters []string) []access {
	list := []access{}
	for scope := range strings.FieldsSeq(strings.Join(parameters, " ")) {
		kind, rest, _ := strings.Cut(scope, ":")
		if i := strings.LastIndexByte(rest, ':'); i >= 0 {
			list = append(list, access{kind, rest[:i], strings.Split(rest[i+1:], ",")})
		}
	}
	return list
}

// ServeHTTP gives the user whatever is asked for, and nobody a token that
// allows nothing.
func (s *tokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if r.Method != http.MethodGet || r.URL.Path != "/token" || query.Get("service") != issuer {
		http.Error(w, "no such thing", http.StatusNotFound)
		return
	}
	allowed := []access{}
	switch name, word, given := r.BasicAuth(); {
	case name == user && word == password:
		allowed = scopes(query["scope"])
	case given:
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}`, http.StatusUnauthorized)
		return
	}
	token, err := s.mint(allowed, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token}) // the client sees what is missing
}

// mint returns a token that a registry takes for a few seconds from then on.
func (s *tokenServer) mint(allowed []access, from time.Time) (string, error) {
	const lives = 5 * time.Second
	return jwt.Signed(s.signer).Claims(jwt.Claims{
		Issuer:    issuer,
		Audience:  jwt.Audience{issuer},
		IssuedAt:  jwt.NewNumericDate(from.Add(-leeway)),
		NotBefore: jwt.NewNumericDate(from.Add(-leeway)),
		Expiry:    jwt.NewNumericDate(from.Add(lives - leeway)),
	}).Claims(map[string]any{"access": allowed}).Serialize()
}

// expired returns a token whose time is over.
func (s *tokenServer) expired(t *testing.T) string {
	t.Helper()
	token, err := s.mint([]access{}, time.Now().Add(-time.Hour))
	must(t, err)
	return token
}

func startTokenDockerRegistry(t *testing.T) server {
	t.Helper()
	tokens := startTokenServer(t)
	s := dockerRegistry(t, tokens.config(t.TempDir())).as(user, password)
	s.expired = tokens.expired(t)
	return s
}

func startTokenDistribution(t *testing.T) server {
	t.Helper()
	tokens := startTokenServer(t)
	s := serve(t, distribution(t, tokens.config(t.TempDir()))).as(user, password)
	s.expired = tokens.expired(t)
	return s
}

// checkExpiry: tokens that expire after every few requests of a run do not end
// it. The registry itself says that they are too old.
func checkExpiry(s server, repo string) {
	s.push(anyVector, repo+":latest")
	want := s.ok("compute", repo+":latest")
	d := s.door()
	const serves = 3 // requests per token
	var mu sync.Mutex
	used := map[string]int{}
	refused := 0
	d.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		token := r.Header.Get("Authorization")
		if used[token]++; token != "" && used[token] > serves {
			refused++
			r.Header.Set("Authorization", "Bearer "+s.expired)
		}
		return false
	})
	sealed := d.ok(d.at(s, repo+":latest"))
	mu.Lock()
	defer mu.Unlock()
	if refused < 2 {
		s.t.Errorf("%d requests had an expired token: the check shows nothing", refused)
	}
	tag := s.read(repo + ":latest")
	if tag.digest != sealed[strings.Index(sealed, "@")+1:] || tag.labels(s.t)["containers.composefs.fsverity"] != want {
		s.t.Errorf("stdout is %s, the tag names %s with %v, want the label %s", sealed, tag.digest, tag.labels(s.t), want)
	}
}
