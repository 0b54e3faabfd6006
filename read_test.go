// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/image"
)

// putText pushes a manifest or index unseen, as it is written.
func (s *store) putText(t *testing.T, name string, mediaType types.MediaType, text string) v1.Descriptor {
	t.Helper()
	ref := s.openBy(t, name, s.inside())
	d := v1.Descriptor{MediaType: mediaType, Digest: digestOf([]byte(text)), Size: int64(len(text))}
	if err := ref.Repo.Tag(t.Context(), ref.Tag, d, []byte(text), ""); err != nil {
		t.Fatal(err)
	}
	return d
}

// text returns the manifest or index of that digest.
func (s *store) text(t *testing.T, repo string, d v1.Hash) []byte {
	t.Helper()
	ref := s.openBy(t, repo+"@"+d.String(), s.inside())
	_, raw, err := ref.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// labels returns the labels of an image.
func (s *store) labels(t *testing.T, repo string, d v1.Hash) map[string]string {
	t.Helper()
	raw := s.text(t, repo, d)
	m, err := image.ParseManifest(raw, "")
	if err != nil {
		t.Fatal(err)
	}
	ref := s.openBy(t, repo+"@"+d.String(), s.inside())
	text, err := ref.Repo.BlobBytes(t.Context(), m.Config, image.MaxConfigSize)
	if err != nil {
		t.Fatal(err)
	}
	c, err := image.ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	return c.Labels
}

// wantReplaced returns the text of an index with digest and size of a child
// replaced by those of what has the digest now.
func (s *store) wantReplaced(t *testing.T, repo, text string, was v1.Descriptor, now v1.Hash) string {
	t.Helper()
	size := len(s.text(t, repo, now))
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if !strings.Contains(line, was.Digest.String()) {
			continue
		}
		for _, key := range []string{`"size":`, `"size": `} {
			line = strings.Replace(line, key+strconv.FormatInt(was.Size, 10), key+strconv.Itoa(size), 1)
		}
		lines[i] = strings.ReplaceAll(line, was.Digest.String(), now.String())
	}
	return strings.Join(lines, "")
}

// talk remembers warnings.
type talk struct {
	mu   sync.Mutex
	said []string
}

func (w *talk) warn(message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, message)
}

// want fails unless one of the warnings has the text.
func (w *talk) want(t *testing.T, text string) {
	t.Helper()
	if !strings.Contains(strings.Join(w.said, "\n"), text) {
		t.Errorf("warned of %q, not of %q", w.said, text)
	}
}
