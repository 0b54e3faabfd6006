// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign"
)

// sealIn pushes the vector minimal as name and seals it.
func (h *hub) sealIn(t *testing.T, where string) name.Digest {
	t.Helper()
	index, err := layout.ImageIndexFromPath(filepath.Join("..", "..", "testdata", "conformance", "minimal", "oci"))
	check(t, err)
	m, err := index.IndexManifest()
	check(t, err)
	img, err := index.Image(m.Manifests[0].Digest)
	check(t, err)
	ref, err := name.ParseReference(where)
	check(t, err)
	check(t, ggcr.Write(ref, img, ggcr.WithTransport(h)))
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{where}, &stdout, &stderr); status != exitDone {
		t.Fatalf("exit status %d: %s", status, &stderr)
	}
	d, err := name.NewDigest(strings.TrimSpace(stdout.String()))
	check(t, err)
	return d
}

// verify runs the command.
func verify(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), append([]string{"verify", "--offline"}, args...), &out, &err)
	return status, out.String(), err.String()
}

// flip changes one bit in the middle.
func flip(b []byte) []byte {
	out := bytes.Clone(b)
	out[len(out)/2] ^= 1
	return out
}

// TestTamperLegacy: a legacy signature in which one thing is changed does not
// verify, and it is said why.
func TestTamperLegacy(t *testing.T) {
	key, other := newSigningKey(t), newSigningKey(t)
	public := publicFile(t, key)
	h := newHub()
	host := serve(t, h)
	otherDigest := "sha256:" + strings.Repeat("0", 64)
	for tag, tc := range map[string]struct {
		change func(l *legacy, digest string) *legacy
		want   string // "": it holds
	}{
		"nothing": {func(l *legacy, _ string) *legacy { return l }, ""},
		"none":    {func(*legacy, string) *legacy { return nil }, "there is no signature"},
		"digest": {func(l *legacy, _ string) *legacy {
			return newLegacy(l.t, key, payloadOf(signatureType, otherDigest, extra))
		}, otherDigest + `" is signed, and not sha256:`},
		"digest-not-signed": {func(l *legacy, _ string) *legacy {
			l.payload = payloadOf(signatureType, otherDigest, extra)
			return l
		}, "its bytes were altered"},
		"payload": {func(l *legacy, _ string) *legacy { l.payload = append(l.payload, ' '); return l }, "its bytes were altered"},
		"type":    {func(l *legacy, d string) *legacy { return newLegacy(l.t, key, payloadOf("x", d, extra)) }, `what is signed is a "x"`},
		"annotation": {func(l *legacy, d string) *legacy {
			return newLegacy(l.t, key, payloadOf(signatureType, d, map[string]string{"k": "w"}))
		}, `the annotation "k" is "w", want "v"`},
		"no-annotation": {func(l *legacy, d string) *legacy {
			return newLegacy(l.t, key, payloadOf(signatureType, d, nil))
		}, `the annotation "k" is "", want "v"`},
		"key": {func(l *legacy, _ string) *legacy { return newLegacy(l.t, other, l.payload) }, "another key signed it"},
		"signature": {func(l *legacy, _ string) *legacy {
			raw, _ := base64.StdEncoding.DecodeString(l.signature)
			l.signature = base64.StdEncoding.EncodeToString(flip(raw))
			return l
		}, "its bytes were altered"},
		"signature-empty":  {func(l *legacy, _ string) *legacy { l.signature = ""; return l }, "no signature holds"},
		"signature-base64": {func(l *legacy, _ string) *legacy { l.signature = "!" + l.signature; return l }, "no signature holds"},
		"payload-json":     {func(l *legacy, _ string) *legacy { return newLegacy(l.t, key, []byte("x")) }, "what is signed is no payload"},
	} {
		t.Run(tag, func(t *testing.T) {
			im := h.sealIn(t, host+"/"+tag+":v1")
			l := tc.change(newLegacy(t, key, payloadOf(signatureType, im.DigestStr(), extra)), im.DigestStr())
			if l != nil {
				l.push(h, im)
			}
			wantVerdict(t, tc.want, host+"/"+tag+":v1", "--key", public, "--private-infrastructure", "-a", "k=v")
		})
	}
}

