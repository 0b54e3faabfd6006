// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// forged is a digest of a tree that no image has.
var forged = fsverity.Sum(fsverity.SHA512, nil)

// TestSignIgnoresForgedArtifact: an artifact that nobody signed is not believed by
// a run that signs, though the image itself is vouched for, by a signature or by a
// signed artifact. The true digest is answered and signed.
func TestSignIgnoresForgedArtifact(t *testing.T) {
	key := kernelKey(t, "one")
	for name, o := range map[string]cfslabel.LabelOptions{
		"signing": signing(&fakeSigner{has: true}),
		"kernel":  {Kernel: key},
	} {
		s := newStore(t)
		d := s.push(t, "a:v1", plain)
		if o.Kernel != nil {
			a := s.artifactOf(t, d)
			signArtifact(t, a, key)
			s.putArtifact(t, d.Digest, a)
		}
		a := s.artifactOf(t, d)
		spoil(image.RoleMerged)(a)
		a.Annotations[0].Value = "sha256:" + digestOf([]byte("cfs-label input 1\n"+
			"layer "+layerDigest+" "+layerDiffID+" gzip\n"+
			"digest merged v1 sha512 allowlist-only "+forged.String()+"\n")).Hex
		s.putArtifact(t, d.Digest, a)

		o.Write, o.IfNeeded = beside, true
		before := s.count(http.MethodGet, layerDigest)
		sealed := label(t, s.open(t, "a:v1"), o)
		img := sealed.Images[0]
		if s.count(http.MethodGet, layerDigest) == before || img.Believed || img.Digests[0].Digest.String() != minimal {
			t.Errorf("%s: believed %t, the digest is %s", name, img.Believed, img.Digests[0].Digest)
		}
		for _, a := range s.signedArtifacts(t, d.Digest) {
			if got := entry(a, image.RoleMerged).Digest.String(); got != minimal {
				t.Errorf("%s: beside it is %s", name, got)
			}
			if o.Kernel != nil {
				wantSignedBy(t, a, key)
			}
		}
	}
}

// TestWhatVouches: an artifact vouches for an image if it is of the algorithm,
// says its manifest and its config, and all that it says is signed with the key;
// one is needed for each algorithm. Otherwise the layers are read.
func TestWhatVouches(t *testing.T) {
	key := kernelKey(t, "one")
	by := func(a *image.Artifact) { signArtifact(t, a, key) }
	change := func(changes ...func(*image.Artifact)) []func(*image.Artifact) { return changes }
	for name, tc := range map[string]struct {
		changes    []func(*image.Artifact)
		algorithms []fsverity.Algorithm
		read       bool
	}{
		"right":             {change(by), both[:1], false},
		"another manifest":  {change(spoil(image.RoleManifest), by), both[:1], true},
		"another config":    {change(spoil(image.RoleConfig), by), both[:1], true},
		"unsigned":          {change(), both[:1], true},
		"not all is signed": {change(by, func(a *image.Artifact) { entry(a, image.RoleMerged).Signature = nil }), both[:1], true},
		"other algorithm":   {change(by), both[1:], true},
		"one of two":        {change(by), both, true},
	} {
		s := newStore(t)
		s.push(t, "a:v1", plain)
		o := cfslabel.LabelOptions{Options: cfslabel.Options{Algorithms: tc.algorithms}}
		first := label(t, s.open(t, "a:v1"), o)
		d, _, _ := s.pull(t, "a:v1")
		a := s.artifactOf(t, d)
		for _, c := range tc.changes {
			c(a)
		}
		s.putArtifact(t, first.Digest, a)
		o.Kernel, o.IfNeeded = key, true
		before := s.count(http.MethodGet, layerDigest)
		again := label(t, s.open(t, "a:v1"), o)
		if read := s.count(http.MethodGet, layerDigest) > before; read != tc.read || again.Images[0].Believed == tc.read {
			t.Errorf("%s: the layer was read: %t", name, read)
		}
	}
}

