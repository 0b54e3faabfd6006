// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cfs-label/cfs-label/remote"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{}
	a.pem, a.cert, a.key = newCertificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	return a
}

// newCertificate returns what the template says, signed by a or by itself.
func newCertificate(t *testing.T, template *x509.Certificate, a *authority) (string, *x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if a == nil {
		a = &authority{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), cert, key
}

// clientPair returns the files of a client certificate and of its key.
func clientPair(t *testing.T, a *authority) (cert, key string) {
	t.Helper()
	text, _, private := newCertificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return tempFile(t, text), tempFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// serveTLS starts a server that a vouches for, and that asks its clients for a
// certificate as auth says.
func serveTLS(t *testing.T, h http.Handler, a *authority, auth tls.ClientAuthType, http2 bool) string {
	t.Helper()
	_, cert, key := newCertificate(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost", "registry.example"}}, a)
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.EnableHTTP2 = http2
	srv.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}},
		ClientAuth:   auth, ClientCAs: clients,
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "https://")
}

// dialing returns a transport for which every host is at one address.
func dialing(t *testing.T, addr string) *http.Transport {
	t.Helper()
	wire := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}}
	t.Cleanup(wire.CloseIdleConnections)
	return wire
}

// TestCAFile: an authority of one's own is trusted besides the system's, also by
// a transport of the caller's, which stays as it was.
func TestCAFile(t *testing.T) {
	a := newAuthority(t, "authority")
	host := serveTLS(t, newRegistry(), a, tls.NoClientCert, true)
	own := http.DefaultTransport.(*http.Transport).Clone()
	for name, o := range map[string]remote.Options{"shared": {CAFile: tempFile(t, a.pem)}, "own": {CAFile: tempFile(t, a.pem), Transport: own}} {
		repo := open(t, host+"/a", o).Repo
		d, raw := push(t, repo, name, name)
		wantTag(t, repo, name, d, raw)
	}
	if own.TLSClientConfig != nil && own.TLSClientConfig.RootCAs != nil {
		t.Error("the caller's transport was changed")
	}
	_, _, err := open(t, host+"/a:v1", remote.Options{CAFile: tempFile(t, newAuthority(t, "another").pem)}).Resolve(t.Context())
	wantTexts(t, err, "certificate", "--ca-file", "--insecure")
}

// TestClientCertificate: a registry that wants one gets it, one that gets none
// or that of another authority is asked for no more than the error says.
func TestClientCertificate(t *testing.T) {
	a := newAuthority(t, "authority")
	cert, key := clientPair(t, a)
	otherCert, otherKey := clientPair(t, newAuthority(t, "authority"))
	for _, http2 := range []bool{false, true} {
		wire := dialing(t, serveTLS(t, newRegistry(), a, tls.RequireAndVerifyClientCert, http2))
		wire.ForceAttemptHTTP2 = http2
		ca := tempFile(t, a.pem)
		repo := open(t, "registry.example/a", remote.Options{CAFile: ca, ClientCert: cert, ClientKey: key, Transport: wire}).Repo
		d, raw := push(t, repo, "v1", "x")
		wantTag(t, repo, "v1", d, raw)
		for name, o := range map[string]remote.Options{
			"none":    {CAFile: ca, Transport: wire},
			"another": {CAFile: ca, ClientCert: otherCert, ClientKey: otherKey, Transport: wire},
		} {
			_, _, err := open(t, "registry.example/a:v1", o).Resolve(t.Context())
			if err == nil {
				t.Error(name)
			}
			wantTexts(t, err, "--client-cert")
		}
	}
}

// TestClientCertificateStaysHome: storage that asks for a certificate is not
// shown the one for the registry.
func TestClientCertificateStaysHome(t *testing.T) {
	a := newAuthority(t, "authority")
	cert, key := clientPair(t, a)
	c, config := blob("{}")
	shown := -1
	target := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		shown = len(req.TLS.PeerCertificates)
		_, _ = w.Write(config)
	}), a, tls.RequestClientCert, false)
	host := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.URL.Path, "/blobs/") {
			http.Redirect(w, req, "https://"+target+"/stored", http.StatusTemporaryRedirect)
		}
	}), a, tls.RequireAndVerifyClientCert, false)
	o := remote.Options{CAFile: tempFile(t, a.pem), ClientCert: cert, ClientKey: key}
	if _, err := open(t, host+"/a", o).Repo.BlobBytes(t.Context(), c, 10); err != nil {
		t.Fatal(err)
	}
	if shown != 0 {
		t.Errorf("the storage was shown %d certificates", shown)
	}
}

// TestPlainHTTP: http and nothing else, whatever the host is called, and with
// certificates for others.
func TestPlainHTTP(t *testing.T) {
	rec := &recorder{next: newBearer(newRegistry())}
	addr := serve(t, rec)
	wire := dialing(t, addr)
	o := remote.Options{PlainHTTP: true, Transport: wire, Keychain: alice, CAFile: tempFile(t, newAuthority(t, "a").pem)}
	for _, host := range []string{"registry.example", "registry.example:5000", addr} {
		repo := open(t, host+"/a", o).Repo
		d, raw := push(t, repo, "v1", "x")
		wantTag(t, repo, "v1", d, raw)
	}
	a := newAuthority(t, "authority")
	host := serveTLS(t, newRegistry(), a, tls.NoClientCert, true)
	_, _, err := open(t, host+"/a:v1", remote.Options{PlainHTTP: true}).Resolve(t.Context())
	wantTexts(t, err, "400", "leave out --plain-http")
	_, _, err = open(t, "127.0.0.1:1/a:v1", remote.Options{PlainHTTP: true}).Resolve(t.Context())
	wantTexts(t, err, "http://127.0.0.1:1/v2/", "refused")
	if err != nil && contains(err, "https") {
		t.Errorf("%v speaks of https", err)
	}
}

// TestHTTPWhereHTTPSIs: the error of an https request to a server of http names
// the way out.
func TestHTTPWhereHTTPSIs(t *testing.T) {
	addr := serve(t, newRegistry())
	wire := dialing(t, addr)
	_, _, err := open(t, "registry.example/a:v1", remote.Options{Transport: wire}).Resolve(t.Context())
	wantTexts(t, err, "HTTP response to HTTPS client", "--plain-http")
}

// TestNoLoginOverHTTP: a registry of https whose first answer leads to http is
// not spoken to there: the password would follow.
func TestNoLoginOverHTTP(t *testing.T) {
	seen := &recorder{next: basicAuth(newRegistry())}
	target := "http://" + serve(t, seen)
	a := newAuthority(t, "authority")
	wire := dialing(t, serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, target+req.URL.Path, http.StatusFound)
	}), a, tls.NoClientCert, false))
	toRegistry := wire.DialContext
	wire.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "registry.example:") {
			return toRegistry(ctx, network, addr)
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	o := remote.Options{Transport: wire, Keychain: alice, CAFile: tempFile(t, a.pem)}
	_, _, err := open(t, "registry.example/a:v1", o).Resolve(t.Context())
	wantTexts(t, err, "in https", target, "not followed")
	if len(seen.seen) != 0 {
		t.Errorf("%d requests went there", len(seen.seen))
	}
}