// extra are the annotations that the tests sign and ask for.
var extra = map[string]string{"k": "v"}

// wantVerdict fails unless the image verifies or, where a text is wanted, does
// not, with the exit status of a mismatch and that text.
func wantVerdict(t *testing.T, want string, args ...string) {
	t.Helper()
	status, stdout, stderr := verify(t, args...)
	switch {
	case want == "" && (status != exitDone || !strings.Contains(stdout, ": verified\n")):
		t.Errorf("exit status %d: %s%s", status, stdout, stderr)
	case want != "" && (status != exitMismatch || !strings.Contains(stderr, want) || !strings.Contains(stdout, ": NOT verified\n")):
		t.Errorf("exit status %d, want %q: %s%s", status, want, stdout, stderr)
	}
}

// TestTamperBundle: the same of a bundle.
func TestTamperBundle(t *testing.T) {
	key, other := newSigningKey(t), newSigningKey(t)
	public := publicFile(t, key)
	h := newHub()
	host := serve(t, h)
	otherDigest := "sha256:" + strings.Repeat("0", 64)
	for tag, tc := range map[string]struct {
		change func(b *bundle, digest string) *bundle
		want   string
	}{
		"nothing": {func(b *bundle, _ string) *bundle { return b }, ""},
		"digest": {func(b *bundle, _ string) *bundle {
			return newBundle(b.t, key, statementOf(signPredicate, otherDigest))
		}, "is signed, and not sha256:"},
		"digest-not-signed": {func(b *bundle, _ string) *bundle {
			b.payload = statementOf(signPredicate, otherDigest)
			return b
		}, "its bytes were altered"},
		"payload": {func(b *bundle, _ string) *bundle { b.payload = append(b.payload, ' '); return b }, "its bytes were altered"},
		"predicate": {func(b *bundle, d string) *bundle {
			return newBundle(b.t, key, statementOf("https://slsa.dev/provenance/v1", d))
		}, "there is no signature"},
		"key":       {func(b *bundle, _ string) *bundle { return newBundle(b.t, other, b.payload) }, "another key signed it"},
		"signature": {func(b *bundle, _ string) *bundle { b.signature = flip(b.signature); return b }, "its bytes were altered"},
	} {
		t.Run(tag, func(t *testing.T) {
			im := h.sealIn(t, host+"/"+tag+":v1")
			tc.change(newBundle(t, key, statementOf(signPredicate, im.DigestStr())), im.DigestStr()).push(h, im)
			wantVerdict(t, tc.want, host+"/"+tag+":v1", "--key", public, "--private-infrastructure")
		})
	}
}

// TestTamperCertificate: the same of a signature with a certificate: who it names,
// who issued it, whose key it has, and when it was valid.
func TestTamperCertificate(t *testing.T) {
	const me, provider = "me@example.com", "https://issuer.example"
	key, other := newSigningKey(t), newSigningKey(t)
	trusted, stranger := newAuthority(t), newAuthority(t)
	root := trusted.trustedRoot(t)
	now := time.Now().Add(-time.Minute)
	h := newHub()
	host := serve(t, h)
	for tag, tc := range map[string]struct {
		by   *ecdsa.PrivateKey
		cert string
		want string
	}{
		"nothing":   {key, trusted.issue(t, key, me, provider, now), ""},
		"identity":  {key, trusted.issue(t, key, "you@example.com", provider, now), "you@example.com"},
		"issuer":    {key, trusted.issue(t, key, me, "https://other.example", now), "https://other.example"},
		"authority": {key, stranger.issue(t, key, me, provider, now), "no authority of the trusted root issued the certificate"},
		"expired":   {key, trusted.issue(t, key, me, provider, now.Add(-48*time.Hour)), "nobody who is trusted says when it signed"},
		"not-yet":   {key, trusted.issue(t, key, me, provider, now.Add(48*time.Hour)), "the certificate is valid from"},
		"swapped":   {other, trusted.issue(t, key, me, provider, now), "its bytes are not what the key of its certificate signed"},
		"none":      {key, "", "a key signed it, and no identity"},
		"no-pem":    {key, "x", "the certificate"},
	} {
		t.Run(tag, func(t *testing.T) {
			im := h.sealIn(t, host+"/"+tag+":v1")
			l := newLegacy(t, tc.by, payloadOf(signatureType, im.DigestStr(), nil))
			if tc.cert != "" {
				l.annotations["dev.sigstore.cosign/certificate"] = tc.cert
			}
			l.push(h, im)
			wantVerdict(t, tc.want, host+"/"+tag+":v1", "--certificate-identity", me, "--certificate-oidc-issuer", provider,
				"--trusted-root", root, "--private-infrastructure", "--insecure-ignore-sct")
		})
	}
}

