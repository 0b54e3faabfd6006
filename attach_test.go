// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// hsm is a key that the program does not have.
type hsm struct {
	key  *ecdsa.PrivateKey
	cert *pkcs7.Certificate
}

func newHSM(t *testing.T) *hsm {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "HSM"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pkcs7.LoadCertificate(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return &hsm{key, cert}
}

// sign returns the signatures of the entries by the names of their files.
func (h *hsm) sign(t *testing.T, d *cfslabel.Detached) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, e := range d.Entries {
		hash := map[fsverity.Algorithm]crypto.Hash{fsverity.SHA256: crypto.SHA256, fsverity.SHA512: crypto.SHA512}[e.Digest.Algorithm()].New()
		hash.Write(e.ToBeSigned())
		signature, err := ecdsa.SignASN1(rand.Reader, h.key, hash.Sum(nil))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Signature] = signature
	}
	return files
}

func (h *hsm) options(d *cfslabel.Detached, files map[string][]byte) cfslabel.AttachOptions {
	return cfslabel.AttachOptions{
		Detached: d, Certificate: h.cert,
		Signature: func(name string) ([]byte, error) {
			if data, ok := files[name]; ok {
				return data, nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	}
}

// attach attaches what must be taken.
func (h *hsm) attach(t *testing.T, ref *remote.Ref, d *cfslabel.Detached) *cfslabel.Attached {
	t.Helper()
	done, err := cfslabel.Attach(t.Context(), ref, h.options(d, h.sign(t, d)))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// artifact returns an artifact of the store.
func (s *store) artifact(t *testing.T, d v1.Hash) *image.Artifact {
	t.Helper()
	repo := s.openBy(t, "a:x", s.inside()).Repo
	a, err := image.ParseArtifact(s.text(t, "a", d), func(d v1.Descriptor) ([]byte, error) {
		return repo.BlobBytes(t.Context(), d, image.MaxSignatureSize)
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wrote returns how many requests wrote, but for those that ask for permission.
func (s *store) wrote() int { return s.count(http.MethodPut, "") + s.count(http.MethodPatch, "") }

// TestAttach: beside each image of an index, and for each algorithm, there is one
// artifact with the signatures of all its digests; nothing else changes. The same
// again, also signed anew, pushes nothing.
func TestAttach(t *testing.T) {
	s, h := newStore(t), newHSM(t)
	f := pushFamily(t, s, "a:v1")
	top, _, err := s.openBy(t, "a:v1", s.inside()).Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := s.toBeSigned(t, "a:v1", both...)
	done := h.attach(t, s.open(t, "a:v1"), d)
	s.wantTag(t, "a:v1", top.Digest)
	if done.Digest != top.Digest || len(done.Artifacts) != 4 || len(s.referrers(t, "a", top.Digest)) > 0 {
		t.Fatalf("got %+v", done)
	}
	for i, a := range done.Artifacts {
		subject := []v1.Hash{f.amd.Digest, f.arm.Digest}[i/2]
		got := s.artifact(t, a.Digest)
		if a.Present || a.Manifest != subject || got.Subject.Digest != subject || got.Algorithm() != both[i%2] || len(s.referrers(t, "a", subject)) != 2 {
			t.Errorf("%d: got %+v of %+v", i, a, got.Subject)
		}
		if !slices.Equal(a.Roles, []image.Role{image.RoleManifest, image.RoleConfig, image.RoleMerged}) {
			t.Errorf("%d: roles %v", i, a.Roles)
		}
		for _, e := range got.Entries {
			if err := h.cert.Verify(e.Digest, e.Signature); err != nil {
				t.Errorf("%d: %s: %v", i, e.Role, err)
			}
		}
		if a := got.Annotations; len(a) != 1 || a[0].Key != image.InputKey || a[0].Value != d.Entries[3*i].Input {
			t.Errorf("%d: annotations %v", i, a)
		}
	}
	if s.count(http.MethodGet, "/blobs/"+layerDigest) > 1 {
		t.Error("it read a layer")
	}
	before := s.wrote()
	again := h.attach(t, s.open(t, "a:v1"), d)
	if s.wrote() != before {
		t.Error("again, it wrote")
	}
	for i, a := range again.Artifacts {
		if !a.Present || a.Digest != done.Artifacts[i].Digest {
			t.Errorf("again: %+v", a)
		}
	}
}

// TestAttachBesideOthers: an artifact that is not signed gives way to the signed
// one; what others signed stays.
func TestAttachBesideOthers(t *testing.T) {
	s, h, other := newStore(t), newHSM(t), newHSM(t)
	d := s.push(t, "a:v1", plain)
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside})
	todo := s.toBeSigned(t, "a:v1")
	theirs := other.attach(t, s.open(t, "a:v1"), todo).Artifacts[0]
	if list := s.referrers(t, "a", d.Digest); len(list) != 1 || list[0].Digest != theirs.Digest {
		t.Fatalf("there are %v", list)
	}
	ours := h.attach(t, s.open(t, "a:v1"), todo).Artifacts[0]
	list := s.referrers(t, "a", d.Digest)
	if len(list) != 2 || ours.Digest == theirs.Digest || ours.Present {
		t.Errorf("there are %v", list)
	}
	if again := other.attach(t, s.open(t, "a:v1"), todo).Artifacts[0]; !again.Present || again.Digest != theirs.Digest {
		t.Errorf("theirs again: %+v", again)
	}
}

// TestAttachRefuses: whatever is wrong with a signature, or with what was to be
// signed, nothing is pushed, also not what was right, and the error says which.
// Signatures are made after the change: they alone do not show it.
func TestAttachRefuses(t *testing.T) {
	key, other := newHSM(t), newHSM(t)
	last := func(d *cfslabel.Detached) *cfslabel.DetachedEntry { return &d.Entries[len(d.Entries)-1] }
	wrong := fsverity.Sum(fsverity.SHA512, nil)
	for name, tc := range map[string]struct {
		change func(d *cfslabel.Detached)
		sign   func(files map[string][]byte)
		want   error
		says   string
	}{
		"missing": {sign: func(files map[string][]byte) {
			delete(files, "linux-arm64.sha512.merged.sig")
			delete(files, "linux-amd64.sha512.config.sig")
		}, want: cfslabel.ErrUnsigned, says: ": linux-amd64.sha512.config.sig, linux-arm64.sha512.merged.sig"},
		"of another digest": {sign: func(files map[string][]byte) {
			files["linux-arm64.sha512.merged.sig"] = files["linux-arm64.sha512.config.sig"]
		}, want: pkcs7.ErrOtherDigest, says: "linux-arm64.sha512.merged.sig"},
		"no signature": {sign: func(files map[string][]byte) { files["linux-arm64.sha512.config.sig"] = nil }, want: pkcs7.ErrOtherDigest, says: "arm64.sha512.config.sig"},
		"text": {sign: func(files map[string][]byte) {
			files["linux-arm64.sha512.config.sig"] = []byte("-----BEGIN PKCS7-----\n")
		}, want: pkcs7.ErrFormat, says: "arm64.sha512.config.sig"},

		"another merged digest":   {change: func(d *cfslabel.Detached) { last(d).Digest = wrong }, want: cfslabel.ErrOtherImage, says: "index.json"},
		"another config digest":   {change: func(d *cfslabel.Detached) { d.Entries[4].Digest = wrong }, want: cfslabel.ErrOtherImage},
		"another manifest digest": {change: func(d *cfslabel.Detached) { d.Entries[3].Digest = wrong }, want: cfslabel.ErrOtherImage},
		"another input":           {change: func(d *cfslabel.Detached) { last(d).Input = minimalInput[:70] + "0" }, want: cfslabel.ErrOtherImage},
		"another role":            {change: func(d *cfslabel.Detached) { last(d).Role = image.RoleMergedBootable }, want: cfslabel.ErrOtherImage},
		"a role less":             {change: func(d *cfslabel.Detached) { d.Entries = slices.Delete(d.Entries, 4, 5) }, want: cfslabel.ErrOtherImage},
		"no merged digest":        {change: func(d *cfslabel.Detached) { d.Entries = d.Entries[:5] }, want: cfslabel.ErrOtherImage},
		"another order": {change: func(d *cfslabel.Detached) {
			d.Entries[3].Role, d.Entries[4].Role = d.Entries[4].Role, d.Entries[3].Role
		}, want: cfslabel.ErrOtherImage},
		"an image that is not there": {change: func(d *cfslabel.Detached) {
			for i := range 3 {
				d.Entries[3+i].Manifest.Digest = digestOf([]byte("x"))
			}
		}, want: cfslabel.ErrOtherImage, says: "run cfs-label to-be-signed again"},
		"the index": {change: func(d *cfslabel.Detached) {
			for i := range 3 {
				d.Entries[3+i].Manifest.Digest = d.Digest
			}
		}, want: cfslabel.ErrOtherImage, says: "is an index"},
		"another size": {change: func(d *cfslabel.Detached) { last(d).Manifest.Size++ }, want: cfslabel.ErrOtherImage},
		"another size of all": {change: func(d *cfslabel.Detached) {
			for i := range 3 {
				d.Entries[3+i].Manifest.Size++
			}
		}, want: cfslabel.ErrOtherImage},
		"another media type": {change: func(d *cfslabel.Detached) { d.Entries[3].Manifest.MediaType = types.DockerManifestSchema2 }, want: cfslabel.ErrOtherImage},
	} {
		s := newStore(t)
		entries := []string{listing(s.push(t, "a:amd", plain), on("linux/amd64")), listing(s.push(t, "a:arm", platform("linux", "arm64")), on("linux/arm64"))}
		s.putText(t, "a:v1", types.OCIImageIndex, indexOf(entries...))
		d := s.toBeSigned(t, "a:v1")
		if tc.change != nil {
			tc.change(d)
		}
		files := key.sign(t, d)
		if tc.sign != nil {
			tc.sign(files)
		}
		_, err := cfslabel.Attach(t.Context(), s.open(t, "a:v1"), key.options(d, files))
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v", name, err)
		}
		if s.wrote() > 0 {
			t.Errorf("%s: it wrote", name)
		}
		if tc.change == nil {
			_, err := cfslabel.Attach(t.Context(), s.open(t, "a:v1"), other.options(d, key.sign(t, d)))
			if !errors.Is(err, pkcs7.ErrOtherDigest) || s.wrote() > 0 {
				t.Errorf("by another key: got %v", err)
			}
		}
	}
}

// sealedWith returns plain with a label, an annotation of the manifest, and one of
// the config descriptor, where they are not "".
func sealedWith(label, manifest, config string) handmade {
	h := plain
	if label != "" {
		h.config = strings.Replace(h.config, `{`, fmt.Sprintf(`{"config":{"Labels":{%q:%q}},`, image.LabelKey, label), 1)
	}
	if config != "" {
		h.manifest = strings.Replace(h.manifest, `"size":CONFIGSIZE`, fmt.Sprintf(`"size":CONFIGSIZE,"annotations":{"composefs.config.fsverity-sha512-12":%q}`, config), 1)
	}
	if manifest != "" {
		h.manifest = strings.Replace(h.manifest, `{`, fmt.Sprintf(`{"annotations":{"composefs.merged.erofs.v1.fsverity-sha512-12":%q},`, manifest), 1)
	}
	return h
}

// TestAttachContradictions: signatures of digests that the image itself, or an
// artifact beside it, denies are refused, for nobody knows who is right before the
// layers are read. A label may be of another format than V1, so it is told; what
// is of another algorithm says nothing.
func TestAttachContradictions(t *testing.T) {
	key := newHSM(t)
	wrong := fsverity.Sum(fsverity.SHA512, nil).String()
	for name, tc := range map[string]struct {
		image handmade
		there func(*image.Artifact)
		finds string
		warns string
	}{
		"none":                      {image: plain},
		"the same":                  {image: sealedWith(minimal, minimal, "")},
		"label":                     {image: sealedWith(wrong, "", ""), warns: "the label containers.composefs.fsverity names another digest, which may be that of another format: " + wrong},
		"label, prefixed":           {image: sealedWith("sha512:"+wrong, "", ""), warns: "the label"},
		"label, prefixed, the same": {image: sealedWith("sha512:"+minimal, "", "")},
		"label, another algorithm":  {image: sealedWith(wrong[:64], "", "")},
		"label, annotation right":   {image: sealedWith(wrong, minimal, ""), warns: "may be that of another format"},
		"label, annotation wrong":   {image: sealedWith(wrong, wrong, ""), finds: "an annotation of the manifest", warns: "the label"},
		"annotation":                {image: sealedWith(minimal, wrong, ""), finds: "an annotation of the manifest says of merged sha512 " + wrong},
		"config":                    {image: sealedWith("", "", wrong), finds: "an annotation of the config descriptor says of config"},
		"artifact":                  {image: plain, there: spoil(image.RoleMerged), finds: "the artifact sha256:"},
		"artifact, signed":          {image: plain, there: func(a *image.Artifact) { forge(a); spoil(image.RoleMerged)(a) }, finds: "says of merged"},
		"artifact, right":           {image: plain, there: func(*image.Artifact) {}},
	} {
		s := newStore(t)
		pushed := s.push(t, "a:v1", tc.image)
		d := s.toBeSigned(t, "a:v1")
		if tc.there != nil {
			a := s.artifactOf(t, pushed)
			tc.there(a)
			s.putArtifact(t, pushed.Digest, a)
		}
		var told talk
		o := key.options(d, key.sign(t, d))
		o.Warn = told.warn
		_, err := cfslabel.Attach(t.Context(), s.open(t, "a:v1"), o)
		_, isMismatch := errors.AsType[*cfslabel.MismatchError](err)
		if tc.finds == "" && err != nil || tc.finds != "" && (!isMismatch || !strings.Contains(err.Error(), tc.finds)) {
			t.Errorf("%s: got %v, want %q", name, err, tc.finds)
		}
		if wrote := s.wrote() > 0; wrote != (tc.finds == "") {
			t.Errorf("%s: it wrote: %v", name, wrote)
		}
		if said := strings.Join(told.said, "\n"); !strings.Contains(said, tc.warns) || tc.warns == "" && said != "" {
			t.Errorf("%s: told is %q", name, said)
		}
	}
}

// TestAttachXattrs: what was computed with other extended attributes is attached
// with a key of its input that says so.
func TestAttachXattrs(t *testing.T) {
	s, h := newStore(t), newHSM(t)
	s.push(t, "a:v1", plain)
	o := cfslabel.ToBeSignedOptions{Options: cfslabel.Options{Xattrs: []transform.Xattrs{transform.KeepUserXattrs}}}
	d, err := cfslabel.ToBeSigned(t.Context(), s.open(t, "a:v1"), o)
	if err != nil {
		t.Fatal(err)
	}
	done := h.attach(t, s.open(t, "a:v1"), d)
	if got := s.artifact(t, done.Artifacts[0].Digest).Annotations[0].Value; got == minimalInput || got != d.Entries[0].Input {
		t.Errorf("the input is %s", got)
	}
}

// TestAttachAsksFirst: who may not push is told so before anything is read; a dry
// run does not ask, and pushes nothing.
func TestAttachAsksFirst(t *testing.T) {
	s, h := newStore(t), newHSM(t)
	pushed := s.push(t, "a:v1", plain)
	d := s.toBeSigned(t, "a:v1")
	s.intercept = func(w http.ResponseWriter, req *http.Request) bool {
		isRead := req.Method == http.MethodGet || req.Method == http.MethodHead
		if !isRead {
			w.WriteHeader(http.StatusForbidden)
		}
		return !isRead
	}
	reads := s.count(http.MethodGet, "/manifests/")
	o := h.options(d, h.sign(t, d))
	if _, err := cfslabel.Attach(t.Context(), s.open(t, "a:v1"), o); !errors.Is(err, remote.ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
	if n := s.count(http.MethodGet, "/manifests/"); n != reads {
		t.Errorf("it read %d manifests", n-reads)
	}
	o.DryRun = true
	done, err := cfslabel.Attach(t.Context(), s.open(t, "a:v1"), o)
	if err != nil || len(done.Artifacts) != 1 || done.Artifacts[0].Present || len(s.referrers(t, "a", pushed.Digest)) > 0 {
		t.Errorf("dry run: got %+v, %v", done, err)
	}
}
