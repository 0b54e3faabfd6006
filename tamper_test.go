// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// The digests that tampering puts in.
var (
	otherHex    = strings.Repeat("0", 128)
	otherDigest = fsverity.Sum(fsverity.SHA512, []byte("another"))
)

// flip changes one bit in the middle.
func flip(b []byte) []byte {
	out := append([]byte{}, b...)
	out[len(out)/2] ^= 1
	return out
}

// TestTamperInline: of an image with label and annotations, signed inline, every
// single thing that is changed is found, by its own message. The same image
// unchanged verifies.
func TestTamperInline(t *testing.T) {
	key, stranger := newKernelKey(t, "ours", farAway), newKernelKey(t, "theirs", farAway)
	merged256 := image.AnnotationKey(image.RoleMerged, fsverity.SHA256)
	bootable := image.AnnotationKey(image.RoleMergedBootable, fsverity.SHA512)
	for name, tc := range map[string]struct {
		change func(s *sealed)
		want   string // "" is the control: nothing is wrong
	}{
		"nothing":                 {func(*sealed) {}, ""},
		"label":                   {func(s *sealed) { s.labels[image.LabelKey] = otherHex }, "the label containers.composefs.fsverity is 0000"},
		"label and annotation":    {func(s *sealed) { s.labels[image.LabelKey] = otherHex }, "and the label containers.composefs.fsverity disagree: " + minimal + " and 0000"},
		"label cut":               {func(s *sealed) { s.labels[image.LabelKey] = minimal[:126] }, "is no digest: "},
		"label in capitals":       {func(s *sealed) { s.labels[image.LabelKey] = strings.ToUpper(minimal) }, "is no digest: "},
		"label of no algorithm":   {func(s *sealed) { s.labels[image.LabelKey] = "sha256:" + minimal }, "is no digest: "},
		"label empty":             {func(s *sealed) { s.labels[image.LabelKey] = "" }, `is no digest: ""`},
		"label of another kind":   {func(s *sealed) { s.labels["containers.composefs.x"] = minimal }, "the label containers.composefs.x is unknown to this program"},
		"a label more":            {func(s *sealed) { s.labels["x"] = "y" }, "the config annotation " + configKey + " is "},
		"merged":                  {func(s *sealed) { s.annotations[mergedKey] = otherHex }, "the annotation " + mergedKey + " is 0000"},
		"merged is gone":          {func(s *sealed) { delete(s.annotations, mergedKey) }, "has no " + mergedKey},
		"merged is no digest":     {func(s *sealed) { s.annotations[mergedKey] = minimal + " " }, "the annotation " + mergedKey + " is no digest"},
		"merged in capitals":      {func(s *sealed) { s.annotations[mergedKey] = strings.ToUpper(minimal) }, "is no digest"},
		"config":                  {func(s *sealed) { s.config[configKey] = otherHex }, "the config annotation " + configKey + " is 0000"},
		"config is gone":          {func(s *sealed) { delete(s.config, configKey) }, "has no " + configKey},
		"config on the manifest":  {func(s *sealed) { s.annotations[configKey] = s.config[configKey] }, "the annotation " + configKey + " is not where"},
		"merged on the config":    {func(s *sealed) { s.config[mergedKey] = minimal }, "the config annotation " + mergedKey + " is not where"},
		"manifest":                {func(s *sealed) { s.annotations[image.AnnotationKey(image.RoleManifest, fsverity.SHA512)] = otherHex }, "is not where"},
		"bootable":                {func(s *sealed) { s.annotations[bootable] = minimal }, bootable + " was not computed"},
		"another algorithm":       {func(s *sealed) { s.annotations[merged256] = otherHex[:64] }, "the annotation " + merged256 + " is 0000"},
		"another algorithm alone": {func(s *sealed) { s.annotations[merged256] = otherHex[:64] }, "has no " + image.AnnotationKey(image.RoleConfig, fsverity.SHA256)},
		"unknown":                 {func(s *sealed) { s.annotations["composefs.merged.erofs.v2.fsverity-sha512-12"] = minimal }, "is unknown to this program"},
		"unknown block size":      {func(s *sealed) { s.annotations["composefs.merged.erofs.v1.fsverity-sha512-16"] = minimal }, "is unknown to this program"},
		"input key":               {func(s *sealed) { s.annotations[image.InputKey] = "sha256:" + otherHex[:64] }, image.InputKey + " is not that of these layers"},
		"input key on the config": {func(s *sealed) { s.config[image.InputKey] = minimalInput }, image.InputKey + " is not where"},

		"signature of merged":          {func(s *sealed) { s.annotations[mergedKey+".sig"] = s.inline(key, otherHex) }, "the signature of the annotation " + mergedKey + " does not hold: not a signature of this digest"},
		"signature of config":          {func(s *sealed) { s.config[configKey+".sig"] = s.inline(key, otherHex) }, "the signature of the config annotation " + configKey + " does not hold: not a signature of this digest"},
		"signatures swapped":           {func(s *sealed) { s.config[configKey+".sig"] = s.annotations[mergedKey+".sig"] }, configKey + " does not hold: not a signature of this digest"},
		"signature by another key":     {func(s *sealed) { s.annotations[mergedKey+".sig"] = s.inline(stranger, minimal) }, "of another key than the certificate's"},
		"signature of merged is gone":  {func(s *sealed) { delete(s.annotations, mergedKey+".sig") }, "no full set of fs-verity signatures"},
		"signature of config is gone":  {func(s *sealed) { delete(s.config, configKey+".sig") }, configKey + " has no signature"},
		"signature without digest":     {func(s *sealed) { s.annotations[merged256+".sig"] = s.annotations[mergedKey+".sig"] }, "is a signature, and the digest is not there"},
		"signature on the wrong place": {func(s *sealed) { s.annotations[configKey+".sig"] = s.config[configKey+".sig"] }, "is a signature, and the digest is not there"},
		"signature is no base64":       {func(s *sealed) { s.annotations[mergedKey+".sig"] += "!" }, "is no signature in base64"},
		"signature with a line break":  {func(s *sealed) { s.annotations[mergedKey+".sig"] += "\n" }, "there are line breaks in it"},
		"signature with loose bits":    {func(s *sealed) { s.annotations[mergedKey+".sig"] = "AAB=" }, "bits that mean nothing"},
		"signature is empty":           {func(s *sealed) { s.annotations[mergedKey+".sig"] = "" }, "it is empty"},
		"signature is too long":        {func(s *sealed) { s.annotations[mergedKey+".sig"] = strings.Repeat("A", 1<<16) }, "longer than the kernel takes"},
		"signature is no message":      {func(s *sealed) { s.annotations[mergedKey+".sig"] = "AAAA" }, "not of the right form"},
		"signature of signature":       {func(s *sealed) { s.annotations[mergedKey+".sig.sig"] = "AAAA" }, "is unknown to this program"},
		"digest and signature of another": {func(s *sealed) {
			s.annotations[mergedKey], s.annotations[mergedKey+".sig"] = otherHex, s.inline(key, otherHex)
		}, mergedKey + " does not hold: not a signature of this digest"},
		"signature, one bit": {func(s *sealed) {
			der, _ := base64.StdEncoding.DecodeString(s.annotations[mergedKey+".sig"])
			s.annotations[mergedKey+".sig"] = base64.StdEncoding.EncodeToString(flip(der))
		}, "the signature of the annotation " + mergedKey + " does not hold"},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStore(t)
			s := newSealed(t, key, true)
			tc.change(s)
			d := s.push(st)
			o := cfslabel.VerifyOptions{Certificate: key.Certificate(), Verifier: verifier{d.Digest.String(): nil}}
			verified, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), o)
			if tc.want == "" {
				wantFindings(t, err)
				return
			}
			wantFindings(t, err, tc.want)
			if verified == nil || len(verified.Images) != 1 {
				t.Error("it does not say what it found")
			}
		})
	}
}