// TestVerifyElsewhere: COSIGN_REPOSITORY has the signatures, and they are looked
// for nowhere else.
func TestVerifyElsewhere(t *testing.T) {
	key := newSigningKey(t)
	public := publicFile(t, key)
	h := newHub()
	host := serve(t, h)
	im := h.sealIn(t, host+"/app:v1")
	args := []string{host + "/app:v1", "--key", public, "--private-infrastructure"}
	elsewhere, err := name.NewDigest(host + "/signatures@" + im.DigestStr())
	check(t, err)
	newLegacy(t, key, payloadOf(signatureType, im.DigestStr(), nil)).push(h, elsewhere)
	wantVerdict(t, "there is no signature", args...)
	t.Setenv("COSIGN_REPOSITORY", host+"/signatures")
	wantVerdict(t, "", args...)
	for _, wrong := range []string{host + "/signatures:v1", "oci:x", "A B"} {
		t.Setenv("COSIGN_REPOSITORY", wrong)
		if status, _, stderr := verify(t, args...); status != exitUsage || !strings.Contains(stderr, "COSIGN_REPOSITORY") {
			t.Errorf("%s: exit status %d: %s", wrong, status, stderr)
		}
	}
}

// TestVerifyUnauthorized: a registry that does not show signatures gives the exit
// status of that, not that of an image without.
func TestVerifyUnauthorized(t *testing.T) {
	key := newSigningKey(t)
	h := newHub()
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, ".sig") {
			http.Error(w, `{"errors": [{"code": "DENIED", "message": "not for you"}]}`, http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, req)
	}))
	where := host + "/app:v1"
	args := []string{where, "--key", publicFile(t, key), "--private-infrastructure"}
	index := h.sealIn(t, where)
	if status, _, stderr := verify(t, args...); status != exitUnauthorized {
		t.Errorf("exit status %d: %s", status, stderr)
	}
	// One that holds is enough, wherever it is.
	newBundle(t, key, statementOf(signPredicate, index.DigestStr())).push(h, index)
	wantVerdict(t, "", args...)
}

// TestVerifyKeyFirst: a key that cannot be read is told before a layer is read.
func TestVerifyKeyFirst(t *testing.T) {
	h := newHub()
	host := serve(t, h)
	h.sealIn(t, host+"/app:v1")
	h.forget()
	for _, args := range [][]string{
		{"--key", filepath.Join(t.TempDir(), "none.pub"), "--private-infrastructure"},
		{"--fsverity-cert", filepath.Join(t.TempDir(), "none.pem"), "--key", "x", "--private-infrastructure"},
	} {
		if status, stdout, stderr := verify(t, append(args, host+"/app:v1")...); status != exitFailure || stdout != "" || !strings.Contains(stderr, "none.p") {
			t.Errorf("exit status %d: %s%s", status, stdout, stderr)
		}
	}
	for _, r := range h.requests() {
		if strings.Contains(r, "/blobs/sha256:3adb3aab") {
			t.Errorf("a layer was read: %s", r)
		}
	}
}

// TestVerifyUsage: flags that contradict one another, or want nobody's signature,
// are wrong usage.
func TestVerifyUsage(t *testing.T) {
	h := newHub()
	host := serve(t, h)
	for _, args := range [][]string{
		{"--key", "k", "--certificate-identity", "x"},
		{"--certificate-identity", "x"},
		{"--certificate-identity-regexp", "(", "--certificate-oidc-issuer", "x", "--trusted-root", "x"},
		{"--insecure-ignore-tlog"},
		{"--key", "k"}, // offline, and no trusted root for the log
		{"--key", "k", "-a", "x"},
		{"--key", "k", "-a", "=x"},
		{"--key", "k", "-a", "x=1", "-a", "x=2"},
		{"--digest-only"},
		{"--recursive"},
	} {
		if status, stdout, stderr := verify(t, append(args, host+"/app:v1")...); status != exitUsage || stdout != "" {
			t.Errorf("%q: exit status %d: %s%s", args, status, stdout, stderr)
		}
	}
	if r := h.requests(); len(r) > 0 {
		t.Errorf("it was asked: %q", r)
	}
}

