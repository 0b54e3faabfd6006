// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// origin is the name of the log of the tests, as its checkpoints have it.
const origin = "rekor.local"

// startRekor2 starts a Rekor of version 2, and writes a signing config and a
// trusted root that name it.
func startRekor2(t *testing.T) (config, root string) {
	t.Helper()
	path, dir := service(t, "tiles", "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix", "rekor-tiles-v2.3.0"), t.TempDir()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	signer := filepath.Join(dir, "signer.pem")
	must(t, os.WriteFile(signer, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	port := freePort(t)
	start(t, path, "serve", "--storage-dir", filepath.Join(dir, "log"), "--signer-filepath", signer, "--hostname", origin,
		"--checkpoint-interval", "1s", "--http-port", port, "--grpc-port", freePort(t), "--http-metrics-port", freePort(t))
	address := "http://127.0.0.1:" + port
	await(t, address+"/healthz")

	pkix, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	// The identifier of a checkpoint's key (C2SP, signed-note.md).
	id := sha256.Sum256(append([]byte(origin+"\n\x01"), public...))
	e, since := base64.StdEncoding.EncodeToString, map[string]string{"start": "2020-01-01T00:00:00Z"}
	config, root = filepath.Join(dir, "config.json"), filepath.Join(dir, "root.json")
	write(t, config, map[string]any{
		"mediaType":       "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		"rekorTlogUrls":   []any{map[string]any{"url": address, "majorApiVersion": 2, "validFor": since, "operator": "tests"}},
		"rekorTlogConfig": map[string]any{"selector": "ANY"},
	})
	write(t, root, map[string]any{
		"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"tlogs": []any{map[string]any{
			"baseUrl": "https://" + origin, "hashAlgorithm": "SHA2_256", "logId": map[string]string{"keyId": e(id[:])},
			"publicKey": map[string]any{"rawBytes": e(pkix), "keyDetails": "PKIX_ED25519", "validFor": since},
		}},
	})
	return config, root
}

func write(t *testing.T, path string, content any) {
	t.Helper()
	raw, err := json.Marshal(content)
	must(t, err)
	must(t, os.WriteFile(path, raw, 0o600))
}

// TestRekor2: a bundle of a key has an entry in a log of version 2, which both
// versions of cosign and we verify; a legacy signature cannot have one.
func TestRekor2(t *testing.T) {
	config, root := startRekor2(t)
	k, im := newPair(t, versions[0]), push(t, startGGCR(t, true))
	o := cosign.SignOptions{Registry: overHTTP(), Key: k.private, Password: givePassword, SigningConfig: config}
	s, err := cosign.NewSigner(o)
	must(t, err)
	if err := s.Check(t.Context()); !errors.Is(err, sign.ErrOptions) {
		t.Errorf("legacy: %v, want ErrOptions", err)
	}
	o.Formats = formats["bundle"]
	s, err = cosign.NewSigner(o)
	must(t, err)
	r, err := s.Sign(t.Context(), im)
	must(t, err)
	if len(r.Made) != 1 || len(r.Made[0].LogIndexes) != 1 {
		t.Errorf("made %+v", r.Made)
	}
	for _, v := range versions {
		if _, err := v.run(t, nil, "verify", "--key", k.public, "--trusted-root", root, im.Name.String()); err != nil {
			t.Error(err)
		}
		show(t, "by cfs-label, key, bundle, Rekor 2", v.String(), "verifies")
	}
	for path, want := range map[string]bool{"": true, root: true, emptyRoot(t): false} {
		o.TrustedRoot = path
		if got := present(t, o, im); got != want {
			t.Errorf("present is %v with the trusted root %q", got, path)
		}
	}
	for path, kind := range map[string]error{root: nil, emptyRoot(t): sign.ErrLog} {
		v, err := cosign.NewVerifier(cosign.VerifyOptions{
			Registry: overHTTP(), Services: cosign.Services{TrustedRoot: path}, Key: k.public, Offline: true,
		})
		must(t, err)
		if _, err := v.Verify(t.Context(), im); !errors.Is(err, kind) {
			t.Errorf("got %v, want %v", err, kind)
		}
	}
}
