// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign"
)

// fakeSigner remembers what it was to do, and looks at the store while it does.
type fakeSigner struct {
	unready error                 // what Check finds
	has     bool                  // what Has finds
	fails   func(sign.Image) bool // what Sign fails for
	half    sign.Result           // what it has made when it fails
	look    func(sign.Image)      // is called by Sign

	mu      sync.Mutex
	checked int
	asked   []string // of Has
	signed  []string
}

var errSigner = errors.New("the signer failed")

func (f *fakeSigner) Check(context.Context) error {
	f.checked++
	return f.unready
}

func (f *fakeSigner) Has(_ context.Context, im sign.Image) (bool, error) {
	f.asked = append(f.asked, im.Name.String())
	return f.has, nil
}

func (f *fakeSigner) Sign(_ context.Context, im sign.Image) (sign.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.look != nil {
		f.look(im)
	}
	if f.fails != nil && f.fails(im) {
		return f.half, errSigner
	}
	f.signed = append(f.signed, im.Name.DigestStr())
	return sign.Result{Made: []sign.Made{{Format: sign.Legacy}}}, nil
}

// signing is LabelOptions that sign.
func signing(f *fakeSigner) cfslabel.LabelOptions {
	return cfslabel.LabelOptions{Signing: &cfslabel.Signing{Signer: f, Recursive: true}}
}

// TestSignOrder: what is signed is in the registry, and no tag names it yet; what
// is at the top is signed when all below it is.
func TestSignOrder(t *testing.T) {
	s := newStore(t)
	pushFamily(t, s, "a:v1")
	before, _, err := s.open(t, "a:v1").Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeSigner{look: func(im sign.Image) {
		s.text(t, "a", digestHash(t, im.Name.DigestStr()))
		s.wantTag(t, "a:v1", before.Digest)
	}}
	sealed := label(t, s.open(t, "a:v1"), signing(f))
	s.wantTag(t, "a:v1", sealed.Digest)
	if len(f.signed) != 5 || f.signed[4] != sealed.Digest.String() {
		t.Errorf("signed are %q", f.signed)
	}
	if len(sealed.Signed) != 5 || sealed.Signed[4].Digest != sealed.Digest || sealed.Signed[4].Made[0].Format != sign.Legacy {
		t.Errorf("told of %+v", sealed.Signed)
	}
}

func digestHash(t *testing.T, text string) v1.Hash {
	t.Helper()
	h, err := v1.NewHash(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestSignWhich: of an index are signed the images that were sealed, those of
// other systems, and the indexes; neither what is about another, nor what was
// skipped or narrowed out, nor, unless that is asked for, anything but the top.
func TestSignWhich(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*cfslabel.LabelOptions)
		want   string // of amd, arm, inner index, windows, bad
	}{
		"all":           {func(*cfslabel.LabelOptions) {}, "amd arm inner windows"},
		"the top alone": {func(o *cfslabel.LabelOptions) { o.Signing.Recursive = false }, ""},
		"narrowed":      {func(o *cfslabel.LabelOptions) { o.Options = only("linux/amd64") }, "amd"},
		"by artifact":   {func(o *cfslabel.LabelOptions) { o.Write = beside }, "amd arm inner windows"},
	} {
		s := newStore(t)
		fam := pushFamily(t, s, "a:fam")
		bad := s.putText(t, "a:bad", types.OCIManifestSchema1, "{}")
		s.putText(t, "a:v1", types.OCIImageIndex, strings.Replace(fam.text, `"manifests": [`, `"manifests": [`+listing(bad, on("linux/s390x"))+`,`, 1))
		f := &fakeSigner{}
		o := signing(f)
		o.SkipUnsealable = true
		tc.change(&o)
		sealed := label(t, s.open(t, "a:v1"), o)
		names := map[string]string{
			sealedDigest(sealed, fam.amd.Digest): "amd", sealedDigest(sealed, fam.arm.Digest): "arm",
			fam.windows.Digest.String(): "windows", bad.Digest.String(): "bad", fam.att.Digest.String(): "attestation",
		}
		var got []string
		for _, d := range f.signed[:len(f.signed)-1] {
			name, ok := names[d]
			if !ok {
				name = "inner"
			}
			got = append(got, name)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != tc.want || f.signed[len(f.signed)-1] != sealed.Digest.String() {
			t.Errorf("%s: signed are %q and %s, want %q", name, got, f.signed[len(f.signed)-1], tc.want)
		}
	}
}

// sealedDigest is sealedAs for an image that may not be sealed.
func sealedDigest(sealed *cfslabel.Sealed, was v1.Hash) string {
	for _, img := range sealed.Images {
		if img.Manifest == was {
			return img.Sealed.String()
		}
	}
	return was.String()
}

// TestSignerUnready: a signer that cannot sign ends the run before a layer is
// read and anything is pushed.
func TestSignerUnready(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), signing(&fakeSigner{unready: errSigner}))
	if !errors.Is(err, errSigner) {
		t.Errorf("got %v", err)
	}
	if gets, puts := s.count(http.MethodGet, "/blobs/"), s.count(http.MethodPut, ""); gets != 0 || puts != 0 {
		t.Errorf("%d blobs were read, and %d things pushed", gets, puts)
	}
}

