// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/layers"
	"github.com/cfs-label/cfs-label/remote"
	signs "github.com/cfs-label/cfs-label/sign"
)

// TestVerifyWhatLabelWrites: whatever Label writes verifies, and each object is
// told to hold.
func TestVerifyWhatLabelWrites(t *testing.T) {
	v2first := []erofs.Format{erofs.V2, erofs.V0, erofs.V1}
	for name, tc := range map[string]struct {
		o       cfslabel.LabelOptions
		objects int
	}{
		"by default":      {cfslabel.LabelOptions{}, 4},
		"label":           {cfslabel.LabelOptions{Write: []cfslabel.Place{cfslabel.InLabel}}, 1},
		"prefixed":        {cfslabel.LabelOptions{LabelFormat: cfslabel.Prefixed}, 4},
		"annotations":     {cfslabel.LabelOptions{Write: []cfslabel.Place{cfslabel.InAnnotations}}, 3},
		"artifact":        {cfslabel.LabelOptions{Write: beside}, 4},
		"all":             {cfslabel.LabelOptions{Write: []cfslabel.Place{cfslabel.InLabel, cfslabel.InAnnotations, cfslabel.InArtifact}, Options: cfslabel.Options{Algorithms: both}}, 14},
		"all formats":     {cfslabel.LabelOptions{Options: cfslabel.Options{Formats: v2first, Algorithms: both}}, 6},
		"SHA-256":         {cfslabel.LabelOptions{Options: cfslabel.Options{Algorithms: []fsverity.Algorithm{fsverity.SHA256}}}, 4},
		"a V0 label":      {cfslabel.LabelOptions{Options: cfslabel.Options{Formats: []erofs.Format{erofs.V0}}}, 1},
		"V2 and artifact": {cfslabel.LabelOptions{Write: []cfslabel.Place{cfslabel.InLabel, cfslabel.InArtifact}, Options: cfslabel.Options{Formats: []erofs.Format{erofs.V2}}}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			s.push(t, "a:v1", plain)
			sealed := label(t, s.open(t, "a:v1"), tc.o)
			verified, err := cfslabel.Verify(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if verified.Digest != sealed.Digest || len(verified.Images) != 1 || len(verified.Images[0].Objects) != tc.objects || len(verified.Findings) > 0 {
				t.Errorf("got %+v", verified)
			}
			for _, o := range verified.Images[0].Objects {
				if o.State != cfslabel.Holds || o.Found == "" || o.Key != image.InputKey && o.Computed != strings.TrimPrefix(o.Found, "sha512:") {
					t.Errorf("%s: %+v", o, o)
				}
			}
		})
	}
}

// TestVerifyOddImage: what a seal leaves as it is, on a layer, is not checked, is
// told, and is no finding.
func TestVerifyOddImage(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", odd)
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	told := &talk{}
	_, err := cfslabel.Verify(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{Warn: told.warn})
	wantFindings(t, err)
	told.want(t, "the layer annotation composefs.merged.x is not where")
}

// TestVerifyNothing: an image of which nothing is said is not sealed, and its
// layers are not read for that.
func TestVerifyNothing(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	verified, err := cfslabel.Verify(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{})
	wantFindings(t, err, "it is not sealed")
	if verified == nil || len(verified.Images) != 1 || s.count(http.MethodGet, "/blobs/"+layerDigest) > 0 {
		t.Errorf("got %+v", verified)
	}
}

// TestVerifyOnlyConfigDigest: to say the digest of the config alone does not make
// a sealed image.
func TestVerifyOnlyConfigDigest(t *testing.T) {
	st := newStore(t)
	s := newSealed(t, nil, true)
	s.annotations, s.labels = nil, nil
	s.config = map[string]string{configKey: fsverity.Sum(fsverity.SHA512, s.configText()).String()}
	s.push(st)
	_, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), cfslabel.VerifyOptions{})
	wantFindings(t, err, "has no "+mergedKey)
}