// TestUnreadSignature: a signature that the registry did not give is not said to be
// one that does not hold.
func TestUnreadSignature(t *testing.T) {
	for err, want := range map[error]string{
		errors.New("502 Bad Gateway"):                                  "not checked: 502 Bad Gateway",
		&sign.Error{Op: "verify", Kind: sign.ErrKey, Err: sign.ErrKey}: "does not hold: sign: verify: ",
	} {
		v := &cfslabel.Verified{Repo: layoutRepo(t), Signatures: []cfslabel.VerifiedSignature{{Signature: sign.Signature{Err: err}}}}
		if got := string(verifyTable(v)); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// layoutRepo is a repository that is only named.
func layoutRepo(t *testing.T) remote.Repo {
	t.Helper()
	ref, err := remote.OpenTarget(t.Context(), "oci:"+filepath.Join(t.TempDir(), "new"), remote.Options{})
	check(t, err)
	return ref.Repo
}

// TestServices: Sigstore's services learn our name, requests to them go through the
// proxy of the environment, and none takes for ever.
func TestServices(t *testing.T) {
	s := services("root.json")
	inner, ok := s.Client.Transport.(*http.Transport)
	if !ok || inner.Proxy == nil || s.Client.Timeout == 0 || s.UserAgent != userAgent() || s.TrustedRoot != "root.json" {
		t.Errorf("got %+v", s)
	}
}

// TestVerifyJSON: the answer as one object: what was found, and who signed.
func TestVerifyJSON(t *testing.T) {
	key := newSigningKey(t)
	h := newHub()
	host := serve(t, h)
	im := h.sealIn(t, host+"/app:v1")
	newLegacy(t, key, payloadOf(signatureType, im.DigestStr(), extra)).push(h, im)
	newLegacy(t, newSigningKey(t), payloadOf(signatureType, im.DigestStr(), extra)).push(h, im.Context().Digest(im.DigestStr()))
	newBundle(t, key, statementOf(signPredicate, im.DigestStr())).push(h, im)
	status, stdout, stderr := verify(t, host+"/app:v1", "-o", "json", "--key", publicFile(t, key), "--private-infrastructure")
	if status != exitDone {
		t.Fatalf("exit status %d: %s", status, stderr)
	}
	var a verifyAnswer
	check(t, json.Unmarshal([]byte(stdout), &a))
	if !a.Verified || a.Image != im.Name() || len(a.Images) != 1 || len(a.Images[0].Objects) != 4 || len(a.Findings) != 0 || a.Findings == nil {
		t.Errorf("got %s", stdout)
	}
	// The other legacy signature took the place of the first one.
	if len(a.Signatures) != 2 || a.Signatures[0].Holds || a.Signatures[0].Key != "" || !strings.Contains(a.Signatures[0].Reason, "another key") ||
		!a.Signatures[1].Holds || a.Signatures[1].Format != "bundle" || len(a.Signatures[1].Key) != 64 {
		t.Errorf("signatures are %+v", a.Signatures)
	}
}

// TestVerifyExitCodes: what is wrong with options is wrong usage, and who is not
// let in is told apart, also where a library was not.
func TestVerifyExitCodes(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{&sign.Error{Kind: sign.ErrOptions, Err: errors.New("x")}, exitUsage},
		{&sign.Error{Kind: sign.ErrKeyFile, Err: errors.New("x")}, exitFailure},
		{&sign.Error{Err: &transport.Error{StatusCode: http.StatusUnauthorized}}, exitUnauthorized},
		{&sign.Error{Err: &transport.Error{StatusCode: http.StatusForbidden}}, exitUnauthorized},
		{&sign.Error{Err: &transport.Error{StatusCode: http.StatusInternalServerError}}, exitFailure},
		{&cfslabel.MismatchError{Findings: []string{"x"}}, exitMismatch},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.err, got, tc.want)
		}
	}
}