// TestSignFails: where one image of an index cannot be signed, the top is not
// signed and no tag is moved; those that were signed are told.
func TestSignFails(t *testing.T) {
	s := newStore(t)
	fam := pushFamily(t, s, "a:v1")
	before, _, err := s.open(t, "a:v1").Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeSigner{fails: func(im sign.Image) bool { return im.Name.DigestStr() == fam.windows.Digest.String() }}
	sealed, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), signing(f))
	if !errors.Is(err, errSigner) {
		t.Fatalf("got %v", err)
	}
	s.wantTag(t, "a:v1", before.Digest)
	if slices.Contains(f.signed, sealed.Digest.String()) || len(sealed.Signed) != len(f.signed) || len(sealed.Tags) != 0 {
		t.Errorf("signed are %q, told of %+v and the tags %q", f.signed, sealed.Signed, sealed.Tags)
	}
}

// TestSignHalf: where one of two signatures was made before the other failed, that
// is told.
func TestSignHalf(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	half := sign.Result{Made: []sign.Made{{Format: sign.Legacy, LogIndexes: []int64{7}}}}
	f := &fakeSigner{fails: func(sign.Image) bool { return true }, half: half}
	sealed, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), signing(f))
	if !errors.Is(err, errSigner) || len(sealed.Signed) != 1 || !slices.Equal(sealed.Signed[0].Made[0].LogIndexes, []int64{7}) {
		t.Errorf("got %v, told of %+v", err, sealed.Signed)
	}
}

// TestSignNothing: a dry run asks whether it could sign, and signs nothing; a
// check, and what is in no registry, cannot be signed.
func TestSignNothing(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	f := &fakeSigner{}
	o := signing(f)
	o.DryRun = true
	if sealed := label(t, s.open(t, "a:v1"), o); f.checked != 1 || len(f.signed) != 0 || len(sealed.Signed) != 0 {
		t.Errorf("dry run: checked %d times, signed %q", f.checked, f.signed)
	}
	o = signing(f)
	o.Check = true
	if _, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), o); !errors.Is(err, cfslabel.ErrOptions) {
		t.Errorf("check: got %v", err)
	}
	layout, err := remote.OpenTarget(t.Context(), "oci:"+filepath.Join(t.TempDir(), "new")+":v1", remote.Options{Layout: cfslabel.LayoutEditor{}})
	if err != nil {
		t.Fatal(err)
	}
	o = signing(f)
	o.To = layout
	if _, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), o); !errors.Is(err, cfslabel.ErrOptions) {
		t.Errorf("layout: got %v", err)
	}
	if s.count(http.MethodPut, "") != 0 || len(f.signed) != 0 {
		t.Error("something was pushed or signed")
	}
}

// TestSignIfNeeded: the digests of an earlier seal are believed only if what was
// read has the signature that the run would make.
func TestSignIfNeeded(t *testing.T) {
	for _, has := range []bool{false, true} {
		s := newStore(t)
		s.push(t, "a:v1", plain)
		first := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
		before := s.count(http.MethodGet, layerDigest)
		f := &fakeSigner{has: has}
		o := signing(f)
		o.IfNeeded = true
		again := label(t, s.open(t, "a:v1"), o)
		if read := s.count(http.MethodGet, layerDigest) > before; read == has || again.Images[0].Believed != has {
			t.Errorf("signed is %t, the layer was read: %t", has, read)
		}
		if want := s.host + "/a@" + first.Digest.String(); !slices.Equal(f.asked, []string{want}) || again.Digest != first.Digest {
			t.Errorf("asked for %q, want %q", f.asked, want)
		}
		if !slices.Equal(f.signed, []string{first.Digest.String()}) {
			t.Errorf("signed are %q", f.signed)
		}
	}
}