// TestVerifyLabelFormats: a label may be of any format unless told otherwise; one
// that is asked for must be there.
func TestVerifyLabelFormats(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{
		Options: cfslabel.Options{Formats: []erofs.Format{erofs.V2, erofs.V1}}, LabelKeys: []string{image.LabelKey, "org.example"},
	})
	for name, tc := range map[string]struct {
		o    cfslabel.VerifyOptions
		want []string
	}{
		"any":           {cfslabel.VerifyOptions{}, nil},
		"V2":            {cfslabel.VerifyOptions{Formats: []erofs.Format{erofs.V2}}, nil},
		"V1":            {cfslabel.VerifyOptions{Formats: []erofs.Format{erofs.V1}}, []string{"is the digest in format v2, which is not accepted"}},
		"another label": {cfslabel.VerifyOptions{LabelKeys: []string{"org.example"}}, nil},
		"not there":     {cfslabel.VerifyOptions{LabelKeys: []string{"org.other"}}, []string{"the label org.other is missing"}},
	} {
		verified, err := cfslabel.Verify(t.Context(), s.open(t, "a:v1"), tc.o)
		wantFindings(t, err, tc.want...)
		if o := verified.Images[0].Objects[0]; o.Where != "label" || o.Format != "v2" {
			t.Errorf("%s: got %+v", name, o)
		}
	}
}

// TestVerifyIndex: each image is looked at, findings name it, a layer that several
// have is read once, and what is passed over is remembered.
func TestVerifyIndex(t *testing.T) {
	s := newStore(t)
	f := pushFamily(t, s, "a:v1")
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Options: cfslabel.Options{Platforms: []v1.Platform{{OS: "linux", Architecture: "arm64"}}}})
	verified, err := cfslabel.Verify(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{})
	wantFindings(t, err, "linux/amd64: nothing in the image or beside it")
	if len(verified.Findings) != 1 {
		t.Errorf("found is %q", verified.Findings)
	}

	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	reads := s.count(http.MethodGet, "/blobs/"+layerDigest)
	verified, err = cfslabel.Verify(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{})
	wantFindings(t, err)
	if n := s.count(http.MethodGet, "/blobs/"+layerDigest) - reads; n != 1 {
		t.Errorf("the layer was read %d times", n)
	}
	if len(verified.Images) != 2 || len(verified.Indexes) != 2 || verified.Indexes[0] != verified.Digest {
		t.Errorf("got %+v", verified)
	}
	if len(verified.Passed) != 1 || verified.Passed[0] != (cfslabel.PassedImage{Platform: "windows/amd64", Manifest: f.windows.Digest}) {
		t.Errorf("passed is %v", verified.Passed)
	}
	verified, err = cfslabel.Verify(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{Platforms: []v1.Platform{{OS: "linux", Architecture: "amd64"}}})
	wantFindings(t, err)
	if len(verified.Images) != 1 || len(verified.Indexes) != 1 {
		t.Errorf("of one platform: %+v", verified)
	}
}

// TestVerifyEligible: what a host may choose from an index was looked at, or is a
// finding: hosts heed the platform, and neither what else an index says of an image
// nor what system its config names.
func TestVerifyEligible(t *testing.T) {
	about := `,"annotations":{"vnd.docker.reference.type":"attestation-manifest"}`
	artifact := `,"artifactType":"application/x"`
	bsd := platform("freebsd", "amd64")
	for name, tc := range map[string]struct {
		image handmade
		more  string
		want  string // in a finding, or "" for none
		nest  bool   // in an index in the index
	}{
		"about another":                    {plain, on("linux/amd64") + about, "for linux/amd64: it was not looked at, as the index says that it is no image", false},
		"an artifact":                      {plain, on("linux/amd64") + artifact, "for linux/amd64: it was not looked at", false},
		"in an index of its own":           {plain, on("linux/amd64") + artifact, "for linux/amd64: it was not looked at", true},
		"for no platform":                  {bsd, "", "for no platform, so that hosts choose it where there is none for theirs: it was not looked at, as its config says freebsd/amd64", false},
		"an artifact for no platform":      {bsd, artifact, "for no platform", false},
		"of another system":                {bsd, on("freebsd/amd64"), "", false},
		"an attestation":                   {attestation, on("unknown/unknown") + about, "", false},
		"an artifact that is really one":   {wasm, artifact, "", false},
		"such an artifact, for a platform": {wasm, on("linux/amd64") + artifact, "", false},
	} {
		s := newStore(t)
		s.push(t, "a:arm", platform("linux", "arm64"))
		label(t, s.open(t, "a:arm"), cfslabel.LabelOptions{})
		arm, _, _ := s.pull(t, "a:arm")
		child := listing(s.push(t, "a:evil", tc.image), tc.more)
		if tc.nest {
			child = listing(s.putText(t, "a:inner", types.OCIImageIndex, indexOf(child)), "")
		}
		s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(arm, on("linux/arm64")), child))
		_, err := cfslabel.Verify(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{})
		if tc.want == "" {
			wantFindings(t, err)
			continue
		}
		wantFindings(t, err, tc.want)
		if _, err = cfslabel.Verify(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{Platforms: only("linux/arm64").Platforms}); err != nil {
			t.Errorf("%s: of the other platform: %v", name, err)
		}
	}
}

