// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata/fetcher"

	"github.com/cfs-label/cfs-label/sign"
)

// The services of the public instance.
const (
	publicFulcio = "https://fulcio.sigstore.dev"
	publicRekor  = "https://rekor.sigstore.dev"
)

// endpoints are the addresses of the services that sign.
type endpoints struct {
	fulcio string
	rekor  []root.Service // for bundles
	// legacyRekor is the log of legacy signatures, which have to have a promise
	// of version 1.
	legacyRekor string
	tsa         []root.Service
	// trust are the certificates and keys of the services, where a file with
	// them is given; nil otherwise.
	trust root.TrustedMaterial
}

// findEndpoints returns the services that the options name.
func findEndpoints(o SignOptions) (endpoints, error) {
	if o.SigningConfig != "" {
		return readEndpoints(o)
	}
	e := endpoints{fulcio: cmp.Or(o.FulcioURL, publicFulcio)}
	if !o.NoTlog {
		e.legacyRekor = cmp.Or(o.RekorURL, publicRekor)
		e.rekor = []root.Service{{URL: e.legacyRekor, MajorAPIVersion: 1}}
	}
	if o.TimestampURL != "" {
		e.tsa = []root.Service{{URL: o.TimestampURL, MajorAPIVersion: 1}}
	}
	return e, e.check()
}

// readEndpoints takes the services from a signing config, as its selectors say.
func readEndpoints(o SignOptions) (endpoints, error) {
	raw, err := readFile(o.SigningConfig)
	if err != nil {
		return endpoints{}, failed(sign.ErrOptions, err)
	}
	c, err := root.NewSigningConfigFromJSON(raw)
	if err != nil {
		return endpoints{}, failed(sign.ErrOptions, fmt.Errorf("%s is no signing config: %w", o.SigningConfig, err))
	}
	var e endpoints
	now := time.Now()
	if urls := c.FulcioCertificateAuthorityURLs(); len(urls) > 0 {
		s, err := root.SelectService(urls, sgsign.FulcioAPIVersions, now)
		if err != nil {
			return endpoints{}, failed(sign.ErrOptions, fmt.Errorf("%s: Fulcio: %w", o.SigningConfig, err))
		}
		e.fulcio = s.URL
	}
	if urls := c.RekorLogURLs(); len(urls) > 0 && !o.NoTlog {
		if e.rekor, err = root.SelectServices(urls, c.RekorLogURLsConfig(), sgsign.RekorAPIVersions, now); err != nil {
			return endpoints{}, failed(sign.ErrOptions, fmt.Errorf("%s: Rekor: %w", o.SigningConfig, err))
		}
		if s, err := root.SelectService(urls, []uint32{1}, now); err == nil {
			e.legacyRekor = s.URL
		}
	}
	if urls := c.TimestampAuthorityURLs(); len(urls) > 0 {
		if e.tsa, err = root.SelectServices(urls, c.TimestampAuthorityURLsConfig(), sgsign.TimestampAuthorityAPIVersions, now); err != nil {
			return endpoints{}, failed(sign.ErrOptions, fmt.Errorf("%s: timestamp authority: %w", o.SigningConfig, err))
		}
	}
	return e, e.check()
}

// check fails for addresses that are none.
func (e endpoints) check() error {
	urls := []string{e.fulcio, e.legacyRekor}
	for _, s := range append(e.rekor, e.tsa...) {
		urls = append(urls, s.URL)
	}
	for _, u := range urls {
		if u == "" {
			continue
		}
		if _, err := serviceURL(u); err != nil {
			return failed(sign.ErrOptions, err)
		}
	}
	return nil
}

// trustedRoot returns the certificates and keys of the services.
func (s Services) trustedRoot(ctx context.Context) (root.TrustedMaterial, error) {
	if s.TrustedRoot == "" {
		return s.publicRoot(ctx)
	}
	raw, err := readFile(s.TrustedRoot)
	if err != nil {
		return nil, failed(sign.ErrOptions, err)
	}
	tr, err := root.NewTrustedRootFromJSON(raw)
	if err != nil {
		return nil, failed(sign.ErrOptions, fmt.Errorf("%s is no trusted root: %w", s.TrustedRoot, err))
	}
	return tr, nil
}

// publicRoot fetches those of the public instance from its TUF repository. It
// is not stored.
func (s Services) publicRoot(ctx context.Context) (_ root.TrustedMaterial, err error) {
	defer recovered(&err, sign.ErrService)
	f := fetcher.NewDefaultFetcher()
	f.SetHTTPClient(s.client(ctx))
	tr, err := root.FetchTrustedRootWithOptions(&tuf.Options{
		Root:              tuf.DefaultRoot(),
		RepositoryBaseURL: tuf.DefaultMirror,
		CachePath:         os.TempDir(), // named, and not used
		DisableLocalCache: true,
		Fetcher:           f,
	})
	if err != nil {
		return nil, hinted(sign.ErrService, fmt.Errorf("fetch the trusted root from %s: %w", tuf.DefaultMirror, err),
			"give it as a file with --trusted-root")
	}
	return tr, nil
}

// timestamps returns the authorities of timestamps.
func (e endpoints) timestamps(t http.RoundTripper) []*sgsign.TimestampAuthority {
	out := make([]*sgsign.TimestampAuthority, 0, len(e.tsa))
	for _, s := range e.tsa {
		out = append(out, sgsign.NewTimestampAuthority(&sgsign.TimestampAuthorityOptions{
			URL: s.URL, Timeout: serviceTimeout, Retries: serviceRetries, Transport: t,
		}))
	}
	return out
}