// TestTamperArtifact: the same of an artifact beside an image that says nothing
// itself but its label.
func TestTamperArtifact(t *testing.T) {
	key, stranger := newKernelKey(t, "ours", farAway), newKernelKey(t, "theirs", farAway)
	signed := func(role image.Role, by *pkcs7.Key, d fsverity.Digest) func(*sealed, *image.Artifact) {
		return func(s *sealed, a *image.Artifact) { entry(a, role).Signature = kernelSignature(s.t, by, d) }
	}
	digest := func(role image.Role) func(*sealed, *image.Artifact) {
		return func(_ *sealed, a *image.Artifact) { entry(a, role).Digest = otherDigest }
	}
	both := func(role image.Role) func(*sealed, *image.Artifact) {
		return func(s *sealed, a *image.Artifact) {
			entry(a, role).Digest, entry(a, role).Signature = otherDigest, kernelSignature(s.t, key, otherDigest)
		}
	}
	text := func(old, now string) func(*sealed, *image.Artifact) {
		return func(s *sealed, _ *image.Artifact) {
			s.text = func(text string) string {
				if !strings.Contains(text, old) {
					s.t.Fatalf("there is no %q in %s", old, text)
				}
				return strings.Replace(text, old, now, 1)
			}
		}
	}
	manifestKey := image.AnnotationKey(image.RoleManifest, fsverity.SHA512)
	for name, tc := range map[string]struct {
		change func(s *sealed, a *image.Artifact)
		want   string
	}{
		"nothing":            {func(*sealed, *image.Artifact) {}, ""},
		"manifest":           {digest(image.RoleManifest), manifestKey + " in the artifact sha256:"},
		"config":             {digest(image.RoleConfig), configKey + " in the artifact sha256:"},
		"merged":             {digest(image.RoleMerged), mergedKey + " in the artifact sha256:"},
		"merged and label":   {digest(image.RoleMerged), "and the label containers.composefs.fsverity disagree"},
		"manifest, signed":   {both(image.RoleManifest), manifestKey + " in the artifact sha256:"},
		"config, signed":     {both(image.RoleConfig), configKey + " in the artifact sha256:"},
		"merged, signed":     {both(image.RoleMerged), mergedKey + " in the artifact sha256:"},
		"signature manifest": {signed(image.RoleManifest, key, otherDigest), "the signature of " + manifestKey + " in the artifact"},
		"signature config":   {signed(image.RoleConfig, key, otherDigest), "the signature of " + configKey + " in the artifact"},
		"signature merged":   {signed(image.RoleMerged, key, otherDigest), "the signature of " + mergedKey + " in the artifact"},
		"merged by another":  {signed(image.RoleMerged, stranger, otherDigest), "of another key than the certificate's"},
		"all by another":     {func(s *sealed, a *image.Artifact) { signArtifact(s.t, a, stranger) }, "of another key than the certificate's"},
		"signature, one bit": {func(_ *sealed, a *image.Artifact) {
			e := entry(a, image.RoleConfig)
			e.Signature = flip(e.Signature)
		}, "the signature of " + configKey + " in the artifact"},
		"merged not signed":    {func(_ *sealed, a *image.Artifact) { entry(a, image.RoleMerged).Signature = nil }, "no full set of fs-verity signatures"},
		"manifest is unsigned": {text(`"application/vnd.composefs.signature.v1+pkcs7"`, `"application/vnd.oci.empty.v1+json"`), "is not to be used"},
		"another subject": {func(_ *sealed, a *image.Artifact) {
			a.Subject.Digest, a.Subject.MediaType = digestOf([]byte("x")), "x/y"
		}, ""},
		"subject's size":  {text(`"size":400},"annotations"`, `"size":401},"annotations"`), "says of its subject"},
		"subject's type":  {text(`"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json"`, `"subject":{"mediaType":"application/vnd.oci.image.index.v1+json"`), "says of its subject"},
		"artifactType":    {text(image.ArtifactType, "application/vnd.example"), "not a composefs artifact"},
		"order":           {text("composefs.config.", "composefs.merged.bootable.erofs.v1."), "comes behind that of"},
		"twice":           {text("composefs.config.", "composefs.manifest."), "comes behind that of"},
		"an unknown role": {text("composefs.config.", "composefs.other."), "is not to be used"},
		"bootable":        {text("composefs.merged.", "composefs.merged.bootable."), "is not to be used"},
		"input key":       {func(_ *sealed, a *image.Artifact) { a.Annotations[0].Value = "sha256:" + otherHex[:64] }, image.InputKey + " in the artifact"},
		"a second one": {func(s *sealed, _ *image.Artifact) {
			second := s.attach(nil)
			entry(second, image.RoleMerged).Digest = otherDigest
		}, mergedKey + " in the artifact sha256:"},
		"a second one disagrees": {func(s *sealed, _ *image.Artifact) {
			second := s.attach(nil)
			entry(second, image.RoleMerged).Digest = otherDigest
		}, " disagree: "},
		"a second one, of another image": {func(s *sealed, _ *image.Artifact) {
			entry(s.attach(key), image.RoleManifest).Digest = otherDigest
		}, manifestKey + " in the artifact"},
		"a second one by another": {func(s *sealed, _ *image.Artifact) { s.attach(stranger) }, "told"},
		"a second one unsigned":   {func(s *sealed, _ *image.Artifact) { s.attach(nil) }, "passes"},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStore(t)
			s := newSealed(t, nil, false)
			a := s.attach(key)
			tc.change(s, a)
			told := &talk{}
			s.push(st)
			_, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), cfslabel.VerifyOptions{Certificate: key.Certificate(), Warn: told.warn})
			switch {
			case name == "another subject": // it is another's, who says so beside this image
				wantFindings(t, err, "it is listed beside this image, and refers to another")
			case tc.want == "told":
				wantFindings(t, err)
				if said := strings.Join(told.said, "\n"); !strings.Contains(said, "is signed by another key") {
					t.Errorf("warned of %q", said)
				}
			case tc.want == "", tc.want == "passes":
				wantFindings(t, err)
				if len(told.said) > 0 {
					t.Errorf("warned of %q", told.said)
				}
			default:
				wantFindings(t, err, tc.want)
			}
		})
	}
}

