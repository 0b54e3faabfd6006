// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/remote"
)

const (
	typeA = "application/vnd.example.a"
	typeB = "application/vnd.example.b"
)

// newAPIRegistry returns the handler of an empty registry in memory that has the
// referrers API. It sends no OCI-Subject and knows of no filters.
func newAPIRegistry() http.Handler {
	return registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
}

// withSubjectHeader makes a registry say that it knows of subjects.
func withSubjectHeader(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut {
			raw, _ := io.ReadAll(req.Body)
			var m struct{ Subject v1.Descriptor }
			if json.Unmarshal(raw, &m) == nil && m.Subject.Size > 0 {
				w.Header().Set("OCI-Subject", m.Subject.Digest.String())
			}
			req.Body = io.NopCloser(bytes.NewReader(raw))
		}
		next.ServeHTTP(w, req)
	})
}

// referrer returns a manifest that refers to the subject, and its descriptor.
func referrer(name, artifactType string, subject v1.Descriptor) (v1.Descriptor, []byte) {
	s, err := json.Marshal(subject)
	if err != nil {
		panic(err)
	}
	d, raw := blob(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":%q,`+
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},`+
		`"layers":[],"subject":%s,"annotations":{"name":%q}}`, types.OCIManifestSchema1, artifactType, s, name))
	d.MediaType, d.ArtifactType = types.OCIManifestSchema1, artifactType
	d.Annotations = map[string]string{"name": name}
	return d, raw
}

// editing returns options with an editor, and pauses that a test can wait for.
func editing() remote.Options {
	return remote.Options{Layout: editor{}, RetryPause: time.Millisecond}
}

// pushReferrer pushes a referrer and returns its descriptor.
func pushReferrer(t *testing.T, repo remote.Repo, name, artifactType string, subject v1.Descriptor, replaced ...v1.Hash) v1.Descriptor {
	t.Helper()
	d, raw := referrer(name, artifactType, subject)
	if err := repo.PushReferrer(t.Context(), subject.Digest, d, raw, replaced); err != nil {
		t.Fatal(err)
	}
	return d
}

// wantListed fails unless exactly the named ones are listed, with their types
// and annotations.
func wantListed(t *testing.T, repo remote.Repo, subject v1.Descriptor, artifactType string, want ...v1.Descriptor) {
	t.Helper()
	got, err := repo.Referrers(t.Context(), subject.Digest, artifactType)
	if err != nil {
		t.Fatal(err)
	}
	left := map[v1.Hash]v1.Descriptor{}
	for _, d := range got {
		left[d.Digest] = d
	}
	if len(got) != len(want) || len(left) != len(want) {
		t.Errorf("%d referrers of type %q are listed, want %d: %v", len(got), artifactType, len(want), got)
	}
	for _, w := range want {
		d := left[w.Digest]
		if d.ArtifactType != w.ArtifactType || d.Size != w.Size || d.MediaType != w.MediaType || d.Annotations["name"] != w.Annotations["name"] {
			t.Errorf("listed is %+v, want %+v", d, w)
		}
	}
}

// writes returns how many requests there were that can change something.
func (r *recorder) writes() int {
	n := 0
	for _, m := range []string{http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		n += r.count(m, "")
	}
	return n
}

// fallback returns the tag that stands in for the referrers API.
func fallback(subject v1.Descriptor) string {
	return strings.Replace(subject.Digest.String(), ":", "-", 1)
}

// put stores raw under a tag, as somebody else would.
func put(t *testing.T, host, repo, tag, mediaType, raw string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+host+"/v2/"+repo+"/manifests/"+tag, strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatal(resp.Status)
	}
}

// warnLog collects what a run warns of.
type warnLog struct {
	mu  sync.Mutex
	all []string
}

func (w *warnLog) add(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, s)
}