// TestWhoIsAsked: whether there is a signature is asked of the repository where
// the image is to be, and of every image of an index, not of the index, whose
// signature says nothing of digests that are read.
func TestWhoIsAsked(t *testing.T) {
	s := newStore(t)
	fam := pushFamily(t, s, "a:v1")
	first := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	for repo, to := range map[string]string{"a": "", "b": "b:v1"} {
		f := &fakeSigner{has: true}
		o := signing(f)
		o.IfNeeded = true
		if to != "" {
			o.To = s.open(t, to)
		}
		label(t, s.open(t, "a:v1"), o)
		var want []string
		for _, was := range []v1.Hash{fam.amd.Digest, fam.arm.Digest} {
			want = append(want, s.host+"/"+repo+"@"+sealedAs(t, first, was).String())
		}
		if !slices.Equal(f.asked, want) {
			t.Errorf("asked for %q, want %q", f.asked, want)
		}
	}
}

// TestSignOnlyImages: what an index names besides images is not signed, by
// whatever it can be told; an image, or an index, that is named twice is signed
// once.
func TestSignOnlyImages(t *testing.T) {
	windows, image := on("windows/amd64"), platform("windows", "amd64")
	artifact := plain
	artifact.manifest = strings.Replace(plain.manifest, "application/vnd.oci.image.config.v1+json", "application/vnd.example", 1)
	for name, tc := range map[string]struct {
		more   func(v1.Descriptor) string // how the index names the other
		other  handmade
		signed bool
	}{
		"image": {func(d v1.Descriptor) string { return listing(d, windows) }, image, true},
		"about another": {func(d v1.Descriptor) string {
			return listing(d, windows+`,"annotations":{"vnd.docker.reference.type":"x"}`)
		}, image, false},
		"of another type": {func(d v1.Descriptor) string { return listing(d, windows+`,"artifactType":"application/vnd.example"`) }, image, false},
		"of no platform":  {func(d v1.Descriptor) string { return listing(d, on("unknown/unknown")) }, image, false},
		"no manifest": {func(d v1.Descriptor) string {
			d.MediaType = "application/vnd.example"
			return listing(d, windows)
		}, image, false},
		"type without platform":   {func(d v1.Descriptor) string { return listing(d, `,"artifactType":"application/vnd.example"`) }, image, false},
		"found to be none":        {func(d v1.Descriptor) string { return listing(d, "") }, artifact, false},
		"none, for half a system": {func(d v1.Descriptor) string { return listing(d, `,"platform":{"os":"","architecture":"amd64"}`) }, artifact, false},
	} {
		s := newStore(t)
		amd, other := s.push(t, "a:amd", plain), s.push(t, "a:other", tc.other)
		inner := s.putText(t, "a:inner", types.OCIImageIndex, indexOf(listing(amd, on("linux/amd64")), tc.more(other)))
		s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(amd, on("linux/amd64")), listing(amd, on("linux/amd64")),
			tc.more(other), tc.more(other), listing(inner, ""), listing(inner, "")))
		f := &fakeSigner{}
		sealed := label(t, s.open(t, "a:v1"), signing(f))
		want := 3 // the image, the index in the index, and the index
		if tc.signed {
			want++
		}
		if slices.Contains(f.signed, other.Digest.String()) != tc.signed || len(f.signed) != want || len(sealed.Signed) != want {
			t.Errorf("%s: signed are %q of %s", name, f.signed, other.Digest)
		}
	}
}

// TestSignLeavesSkipped: an image of which is found by its layers alone that it
// cannot be sealed is not signed.
func TestSignLeavesSkipped(t *testing.T) {
	s := newStore(t)
	good := s.push(t, "a:good", plain)
	h := platform("linux", "arm64")
	h.config = strings.Replace(h.config, `"DIFFID"`, `"sha256:`+hexOf("0")+`"`, 1)
	bad := s.push(t, "a:bad", h)
	s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(good, on("linux/amd64")), listing(bad, on("linux/arm64"))))
	f := &fakeSigner{}
	o := signing(f)
	o.SkipUnsealable = true
	sealed := label(t, s.open(t, "a:v1"), o)
	if want := []string{sealed.Images[0].Sealed.String(), sealed.Digest.String()}; len(sealed.Skipped) != 1 || !slices.Equal(f.signed, want) {
		t.Errorf("skipped %v, signed %q, want %q", sealed.Skipped, f.signed, want)
	}
}