// TestTamperUnsigned: an artifact without signatures says all that the
// specification wants of one, and all of it is compared.
func TestTamperUnsigned(t *testing.T) {
	without := func(role image.Role) func(*image.Artifact) {
		return func(a *image.Artifact) {
			a.Entries = slices.DeleteFunc(a.Entries, func(e image.ArtifactEntry) bool { return e.Role == role })
		}
	}
	for name, tc := range map[string]struct {
		change func(*image.Artifact)
		want   []string
	}{
		"nothing":     {func(*image.Artifact) {}, nil},
		"no manifest": {without(image.RoleManifest), []string{"has no composefs.manifest."}},
		"no config":   {without(image.RoleConfig), []string{"has no composefs.config."}},
		"manifest":    {spoil(image.RoleManifest), []string{"composefs.manifest.fsverity-sha512-12 in the artifact"}},
		"config":      {spoil(image.RoleConfig), []string{"composefs.config.fsverity-sha512-12 in the artifact", "disagree"}},
		"merged":      {spoil(image.RoleMerged), []string{mergedKey + " in the artifact", "disagree"}},
		"bootable": {func(a *image.Artifact) {
			a.Entries = append(a.Entries, image.ArtifactEntry{Role: image.RoleMergedBootable, Digest: otherDigest})
		}, []string{"was not computed by this program"}},
	} {
		st := newStore(t)
		s := newSealed(t, nil, true)
		tc.change(s.attach(nil))
		s.push(st)
		_, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), cfslabel.VerifyOptions{})
		if wantFindings(t, err, tc.want...); t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestLayerDigestsAreTold: digests of single layers are not checked, and that is