// wasm is an artifact: its config is none of an image.
var wasm = handmade{
	config:   `{}`,
	manifest: `{"schemaVersion":2,"config":{"mediaType":"application/vnd.wasm.config.v0+json","digest":"CONFIGDIGEST","size":CONFIGSIZE},"layers":[]}`,
}

// TestVerifyCopiedAnnotations: annotations of an image that a tool copied to where
// the index names it are told; they are findings only if they say something else.
func TestVerifyCopiedAnnotations(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:amd", plain)
	label(t, s.open(t, "a:amd"), cfslabel.LabelOptions{})
	amd, _, raw := s.pull(t, "a:amd")
	m, err := image.ParseManifest(raw, "")
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{m.Annotations[mergedKey]: "", "00": "where the specification has none"} {
		s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(amd, on("linux/amd64")+fmt.Sprintf(`,"annotations":{%q:%q}`, mergedKey, value))))
		told := &talk{}
		_, err := cfslabel.Verify(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{Warn: told.warn})
		if want == "" {
			wantFindings(t, err)
			told.want(t, "it says what the image says")
			continue
		}
		wantFindings(t, err, want)
	}
}

// TestVerifyNames: an image is called by the platform for which hosts choose it;
// several of one platform are told apart.
func TestVerifyNames(t *testing.T) {
	s := newStore(t)
	one, other := s.push(t, "a:one", plain), s.push(t, "a:other", platform("linux", "s390x"))
	s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(one, on("linux/arm64")), listing(other, on("linux/arm64"))))
	verified, err := cfslabel.Verify(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{})
	wantFindings(t, err, "linux/arm64 ("+one.Digest.String()+"): nothing", "linux/arm64 ("+other.Digest.String()+"): nothing")
	if verified.Images[0].Platform != "linux/arm64" {
		t.Errorf("got %+v", verified.Images)
	}
}

// TestTamperIndex: annotations of a seal in an index are findings, and the
// signature of an index is not one of another.
func TestTamperIndex(t *testing.T) {
	s := newStore(t)
	before := s.push(t, "a:amd", plain)
	d := label(t, s.open(t, "a:amd"), cfslabel.LabelOptions{}).Digest
	size := len(s.text(t, "a", d))
	entry := fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":%d,"platform":{"os":"linux","architecture":"amd64"}}`, d, size)
	good := `{"schemaVersion":2,"manifests":[` + entry + `]}`
	signed := verifier{digestOf([]byte(good)).String(): nil}
	for name, tc := range map[string]struct {
		old, now string
		want     string
		is       error
	}{
		"nothing":                     {"", "", "", nil},
		"annotation of the index":     {`]}`, `],"annotations":{"` + mergedKey + `":"00"}}`, "has the annotation " + mergedKey + ", where", nil},
		"annotation of an entry":      {`"platform"`, `"annotations":{"` + mergedKey + `":"00"},"platform"`, "where it names " + d.String() + ", has the annotation " + mergedKey, nil},
		"platform":                    {"amd64", "arm64", "there is no signature", nil},
		"system":                      {"linux", "windows", "there is nothing to verify", nil},
		"digest":                      {fmt.Sprintf("%q,\"size\":%d", d, size), fmt.Sprintf("%q,\"size\":%d", before.Digest, before.Size), "it is not sealed", nil},
		"size":                        {fmt.Sprint(size), fmt.Sprint(size + 1), "", remote.ErrContent},
		"an entry twice":              {entry, entry + "," + entry, "there is no signature", nil},
		"a byte outside of all of it": {`{"schema`, `{ "schema`, "there is no signature", nil},
	} {
		text := strings.Replace(good, tc.old, tc.now, 1)
		if text == good && name != "nothing" {
			t.Fatalf("%s: nothing was changed", name)
		}
		s.putText(t, "a:v1", types.OCIImageIndex, text)
		_, err := cfslabel.Verify(t.Context(), s.open(t, "a:v1"), cfslabel.VerifyOptions{Verifier: signed})
		switch {
		case tc.is != nil:
			if !errors.Is(err, tc.is) {
				t.Errorf("%s: got %v", name, err)
			}
		case tc.want == "":
			wantFindings(t, err)
		default:
			wantFindings(t, err, tc.want)
		}
	}
}

