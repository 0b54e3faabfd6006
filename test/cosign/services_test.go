// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cfs-label/cfs-label/internal/oracle"
)

// subject is whom the tokens name.
const subject = "me@example.com"

// provider is an OIDC provider that gives tokens to everybody.
type provider struct {
	*httptest.Server
	key *rsa.PrivateKey
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	p := &provider{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.URL, "jwks_uri": p.URL + "/keys", "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		e := base64.RawURLEncoding.EncodeToString
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": e(key.N.Bytes()), "e": e(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// token returns a token for Sigstore (RFC 7519, RS256).
func (p *provider) token(t *testing.T) string {
	t.Helper()
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": p.URL, "sub": "1", "aud": "sigstore", "email": subject, "email_verified": true,
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	})
	must(t, err)
	e := base64.RawURLEncoding.EncodeToString
	text := e([]byte(`{"alg":"RS256","typ":"JWT","kid":"1"}`)) + "." + e(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	must(t, err)
	return text + "." + e(sig)
}

// service is a program of another module, built once like cosign is.
func service(t *testing.T, folder, pkg, name string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	cache, err := os.UserCacheDir()
	must(t, err)
	path := filepath.Join(cache, "cfs-label", "cosign", name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	t.Logf("building %s", path)
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path+".new", pkg)
	build.Dir = folder
	if out, err := build.CombinedOutput(); err != nil {
		t.Logf("%v\n%s", err, out)
		return oracle.Require(t, name)
	}
	must(t, os.Rename(path+".new", path))
	return path
}

// start starts a program that ends with the test. What it says is shown if the
// test fails.
func start(t *testing.T, path string, args ...string) {
	t.Helper()
	var said safeBuffer
	c := exec.CommandContext(t.Context(), path, args...)
	c.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	c.Stdout, c.Stderr = &said, &said
	must(t, c.Start())
	t.Cleanup(func() {
		_ = c.Wait() // the context has ended: it was killed
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(path), said.String())
		}
	})
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// freePort returns a port that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	return port
}

// await returns what an address answers, once it does.
func await(t *testing.T, address string) []byte {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		must(t, err)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		raw, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode == http.StatusOK {
			return raw
		}
	}
	t.Fatalf("%s does not answer", address)
	return nil
}

// startFulcio starts Fulcio for the tokens of a provider.
func startFulcio(t *testing.T, p *provider) (address string) {
	t.Helper()
	path := service(t, "fulcio", "github.com/sigstore/fulcio", "fulcio-v1.8.8")
	config := filepath.Join(t.TempDir(), "config.yaml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `oidc-issuers:
  %s:
    issuer-url: %s
    client-id: sigstore
    type: email
`, p.URL, p.URL), 0o600))
	port := freePort(t)
	start(t, path, "serve", "--ca", "ephemeralca", "--ct-log-url", "", "--config-path", config, "--host", "127.0.0.1", "--port", port,
		"--grpc-host", "127.0.0.1", "--grpc-port", freePort(t), "--metrics-port", freePort(t),
		"--legacy-unix-domain-socket", filepath.Join(t.TempDir(), "socket"))
	return "http://127.0.0.1:" + port
}

// startRekor starts a Rekor of version 1 on a trillian in memory.
func startRekor(t *testing.T) (address string) {
	t.Helper()
	rekor := service(t, "rekor", "github.com/sigstore/rekor/cmd/rekor-server", "rekor-server-v1.5.4")
	c := exec.CommandContext(t.Context(), service(t, "rekor", "./cmd/memlog", "memlog-v1.7.3"))
	stdout, err := c.StdoutPipe()
	must(t, err)
	_, err = c.StdinPipe()
	must(t, err)
	must(t, c.Start())
	t.Cleanup(func() { _ = c.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	host, trillian, err := net.SplitHostPort(line[:len(line)-1])
	must(t, err)
	port := freePort(t)
	start(t, rekor, "serve", "--port", port, "--rekor_server.address", "127.0.0.1", "--rekor_server.hostname", "127.0.0.1:"+port,
		"--trillian_log_server.address", host, "--trillian_log_server.port", trillian,
		"--enabled_api_endpoints", "getLogInfo,getPublicKey,getLogProof,createLogEntry,getLogEntryByIndex,getLogEntryByUUID")
	return "http://127.0.0.1:" + port
}

// trustedRoot writes a trusted root for the services. Those that are "" are not
// in it.
func trustedRoot(t *testing.T, fulcio, rekor string) string {
	t.Helper()
	validFor := map[string]string{"start": "2020-01-01T00:00:00Z"}
	root := map[string]any{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
	if fulcio != "" {
		var bundle struct {
			Chains []struct {
				Certificates []string `json:"certificates"`
			} `json:"chains"`
		}
		must(t, json.Unmarshal(await(t, fulcio+"/api/v2/trustBundle"), &bundle))
		var certs []map[string]string
		for _, c := range bundle.Chains[0].Certificates {
			block, _ := pem.Decode([]byte(c))
			certs = append(certs, map[string]string{"rawBytes": base64.StdEncoding.EncodeToString(block.Bytes)})
		}
		root["certificateAuthorities"] = []any{map[string]any{
			"uri": fulcio, "certChain": map[string]any{"certificates": certs}, "validFor": validFor,
		}}
	}
	if rekor != "" {
		block, _ := pem.Decode(await(t, rekor+"/api/v1/log/publicKey"))
		sum := sha256.Sum256(block.Bytes)
		root["tlogs"] = []any{map[string]any{
			"baseUrl": rekor, "hashAlgorithm": "SHA2_256", "logId": map[string]string{"keyId": base64.StdEncoding.EncodeToString(sum[:])},
			"publicKey": map[string]any{
				"rawBytes": base64.StdEncoding.EncodeToString(block.Bytes), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": validFor,
			},
		}}
	}
	raw, err := json.Marshal(root)
	must(t, err)
	path := filepath.Join(t.TempDir(), "root.json")
	must(t, os.WriteFile(path, raw, 0o600))
	return path
}