// told.
func TestLayerDigestsAreTold(t *testing.T) {
	st := newStore(t)
	s := newSealed(t, nil, true)
	s.layer = map[string]string{"composefs.layer.erofs.v1.fsverity-sha512-12": otherHex}
	s.push(st)
	told := &talk{}
	verified, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), cfslabel.VerifyOptions{Warn: told.warn})
	wantFindings(t, err)
	told.want(t, "digests of single layers are not checked")
	if len(verified.Images[0].Objects) != 4 {
		t.Errorf("got %+v", verified.Images[0].Objects)
	}
}

// TestStrangersSignatures: signatures by another key do no harm only where they
// are in an artifact, and there is one by the right key of the same algorithm.
func TestStrangersSignatures(t *testing.T) {
	key, stranger := newKernelKey(t, "ours", farAway), newKernelKey(t, "theirs", farAway)
	const want = "of another key than the certificate's"
	st := newStore(t)
	s := newSealed(t, stranger, true)
	s.attach(key)
	s.push(st)
	o := cfslabel.VerifyOptions{Certificate: key.Certificate()}
	_, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), o)
	wantFindings(t, err, "the signature of the annotation "+mergedKey+" does not hold: signature: "+want)

	st = newStore(t)
	d := st.push(t, "a:v1", plain)
	label(t, st.open(t, "a:v1"), cfslabel.LabelOptions{Write: beside, Options: cfslabel.Options{Algorithms: both}})
	for i, h := range st.referrers(t, "a", d.Digest) {
		a, err := image.ParseArtifact(st.text(t, "a", h.Digest), nil)
		if err != nil {
			t.Fatal(err)
		}
		signArtifact(t, a, []*pkcs7.Key{key, stranger}[i])
		st.putArtifact(t, d.Digest, a)
	}
	_, err = cfslabel.Verify(t.Context(), st.open(t, "a:v1"), o)
	wantFindings(t, err, want)
}

// TestTwoLabelsDisagree: that two labels say two things is told, besides which of
// them is wrong.
func TestTwoLabelsDisagree(t *testing.T) {
	st := newStore(t)
	s := newSealed(t, nil, false)
	s.labels["org.example"] = otherHex
	s.push(st)
	_, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), cfslabel.VerifyOptions{LabelKeys: []string{"org.example"}})
	wantFindings(t, err, "the label containers.composefs.fsverity and the label org.example disagree: ", "the label org.example is 0000")
}

// TestArtifactInputKey: the key of an artifact is that of its own digests, not of
// all that the image says.
func TestArtifactInputKey(t *testing.T) {
	st := newStore(t)
	st.push(t, "a:v1", plain)
	label(t, st.open(t, "a:v1"), cfslabel.LabelOptions{Options: cfslabel.Options{Algorithms: both}})
	d, _, manifest := st.pull(t, "a:v1")
	m, err := image.ParseManifest(manifest, "")
	if err != nil {
		t.Fatal(err)
	}
	a := st.artifactOf(t, d)
	a.Annotations[0].Value = m.Annotations[image.InputKey]
	st.putArtifact(t, d.Digest, a)
	_, err = cfslabel.Verify(t.Context(), st.open(t, "a:v1"), cfslabel.VerifyOptions{})
	wantFindings(t, err, image.InputKey+" in the artifact")
}