// TestTamperBytes: bytes of config and layer that are not what manifest and config
// say end it, as does a diff ID of another layer.
func TestTamperBytes(t *testing.T) {
	for name, tc := range map[string]struct {
		diffID string
		blob   func(config []byte) v1.Hash // whose bytes are changed on the way
		want   error
		says   string
	}{
		"config":  {"", digestOf, remote.ErrContent, ""},
		"layer":   {"", func([]byte) v1.Hash { return v1.Hash{Hex: strings.TrimPrefix(layerDigest, "sha256:")} }, layers.ErrDigest, ""},
		"diff ID": {"sha256:" + strings.Repeat("0", 64), nil, cfslabel.ErrMismatch, "it has no digest at all"},
	} {
		st := newStore(t)
		s := newSealed(t, nil, true)
		if tc.diffID != "" {
			s.diffID = tc.diffID
			s.config[configKey] = fsverity.Sum(fsverity.SHA512, s.configText()).String()
		}
		s.push(st)
		if tc.blob != nil {
			st.spoil(tc.blob(s.configText()).Hex)
		}
		_, err := cfslabel.Verify(t.Context(), st.openOnce(t, "a:v1"), cfslabel.VerifyOptions{})
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

// spoil has one bit of a blob changed on its way out.
func (s *store) spoil(hex string) {
	s.intercept = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Path, hex) {
			return false
		}
		answer, err := s.inside().RoundTrip(req)
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return false
		}
		_, _ = w.Write(flip(body))
		return true
	}
}

// TestVerifyByDigest: all that is looked at is what the tag named once, also if it
// is moved right after.
func TestVerifyByDigest(t *testing.T) {
	st := newStore(t)
	s := newSealed(t, nil, true)
	d := s.push(st)
	asked := 0
	st.intercept = func(_ http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/manifests/v1") && req.Method == http.MethodGet {
			asked++
		}
		return false
	}
	verified, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), cfslabel.VerifyOptions{Verifier: verifier{d.Digest.String(): nil}})
	wantFindings(t, err)
	if asked != 1 || verified.Digest != d.Digest {
		t.Errorf("the tag was asked for %d times, got %s", asked, verified.Digest)
	}
}

