// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/cosign"
)

// signs is what a run signs.
type signs struct {
	formats []sign.Format // of Sigstore's signatures of all that a tag names
	kernel  bool          // the fs-verity digests, for the kernel
}

var (
	legacy    = signs{formats: []sign.Format{sign.Legacy}}
	bundle    = signs{formats: []sign.Format{sign.Bundle}}
	kernel    = signs{kernel: true}
	everySort = signs{formats: []sign.Format{sign.Legacy, sign.Bundle}, kernel: true}
)

// signedRows are runs that sign, each with the referrers API and without.
var signedRows = []cutRow{
	{name: "image, legacy", write: inline, target: ownTag, signs: legacy},
	{name: "image, bundle", write: inline, target: ownTag, signs: bundle},
	{name: "image, kernel", write: inline, target: ownTag, signs: kernel},
	{name: "image, all", write: inline, target: ownTag, signs: everySort, again: true},
	{name: "index, legacy", shape: shape{index: true}, write: inline, target: ownTag, signs: legacy},
	{name: "index, bundle", shape: shape{index: true}, write: inline, target: ownTag, signs: bundle},
	{name: "index, kernel", shape: shape{index: true}, write: inline, target: ownTag, signs: kernel},
	{name: "image to another repository, all", write: inline, target: elseThan, signs: everySort},
}

// TestCutOffSigned is TestCutOff for runs that sign: the tag names the old image,
// or the new one and that is signed. So are the images of an index. A run after
// one that was cut off leaves one signature of each format, not two.
func TestCutOffSigned(t *testing.T) { cutAll(t, signedRows) }

// front stands before what changes from run to run, under one address.
type front struct {
	host string

	mu   sync.Mutex
	next http.Handler
}

func (f *front) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	f.mu.Lock()
	next := f.next
	f.mu.Unlock()
	next.ServeHTTP(w, req)
}

// serve leads requests to the handler, and returns the address.
func (s *scene) serve(t *testing.T, h http.Handler) string {
	t.Helper()
	if s.front == nil {
		return serve(t, h)
	}
	s.front.mu.Lock()
	defer s.front.mu.Unlock()
	s.front.next = h
	return s.front.host
}

// signAs has the runs sign. All have one signer, as to open its key takes long, on
// purpose, and so they have one address.
func (s *scene) signAs(t *testing.T, w signs) {
	t.Helper()
	s.job.signs = w
	if w.kernel {
		key, err := kernelKey()
		must(t, err)
		s.job.kernel = key
	}
	if len(w.formats) == 0 {
		return
	}
	keys, err := cosignKeys()
	must(t, err)
	s.front = &front{next: s.b}
	s.front.host = serve(t, s.front)
	repo, _ := s.target()
	ref, err := remote.OpenTarget(t.Context(), s.front.host+"/"+repo+":"+sealedTag, remoteOptions(s.front.host, noRetries, nil))
	must(t, err)
	lib, err := remote.ForLibrary(ref.Repo)
	must(t, err)
	s.job.signing = &cfslabel.Signing{Signer: keys.signer(t, lib.Options, w.formats), Recursive: true}
}

// isSigned fails unless the object, sealed, is signed as the job wants it, and so
// are the images in it if it is an index.
func (s *scene) isSigned(now object) error {
	images, err := s.imagesOf(now)
	if err != nil {
		return err
	}
	if s.job.signs.kernel {
		for _, img := range images {
			if err := s.isSignedForKernel(img); err != nil {
				return fmt.Errorf("%s: %w", img.desc.Digest, err)
			}
		}
	}
	if len(s.job.signs.formats) == 0 {
		return nil
	}
	if now.desc.MediaType.IsIndex() {
		images = append(images, now)
	}
	for _, img := range images {
		if err := s.isSignedBySigstore(img.desc.Digest); err != nil {
			return err
		}
	}
	return nil
}

// imagesOf returns the images that were sealed: those of an index, or itself.
func (s *scene) imagesOf(now object) ([]object, error) {
	if !now.desc.MediaType.IsIndex() {
		return []object{now}, nil
	}
	var was, is v1.IndexManifest
	if err := errors.Join(json.Unmarshal(s.o.top.raw, &was), json.Unmarshal(now.raw, &is)); err != nil {
		return nil, err
	}
	repo, _ := s.target()
	var list []object
	for i, d := range was.Manifests {
		if _, ok := s.want[d.Digest]; !ok {
			continue // no image
		}
		img, err := s.b.child(repo, is.Manifests[i])
		if err != nil {
			return nil, err
		}
		list = append(list, img)
	}
	return list, nil
}

// isSignedBySigstore fails unless there is one signature of each format, and it
// holds.
func (s *scene) isSignedBySigstore(d v1.Hash) error {
	keys, err := cosignKeys()
	if err != nil {
		return err
	}
	verifier, err := cosign.NewVerifier(cosign.VerifyOptions{
		Registry: cosign.Registry{Remote: []ggcr.Option{ggcr.WithTransport(s.b)}},
		Key:      keys.public, IgnoreTlog: true, Offline: true,
	})
	if err != nil {
		return err
	}
	ref, err := s.nameOf(d)
	if err != nil {
		return err
	}
	found, err := verifier.Verify(context.Background(), sign.Image{Name: ref})
	if err != nil {
		return err
	}
	counts := map[sign.Format]int{}
	for _, f := range found {
		if f.Err != nil || f.Digest != d.String() {
			return fmt.Errorf("%s: a signature of %q: %w", d, f.Digest, f.Err)
		}
		counts[f.Format]++
	}
	for _, format := range s.job.signs.formats {
		if counts[format] != 1 {
			return fmt.Errorf("%s has %d signatures of format %s, not 1", d, counts[format], format)
		}
	}
	return nil
}

// nameOf returns how a library that has the registry as its transport knows what
// was sealed.
func (s *scene) nameOf(d v1.Hash) (name.Digest, error) {
	repo, _ := s.target()
	return name.NewDigest("localhost:1/" + repo + "@" + d.String())
}

// isSignedForKernel fails unless an image has an artifact about it in which the
// digest of everything is signed.
func (s *scene) isSignedForKernel(img object) error {
	repo, _ := s.target()
	list, err := s.b.referrers(repo, img.desc.Digest, s.plan.referrers)
	if err != nil {
		return err
	}
	count := 0
	for _, r := range list {
		a, err := image.ParseArtifact(r.raw, func(d v1.Descriptor) ([]byte, error) { return s.b.blob(repo, d) })
		if errors.Is(err, image.ErrNotArtifact) {
			continue // a bundle
		}
		if err != nil {
			return err
		}
		for _, e := range a.Entries {
			if err := s.job.kernel.Certificate().Verify(e.Digest, e.Signature); err != nil {
				return fmt.Errorf("the artifact's %s: %w", e.Role, err)
			}
		}
		count++
	}
	if count != len(s.job.algorithms) {
		return fmt.Errorf("it has %d signed artifacts, not %d", count, len(s.job.algorithms))
	}
	return nil
}