// TestSignNarrowedWarns: an index is signed as a whole though a run looked at
// some of its images alone, and those that it did not look at are told; where it
// looked at all that it seals, nothing is.
func TestSignNarrowedWarns(t *testing.T) {
	const warning = "the index is signed with images in it that this run did not look at: "
	for _, platforms := range [][]string{{"linux/amd64"}, nil} {
		s := newStore(t)
		pushFamily(t, s, "a:v1")
		warnings := &talk{}
		o := signing(&fakeSigner{})
		o.Options = only(platforms...)
		o.Warn = warnings.warn
		label(t, s.open(t, "a:v1"), o)
		if platforms != nil {
			warnings.want(t, warning+"linux/arm64/v8, windows/amd64")
		} else if strings.Contains(strings.Join(warnings.said, "\n"), warning) {
			t.Errorf("warned of %q", warnings.said)
		}
	}
}

// TestSign: of an index that platforms narrow, the images are signed and not the
// index; without them the index last of all, and what is in it if that is asked
// for.
func TestSign(t *testing.T) {
	for name, tc := range map[string]struct {
		platforms []string
		recursive bool
		want      int
		top       bool
	}{
		"whole":               {nil, true, 5, true},
		"the top alone":       {nil, false, 1, true},
		"narrowed":            {[]string{"linux/amd64"}, false, 1, false},
		"narrowed, recursive": {[]string{"linux/amd64"}, true, 1, false},
	} {
		s := newStore(t)
		fam := pushFamily(t, s, "a:v1")
		sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
		f := &fakeSigner{}
		_, signed, err := cfslabel.Sign(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{Platforms: only(tc.platforms...).Platforms},
			&cfslabel.Signing{Signer: f, Recursive: tc.recursive})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		last := sealedAs(t, sealed, fam.amd.Digest).String()
		if tc.top {
			last = sealed.Digest.String()
		}
		if len(f.signed) != tc.want || f.signed[tc.want-1] != last || len(signed) != tc.want {
			t.Errorf("%s: signed are %q, want %d and %s last", name, f.signed, tc.want, last)
		}
	}
}

// TestSignRefuses: nothing is signed where nobody signs, where the registry takes
// no signatures, which is found before a layer is read, and where the image is
// not what it says.
func TestSignRefuses(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", sealedWith(minimal, "", ""))
	s.push(t, "a:v2", sealedWith(forged.String(), "", ""))
	for _, signing := range []*cfslabel.Signing{nil, {Recursive: true}} {
		_, signed, err := cfslabel.Sign(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{}, signing)
		if !errors.Is(err, cfslabel.ErrOptions) || signed != nil {
			t.Errorf("%+v: got %v", signing, err)
		}
	}
	f := &fakeSigner{}
	verified, signed, err := cfslabel.Sign(t.Context(), s.open(t, "a:v2"), cfslabel.VerifyOptions{}, &cfslabel.Signing{Signer: f})
	if _, ok := errors.AsType[*cfslabel.MismatchError](err); !ok || signed != nil || verified == nil || len(verified.Findings) == 0 {
		t.Errorf("mismatch: got %+v, %v", verified, err)
	}
	before := s.count(http.MethodGet, layerDigest)
	s.intercept = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost {
			return false
		}
		http.Error(w, "no", http.StatusForbidden)
		return true
	}
	_, _, err = cfslabel.Sign(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{}, &cfslabel.Signing{Signer: f})
	if err == nil || s.count(http.MethodGet, layerDigest) != before {
		t.Errorf("no leave to push: got %v", err)
	}
	if len(f.signed) != 0 {
		t.Errorf("signed are %q", f.signed)
	}
}

// TestCheckSignsNothing: a check that is to sign for the kernel contradicts itself.
func TestCheckSignsNothing(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{Check: true, Kernel: kernelKey(t, "one")})
	if !errors.Is(err, cfslabel.ErrOptions) || len(s.asked) != 0 {
		t.Errorf("got %v, asked was %q", err, s.asked)
	}
}