// TestVerifySignatures: a signature that does not hold is a finding; a verifier
// that could not find out is an error, before a layer is read.
func TestVerifySignatures(t *testing.T) {
	st := newStore(t)
	d := newSealed(t, nil, true).push(st).Digest.String()
	network := errors.New("connection refused")
	for name, tc := range map[string]struct {
		v    signs.Verifier
		want error // nil: it holds
	}{
		"holds":        {verifier{d: nil}, nil},
		"none":         {verifier{}, cfslabel.ErrMismatch},
		"other digest": {verifier{d: signs.ErrOtherDigest}, cfslabel.ErrMismatch},
		"other key":    {verifier{d: signs.ErrKey}, cfslabel.ErrMismatch},
		"identity":     {verifier{d: signs.ErrIdentity}, cfslabel.ErrMismatch},
		"certificate":  {verifier{d: signs.ErrCertificate}, cfslabel.ErrMismatch},
		"expired":      {verifier{d: signs.ErrExpired}, cfslabel.ErrMismatch},
		"log":          {verifier{d: signs.ErrLog}, cfslabel.ErrMismatch},
		"timestamp":    {verifier{d: signs.ErrTimestamp}, cfslabel.ErrMismatch},
		"annotation":   {verifier{d: signs.ErrAnnotation}, cfslabel.ErrMismatch},
		"content":      {verifier{d: signs.ErrContent}, cfslabel.ErrMismatch},
		"key file":     {verifier{d: signs.ErrKeyFile}, signs.ErrKeyFile},
		"service":      {verifier{d: signs.ErrService}, signs.ErrService},
		"network":      {verifier{d: network}, network},
		"both":         {verifier{d: errors.Join(signs.ErrKey, signs.ErrService)}, signs.ErrService},
		"one unread":   {answers{found: []signs.Signature{{Err: signs.ErrKey}, {Err: network}}, err: signs.ErrKey}, signs.ErrKey},
		"one of two":   {answers{found: []signs.Signature{{Err: signs.ErrKey}, {}}}, nil},
		"says nothing": {answers{}, cfslabel.ErrMismatch},
	} {
		reads := st.count(http.MethodGet, "/blobs/"+layerDigest)
		verified, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), cfslabel.VerifyOptions{Verifier: tc.v})
		if !errors.Is(err, tc.want) || errors.Is(err, cfslabel.ErrMismatch) != (verified != nil && err != nil) {
			t.Errorf("%s: got %v, %v, want %v", name, verified, err, tc.want)
		}
		isRead := st.count(http.MethodGet, "/blobs/"+layerDigest) > reads
		if decided := tc.want == nil || errors.Is(tc.want, cfslabel.ErrMismatch); isRead != decided {
			t.Errorf("%s: the layer was read: %v", name, isRead)
		}
	}
}

// TestVerifyRecursiveImage: of what is one image alone, the signatures are looked
// for once.
func TestVerifyRecursiveImage(t *testing.T) {
	st := newStore(t)
	d := newSealed(t, nil, true).push(st).Digest.String()
	verified, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), cfslabel.VerifyOptions{Verifier: verifier{d: nil}, Recursive: true})
	wantFindings(t, err)
	if len(verified.Signatures) != 1 || verified.Signatures[0].Platform != "linux/amd64" {
		t.Errorf("signatures are %+v", verified.Signatures)
	}
}

// answers is a verifier that always answers the same.
type answers struct {
	found []signs.Signature
	err   error
}

func (a answers) Verify(context.Context, signs.Image) ([]signs.Signature, error) {
	return a.found, a.err
}

// TestVerifyRecursive: each image of an index must have a signature of its own,
// if that is asked for; else that of the index is enough.
func TestVerifyRecursive(t *testing.T) {
	s := newStore(t)
	pushFamily(t, s, "a:v1")
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	signed := verifier{sealed.Digest.String(): nil, sealed.Images[0].Sealed.String(): nil}
	o := cfslabel.VerifyOptions{Verifier: signed}
	verified, err := cfslabel.Verify(t.Context(), s.open(t, "a:v1"), o)
	wantFindings(t, err)
	if len(verified.Signatures) != 1 || verified.Signatures[0].Of != sealed.Digest || verified.Signatures[0].Platform != "" {
		t.Errorf("signatures are %+v", verified.Signatures)
	}
	o.Recursive = true
	_, err = cfslabel.Verify(t.Context(), s.open(t, "a:v1"), o)
	wantFindings(t, err, "linux/arm64/v8: sign: "+s.host+"/a@"+sealed.Images[1].Sealed.String())
	signed[sealed.Images[1].Sealed.String()] = nil
	verified, err = cfslabel.Verify(t.Context(), s.open(t, "a:v1"), o)
	wantFindings(t, err)
	if len(verified.Signatures) != 3 {
		t.Errorf("signatures are %+v", verified.Signatures)
	}
}

