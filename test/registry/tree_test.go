// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// rawManifest is a manifest for ggcr, which leaves its bytes alone.
type rawManifest struct{ *content }

func (m rawManifest) RawManifest() ([]byte, error) { return m.data, nil }

func (m rawManifest) MediaType() (types.MediaType, error) { return types.MediaType(m.mediaType), nil }

// store pushes what is made here and returns its digest.
func (s server) store(c *content, to string) string {
	s.t.Helper()
	ref := reference(s.t, to)
	pusher, err := remote.NewPusher(s.client()...)
	must(s.t, err)
	var push func(c *content)
	push = func(c *content) {
		for _, r := range c.refs {
			push(r)
		}
		switch {
		case c.absent:
		case c.isManifest():
			must(s.t, pusher.Put(s.t.Context(), ref.Context().Digest(c.digest()), rawManifest{c}))
		default: // without its media type, lest ggcr passes over a foreign layer
			must(s.t, pusher.Upload(s.t.Context(), ref.Context(), static.NewLayer(c.data, "application/octet-stream")))
		}
	}
	push(c)
	must(s.t, pusher.Put(s.t.Context(), ref, rawManifest{c}))
	return c.digest()
}

// A node is a manifest or an index as it is in a registry, with all below it.
type node struct {
	mediaType string
	digest    string
	raw       []byte
	config    []byte // of an image
	document
	children []*node
}

// A document is what the checks look at in a manifest or an index.
type document struct {
	MediaType    string
	ArtifactType string
	Config       *v1.Descriptor
	Layers       []v1.Descriptor
	Manifests    []v1.Descriptor
	Subject      *v1.Descriptor
	Annotations  map[string]string
}

// read returns what a reference names. Every manifest and config of it has the
// digest and the size that its descriptor says.
func (s server) read(ref string) *node {
	s.t.Helper()
	r := reference(s.t, ref)
	puller, err := remote.NewPuller(s.client()...)
	must(s.t, err)
	var get func(ref name.Reference) *node
	get = func(ref name.Reference) *node {
		d, err := puller.Get(s.t.Context(), ref)
		must(s.t, err)
		n := &node{mediaType: string(d.MediaType), digest: d.Digest.String(), raw: d.Manifest}
		if got := digestOf(n.raw); got != n.digest {
			s.t.Fatalf("%s has the digest %s", ref, got)
		}
		must(s.t, json.Unmarshal(n.raw, &n.document))
		for _, c := range n.Manifests {
			below := get(r.Context().Digest(c.Digest.String()))
			s.fits(c, below.raw, string(c.MediaType) == below.mediaType)
			n.children = append(n.children, below)
		}
		if n.Config != nil {
			layer, err := puller.Layer(s.t.Context(), r.Context().Digest(n.Config.Digest.String()))
			must(s.t, err)
			stream, err := layer.Compressed()
			must(s.t, err)
			defer stream.Close()
			n.config, err = io.ReadAll(stream)
			must(s.t, err)
			s.fits(*n.Config, n.config, true)
		}
		return n
	}
	return get(r)
}

// fits checks what a descriptor says of the content.
func (s server) fits(d v1.Descriptor, content []byte, rightType bool) {
	s.t.Helper()
	if d.Digest.String() != digestOf(content) || d.Size != int64(len(content)) || !rightType {
		s.t.Errorf("the descriptor %s says other than what is there: %s, %d bytes", d.Digest, digestOf(content), len(content))
	}
	if d.Data != nil && !bytes.Equal(d.Data, content) {
		s.t.Errorf("the descriptor %s embeds other content: %q, not %q", d.Digest, d.Data, content)
	}
}

// whole checks that the repository has every layer of a tree, too.
func (s server) whole(repo string, n *node) {
	s.t.Helper()
	r, err := name.NewRepository(repo)
	must(s.t, err)
	puller, err := remote.NewPuller(s.client()...)
	must(s.t, err)
	n.walk(func(n *node) {
		for _, d := range n.Layers {
			layer, err := puller.Layer(s.t.Context(), r.Digest(d.Digest.String()))
			must(s.t, err)
			if size, err := layer.Size(); err != nil || size != d.Size {
				s.t.Errorf("%s: layer %s: %d bytes, %v", repo, d.Digest, size, err)
			}
		}
	})
}

func (n *node) walk(do func(*node)) {
	do(n)
	for _, c := range n.children {
		c.walk(do)
	}
}

// runsOn returns the platform of an image; of all else nothing.
func (n *node) runsOn() (system, architecture string) {
	var c struct{ OS, Architecture string }
	if n.Config == nil || !n.Config.MediaType.IsConfig() || json.Unmarshal(n.config, &c) != nil {
		return "", ""
	}
	return c.OS, c.Architecture
}

// sealable reports whether it is an image for Linux.
func (n *node) sealable() bool {
	system, _ := n.runsOn()
	return system == "linux"
}

// labels returns the labels of an image.
func (n *node) labels(t *testing.T) map[string]string {
	t.Helper()
	var c struct {
		Config struct{ Labels map[string]string }
	}
	must(t, json.Unmarshal(n.config, &c))
	return c.Config.Labels
}

// referrers returns the manifests whose subject is that digest, by the referrers
// API or by the tag that stands in for it (distribution-spec, "Listing
// Referrers").
func (s server) referrers(repo, digest string) []*node {
	s.t.Helper()
	r, err := name.NewRepository(repo)
	must(s.t, err)
	index, err := remote.Referrers(r.Digest(digest), s.client()...)
	must(s.t, err)
	m, err := index.IndexManifest()
	must(s.t, err)
	var list []*node
	for _, d := range m.Manifests {
		n := s.read(repo + "@" + d.Digest.String())
		if n.Subject == nil || n.Subject.Digest.String() != digest {
			s.t.Errorf("%s is listed as a referrer of %s: %s", d.Digest, digest, n.raw)
		}
		// Ggcr's registry lists the config's type in any case, which is right
		// only where the manifest has no artifactType.
		if d.ArtifactType != n.ArtifactType && d.ArtifactType != string(n.Config.MediaType) {
			s.t.Errorf("%s is listed as %q and is %q", d.Digest, d.ArtifactType, n.ArtifactType)
		}
		list = append(list, n)
	}
	return list
}

// lose makes the registry forget a blob.
func (s server) lose(repo, digest string) {
	s.t.Helper()
	r, err := name.NewRepository(repo)
	must(s.t, err)
	authorized, err := transport.NewWithContext(s.t.Context(), r.Registry, authn.FromConfig(s.user), http.DefaultTransport, []string{r.Scope("delete")})
	must(s.t, err)
	target := "http://" + s.host + "/v2/" + strings.TrimPrefix(repo, s.host+"/") + "/blobs/" + digest
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodDelete, target, http.NoBody)
	must(s.t, err)
	resp, err := authorized.RoundTrip(req)
	must(s.t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		s.t.Fatalf("DELETE %s: %s", target, resp.Status)
	}
}
