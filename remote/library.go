// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
)

// Library is how a library that speaks to registries by itself reaches one
// repository as this package does.
type Library struct {
	Repository name.Repository
	// Options have the transport, with its retries, proxy, certificates and
	// user agent, and the credentials.
	Options []ggcr.Option
}

// ForLibrary returns how a library reaches the repository. The error is
// ErrReference for one that is in no registry.
func ForLibrary(repo Repo) (Library, error) {
	r, ok := repo.(*registry)
	if !ok {
		return Library{}, badReference(repo.Name(), "push the image to a registry first", fmt.Errorf("%s is in no registry", repo.Name()))
	}
	return Library{
		Repository: r.repo,
		Options: []ggcr.Option{
			ggcr.WithTransport(r.base),
			ggcr.WithAuthFromKeychain(r.keys),
			ggcr.WithUserAgent(r.opts.UserAgent),
			// The transport repeats what may be repeated.
			ggcr.WithRetryBackoff(ggcr.Backoff{Steps: 1}),
			ggcr.WithRetryPredicate(func(error) bool { return false }),
			ggcr.WithRetryStatusCodes(),
		},
	}, nil
}