// TestVerifyInlineTrust: fs-verity signatures of annotations do not cover the
// manifest, so something else must: a signature of the image, or that it is named
// by its digest.
func TestVerifyInlineTrust(t *testing.T) {
	key := newKernelKey(t, "ours", farAway)
	st := newStore(t)
	d := newSealed(t, key, true).push(st).Digest.String()
	o := cfslabel.VerifyOptions{Certificate: key.Certificate()}
	_, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), o)
	wantFindings(t, err, "do not cover the manifest")
	verified, err := cfslabel.Verify(t.Context(), st.open(t, "a@"+d), o)
	wantFindings(t, err)
	for _, object := range verified.Images[0].Objects {
		isSigned := object.Where != "label" && object.Key != image.InputKey
		if (object.Signature == cfslabel.Holds) != isSigned {
			t.Errorf("%s: signature %q", object, object.Signature)
		}
	}
	o.Verifier = verifier{d: nil}
	_, err = cfslabel.Verify(t.Context(), st.open(t, "a:v1"), o)
	wantFindings(t, err)
	o.Verifier = verifier{}
	_, err = cfslabel.Verify(t.Context(), st.open(t, "a:v1"), o)
	wantFindings(t, err, "do not cover the manifest", "there is no signature")
}

// TestVerifyCertificateWants: whoever asks for fs-verity signatures gets no answer
// without any; whoever does not is told that they were not checked.
func TestVerifyCertificateWants(t *testing.T) {
	key := newKernelKey(t, "ours", time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC))
	st := newStore(t)
	newSealed(t, nil, true).push(st)
	o := cfslabel.VerifyOptions{Certificate: key.Certificate()}
	_, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), o)
	wantFindings(t, err, "there is no full set of fs-verity signatures by CN=ours")

	st = newStore(t)
	s := newSealed(t, nil, true)
	s.attach(key)
	s.push(st)
	_, err = cfslabel.Verify(t.Context(), st.open(t, "a:v1"), o)
	wantFindings(t, err)
	verified, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), cfslabel.VerifyOptions{})
	wantFindings(t, err)
	isUnchecked := func(o cfslabel.Object) bool { return o.Signature == cfslabel.Unchecked }
	if !slices.ContainsFunc(verified.Images[0].Objects, isUnchecked) {
		t.Errorf("got %+v", verified.Images[0].Objects)
	}
}

// TestVerifyOptions: what contradicts itself is refused before anything is asked.
func TestVerifyOptions(t *testing.T) {
	st := newStore(t)
	for _, o := range []cfslabel.VerifyOptions{{DigestOnly: true}, {Recursive: true}, {LabelKeys: []string{""}}} {
		if _, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), o); !errors.Is(err, cfslabel.ErrOptions) {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	if n := st.count("", ""); n > 0 {
		t.Errorf("it was asked %d times", n)
	}
}

// TestVerifyLayout: a layout is verified as a registry is, but for signatures,
// which it cannot have.
func TestVerifyLayout(t *testing.T) {
	dir := filepath.Join("testdata", "conformance", "minimal", "oci")
	ref, err := remote.Open(t.Context(), "oci:"+dir, remote.Options{Layout: cfslabel.LayoutEditor{}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = cfslabel.Verify(t.Context(), ref, cfslabel.VerifyOptions{})
	wantFindings(t, err, "it is not sealed")
	if _, err = cfslabel.Verify(t.Context(), ref, cfslabel.VerifyOptions{Verifier: verifier{}}); !errors.Is(err, remote.ErrReference) {
		t.Errorf("got %v", err)
	}
}

// TestVerifyUnreadArtifact: an artifact that could not be read is an error: what
// it says, nobody knows.
func TestVerifyUnreadArtifact(t *testing.T) {
	st := newStore(t)
	key := newKernelKey(t, "ours", farAway)
	s := newSealed(t, nil, false)
	a := s.attach(key)
	s.push(st)
	signature := digestOf(entry(a, image.RoleConfig).Signature)
	st.answer("/blobs/"+signature.String(), http.StatusForbidden)
	if _, err := cfslabel.Verify(t.Context(), st.openOnce(t, "a:v1"), cfslabel.VerifyOptions{}); !errors.Is(err, remote.ErrUnauthorized) {
		t.Errorf("forbidden: got %v", err)
	}
	st.answer("/blobs/"+signature.String(), http.StatusNotFound)
	_, err := cfslabel.Verify(t.Context(), st.openOnce(t, "a:v1"), cfslabel.VerifyOptions{})
	wantFindings(t, err, "is not to be used")
	st.spoil(signature.Hex)
	_, err = cfslabel.Verify(t.Context(), st.openOnce(t, "a:v1"), cfslabel.VerifyOptions{})
	wantFindings(t, err, "is not to be used")
}
