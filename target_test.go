// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

// target opens where an image is to be put.
func target(t *testing.T, ref string) *remote.Ref {
	t.Helper()
	to, err := remote.OpenTarget(t.Context(), ref, remote.Options{Keychain: authn.NewMultiKeychain(), Layout: cfslabel.LayoutEditor{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = to.Close() })
	return to
}

// TestTo: the sealed image is put elsewhere, whole, and where it was all stays.
func TestTo(t *testing.T) {
	dir := t.TempDir()
	for name, to := range map[string]func(s, other *store) (ref string, tags []string){
		"another repository": func(s, _ *store) (string, []string) { return s.host + "/b:v2", []string{"v2"} },
		"another registry":   func(_, other *store) (string, []string) { return other.host + "/b", []string{"v1"} },
		"a layout": func(_, _ *store) (string, []string) {
			return "oci:" + filepath.Join(dir, "layout") + ":v2", []string{"v2"}
		},
		"an archive": func(_, _ *store) (string, []string) {
			return "oci-archive:" + filepath.Join(dir, "a.tar"), []string{"v1"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, other := newStore(t), newStore(t)
			pushFamily(t, s, "a:v1")
			before, _, err := s.open(t, "a:v1").Resolve(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ref, tags := to(s, other)
			sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{To: target(t, ref)})
			if !slices.Equal(sealed.Tags, tags) {
				t.Errorf("tags are %q, want %q", sealed.Tags, tags)
			}
			if now, _, err := s.open(t, "a:v1").Resolve(t.Context()); err != nil || now.Digest != before.Digest {
				t.Errorf("the source names %s, was %s (%v)", now.Digest, before.Digest, err)
			}
			there := target(t, ref)
			if d, _, err := there.Repo.Resolve(t.Context(), tags[0], ""); err != nil || d.Digest != sealed.Digest {
				t.Errorf("the tag there names %s, want %s (%v)", d.Digest, sealed.Digest, err)
			}
			// A check reads every layer from there.
			checked := label(t, &remote.Ref{Repo: there.Repo, Tag: tags[0]}, cfslabel.LabelOptions{Check: true})
			if len(checked.Images) != 2 {
				t.Errorf("there are %+v", checked.Images)
			}
			if uploads := s.count(http.MethodPatch, ""); name == "another repository" && uploads > 2 {
				t.Errorf("%d blobs were uploaded, not mounted", uploads)
			}

			writes := s.count(http.MethodPut, "") + other.count(http.MethodPut, "")
			again := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{To: target(t, ref)})
			if n := s.count(http.MethodPut, "") + other.count(http.MethodPut, ""); n != writes || again.Digest != sealed.Digest {
				t.Errorf("the second run wrote %d times", n-writes)
			}
		})
	}
}

// TestToLayoutConverts: a layout has OCI's formats, so one of Docker's is
// converted on its way there; where the image must stay as it is, that is an
// error.
func TestToLayoutConverts(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", docker)
	dir := "oci:" + filepath.Join(t.TempDir(), "layout")
	_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, To: target(t, dir)})
	if !errors.Is(err, cfslabel.ErrDockerLayout) {
		t.Errorf("got %v", err)
	}
	warnings := &talk{}
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{To: target(t, dir), Options: cfslabel.Options{Warn: warnings.warn}})
	warnings.want(t, "is converted to OCI's")
	if d, _, err := target(t, dir).Repo.Resolve(t.Context(), "v1", ""); err != nil || d.MediaType != types.OCIManifestSchema1 {
		t.Errorf("there is %s (%v)", d.MediaType, err)
	}
}

// failingFlush is a repository that takes everything and then cannot keep it.
type failingFlush struct{ remote.Repo }

func (failingFlush) Flush(context.Context) error { return errors.New("the disk is full") }

// TestFlushFails: of tags that were not kept none is told.
func TestFlushFails(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	to := target(t, "oci:"+filepath.Join(t.TempDir(), "layout"))
	to.Repo = failingFlush{to.Repo}
	sealed, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{To: to})
	if err == nil || sealed == nil || len(sealed.Tags) > 0 {
		t.Errorf("got %+v, %v", sealed, err)
	}
}

// TestForce: with Force the tag is moved though somebody else moved it.
func TestForce(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	moved := false
	s.intercept = func(_ http.ResponseWriter, req *http.Request) bool {
		if readsLayer(req) && !moved {
			moved = true
			s.push(t, "a:v1", another())
		}
		return false
	}
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Force: true})
	s.wantTag(t, "a:v1", sealed.Digest)
}