// TestVerifyFlags: what flags ask for is what is verified.
func TestVerifyFlags(t *testing.T) {
	const me, provider = "me@example.com", "https://issuer.example"
	key := newSigningKey(t)
	a := newAuthority(t)
	certificate := a.issue(t, key, me, provider, time.Now().Add(-time.Minute))
	file := filepath.Join(t.TempDir(), "cert.pem")
	check(t, os.WriteFile(file, []byte(certificate), 0o600))
	h := newHub()
	host := serve(t, h)
	im := h.sealIn(t, host+"/app:v1")
	l := newLegacy(t, key, payloadOf(signatureType, im.DigestStr(), nil))
	l.annotations["dev.sigstore.cosign/certificate"] = certificate
	l.push(h, im)
	keyed := []string{host + "/app:v1", "--key", publicFile(t, key), "--private-infrastructure"}
	named := []string{host + "/app:v1", "--trusted-root", a.trustedRoot(t), "--private-infrastructure", "--insecure-ignore-sct"}

	h.forget()
	status, stdout, stderr := verify(t, append(keyed, "--digest-only")...)
	if asked := strings.Join(h.requests(), "\n"); status != exitDone || !strings.Contains(stdout, "believed") || stderr != "" || strings.Contains(asked, "/blobs/sha256:3adb3aab") {
		t.Errorf("--digest-only: exit status %d: %s%s%s", status, stdout, stderr, asked)
	}
	if status, _, stderr := verify(t, host+"/app:v1", "--key", publicFile(t, key), "--insecure-ignore-tlog"); status != exitDone || !strings.Contains(stderr, "in no transparency log") {
		t.Errorf("--insecure-ignore-tlog: exit status %d: %s", status, stderr)
	}
	wantVerdict(t, "", append(keyed, "--recursive")...)
	wantVerdict(t, "there is no full set of fs-verity signatures", append(keyed, "--fsverity-cert", file)...)
	wantVerdict(t, "there is no full set of fs-verity signatures", host+"/app:v1", "--fsverity-cert", file)
	wantVerdict(t, "", append(named, "--certificate-identity-regexp", "^me@", "--certificate-oidc-issuer-regexp", `^https://issuer\.`)...)
	wantVerdict(t, "me@example.com", append(named, "--certificate-identity-regexp", "^you@", "--certificate-oidc-issuer", provider)...)
	wantVerdict(t, provider, append(named, "--certificate-identity", me, "--certificate-oidc-issuer-regexp", "^http:")...)
	named[4] = "--quiet" // the certificate is in no log, and that is wanted now
	wantVerdict(t, "no signature holds", append(named, "--certificate-identity", me, "--certificate-oidc-issuer", provider)...)
	if status, _, stderr := verify(t, host+"/app:v1", "--fsverity-cert", publicFile(t, key)); status != exitFailure || !strings.Contains(stderr, "no certificate in PEM") {
		t.Errorf("a key as certificate: exit status %d: %s", status, stderr)
	}
}

// TestVerifyTable: a name that is longer than any that we know is cut, and what is
// not there is a dash.
func TestVerifyTable(t *testing.T) {
	v := &cfslabel.Verified{Repo: namedRepo{name: "r\x1b"}, Images: []cfslabel.VerifiedImage{{Platform: "linux/amd64", Objects: []cfslabel.Object{
		{Where: "label", Key: strings.Repeat("k", 300), Found: strings.Repeat("f", 300), State: cfslabel.Wrong},
	}}}, Findings: []string{"x"}}
	lines := strings.Split(string(verifyTable(v)), "\n")
	if !strings.HasPrefix(lines[0], "r\ufffd@") || !strings.HasSuffix(lines[0], ": NOT verified") {
		t.Errorf("got %q", lines[0])
	}
	row := "label " + strings.Repeat("k", 194) + "…  -       ffffffffffff  -         wrong  -"
	if len(lines) < 5 || lines[4] != row {
		t.Errorf("got %q, want %q", lines, row)
	}
}

// namedRepo is a repository that has a name and nothing else.
type namedRepo struct {
	remote.Repo
	name string
}

// Name returns it.
func (r namedRepo) Name() string { return r.name }
