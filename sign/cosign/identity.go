// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/cosign/v2/pkg/providers"
	_ "github.com/sigstore/cosign/v2/pkg/providers/envvar"     // SIGSTORE_ID_TOKEN
	_ "github.com/sigstore/cosign/v2/pkg/providers/filesystem" // /var/run/sigstore/cosign/oidc-token
	_ "github.com/sigstore/cosign/v2/pkg/providers/github"     // GitHub Actions
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/cfs-label/cfs-label/sign"
)

// audience is whom Sigstore's tokens are for.
const audience = "sigstore"

// The variables of the environment that hold secrets which identify.
const (
	tokenVariable   = "SIGSTORE_ID_TOKEN"
	requestVariable = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// secrets are what no error may have.
func (o SignOptions) secrets() []string {
	return []string{strings.TrimSpace(o.IdentityToken), strings.TrimSpace(os.Getenv(tokenVariable)), os.Getenv(requestVariable)}
}

// checkToken fails for a token that is none, or too old. Who issued it, Fulcio
// finds out.
func checkToken(token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return failed(sign.ErrSecret, errors.New("the identity token is no JSON web token"))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return failed(sign.ErrSecret, errors.New("the identity token is no JSON web token"))
	}
	var claims struct {
		Expiry float64 `json:"exp"` // RFC 7519, NumericDate: seconds, maybe with a fraction
	}
	if json.Unmarshal(raw, &claims) != nil {
		return failed(sign.ErrSecret, errors.New("the identity token is no JSON web token"))
	}
	if at := time.Unix(int64(claims.Expiry), 0); claims.Expiry > 0 && at.Before(time.Now()) {
		return failed(sign.ErrSecret, fmt.Errorf("the identity token has expired at %s", at.UTC().Format(time.RFC3339)))
	}
	return nil
}

// tokenOf returns the token that says who signs, which is not for long: each
// signature asks for one anew.
func tokenOf(ctx context.Context, o SignOptions) (token string, err error) {
	defer recovered(&err, sign.ErrSecret)
	if token = o.IdentityToken; token == "" {
		if !providers.Enabled(ctx) {
			return "", hinted(sign.ErrSecret, errors.New("there is neither a key nor an identity to sign with"),
				"name a key, or set "+tokenVariable+"; in GitHub Actions the job needs the permission id-token: write")
		}
		if token, err = providers.Provide(ctx, audience); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return "", failed(sign.ErrSecret, fmt.Errorf("get an identity token: %w", err))
		}
	}
	token = strings.TrimSpace(token)
	return token, checkToken(token)
}

// certified is a key for one signature, and the certificate for it.
type certified struct {
	*keypair
	token string // not shown
	cert  []byte // DER
	chain [][]byte
}

// certify gets a certificate for a new key. With an error it may return the
// token, which the error must not have.
func certify(ctx context.Context, o SignOptions, e endpoints) (c *certified, err error) {
	defer recovered(&err, sign.ErrService)
	token, err := tokenOf(ctx, o)
	if err != nil {
		return nil, err
	}
	k, err := newEphemeral()
	if err != nil {
		return nil, err
	}
	p, err := newKeypair(k)
	if err != nil {
		return nil, err
	}
	c = &certified{keypair: p, token: token}
	f := sgsign.NewFulcio(&sgsign.FulcioOptions{
		BaseURL: strings.TrimRight(e.fulcio, "/"), Timeout: serviceTimeout, Retries: serviceRetries, Transport: c.listen(o.transport(ctx)),
	})
	c.cert, err = f.GetCertificate(ctx, p, &sgsign.CertificateProviderOptions{IDToken: token})
	if err == nil {
		err = c.checkCertificate()
	}
	if err != nil {
		return c, failed(sign.ErrService, fmt.Errorf("get a certificate from %s: %w", e.fulcio, err))
	}
	return c, nil
}

// checkCertificate fails for a certificate of another key.
func (c *certified) checkCertificate() error {
	cert, err := x509.ParseCertificate(c.cert)
	if err != nil {
		return err
	}
	return cryptoutils.EqualKeys(cert.PublicKey, c.public)
}

// GetCertificate returns the certificate for the key: the library asks once for
// each bundle.
func (c *certified) GetCertificate(context.Context, sgsign.Keypair, *sgsign.CertificateProviderOptions) ([]byte, error) {
	return c.cert, nil
}

// identity is whom the certificate names.
func (c *certified) identity() string {
	cert, err := x509.ParseCertificate(c.cert)
	if err != nil {
		return ""
	}
	return strings.Join(cryptoutils.GetSubjectAlternateNames(cert), ", ")
}

// listen keeps the chain of certificates of what Fulcio answers. The library
// returns the first one only, and legacy signatures carry all.
func (c *certified) listen(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(in *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(in)
		if err != nil || resp.StatusCode != http.StatusOK {
			return resp, err
		}
		raw, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		c.chain = chainOf(raw)
		resp.Body = io.NopCloser(bytes.NewReader(raw))
		return resp, nil
	})
}

// chainOf returns the certificates in an answer of Fulcio's API, version 2, in
// PEM and without the first, which is the signer's.
func chainOf(raw []byte) [][]byte {
	type signed struct {
		Chain struct {
			Certificates []string `json:"certificates"`
		} `json:"chain"`
	}
	var a struct {
		Embedded signed `json:"signedCertificateEmbeddedSct"`
		Detached signed `json:"signedCertificateDetachedSct"`
	}
	if json.Unmarshal(raw, &a) != nil {
		return nil
	}
	all := slices.Concat(a.Embedded.Chain.Certificates, a.Detached.Chain.Certificates)
	var out [][]byte
	for i, text := range all {
		if i > 0 {
			out = append(out, []byte(strings.TrimSpace(text)+"\n"))
		}
	}
	return out
}
