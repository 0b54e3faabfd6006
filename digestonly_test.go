// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// TestDigestOnly: without reading the layers, digests are believed that the image
// itself says, which agree, and for whose manifest a signature vouches. What could
// not be right is found all the same.
func TestDigestOnly(t *testing.T) {
	key, stranger := newKernelKey(t, "ours", farAway), newKernelKey(t, "theirs", farAway)
	v2 := []erofs.Format{erofs.V1, erofs.V2}
	type row struct {
		inline  bool
		change  func(s *sealed)
		signed  bool // the image has a signature that holds
		kernel  bool // the certificate is given
		formats []erofs.Format
		want    string // "": it verifies
	}
	attach := func(s *sealed) { s.attach(key) }
	attached := func(change func(s *sealed)) func(*sealed) {
		return func(s *sealed) { s.attach(key); change(s) }
	}
	for name, tc := range map[string]row{
		"signed":                       {inline: true, signed: true},
		"label alone, signed":          {signed: true},
		"not signed":                   {inline: true, want: "no signature that holds vouches for the manifest"},
		"artifact":                     {inline: true, change: attach, kernel: true},
		"artifact, label":              {change: attach, kernel: true},
		"artifact by another":          {inline: true, change: func(s *sealed) { s.attach(stranger) }, kernel: true, want: "no signature that holds vouches for the manifest"},
		"artifact not signed":          {inline: true, change: func(s *sealed) { s.attach(nil) }, kernel: true, want: "no signature that holds vouches for the manifest"},
		"annotations are not for it":   {inline: true, kernel: true, change: func(s *sealed) { s.key = key }, want: "no signature that holds vouches for the manifest"},
		"label differs":                {inline: true, signed: true, change: func(s *sealed) { s.labels[image.LabelKey] = otherHex }, want: "and the label " + image.LabelKey + " disagree"},
		"label may differ":             {inline: true, signed: true, formats: v2, change: func(s *sealed) { s.labels[image.LabelKey] = otherHex; s.sealConfig() }},
		"label may not differ from V1": {inline: true, signed: true, formats: v2[:1], change: func(s *sealed) { s.labels[image.LabelKey] = otherHex; s.sealConfig() }, want: "elsewhere the image says " + minimal},
		"config differs":               {inline: true, signed: true, change: func(s *sealed) { s.config[configKey] = otherHex }, want: "the config annotation " + configKey + " is 0000"},
		"unknown annotation":           {inline: true, signed: true, change: func(s *sealed) { s.annotations["composefs.x"] = "y" }, want: "is unknown to this program"},
		"incomplete":                   {inline: true, signed: true, change: func(s *sealed) { delete(s.config, configKey) }, want: "has no " + configKey},
		"artifact differs":             {inline: true, signed: true, change: attached(func(s *sealed) { entry(s.artifacts[0], image.RoleMerged).Digest = otherDigest }), want: " disagree: "},
		"artifact of another manifest": {inline: true, signed: true, change: attached(func(s *sealed) { entry(s.artifacts[0], image.RoleManifest).Digest = otherDigest }), want: "in the artifact"},
		"artifact says it alone":       {signed: true, kernel: true, change: func(s *sealed) { s.labels = nil; s.attach(key) }, want: "is said nowhere in the image itself"},
		"artifact with a V2 label":     {signed: true, formats: v2, change: attach, want: "is said nowhere in the image itself"},
		"signature of another's tree": {inline: true, kernel: true, change: attached(func(s *sealed) {
			entry(s.artifacts[0], image.RoleMerged).Signature = kernelSignature(s.t, key, otherDigest)
		}), want: "not a signature of this digest"},
		"digest and signature of others": {kernel: true, change: attached(func(s *sealed) {
			e := entry(s.artifacts[0], image.RoleMerged)
			e.Digest, e.Signature = otherDigest, kernelSignature(s.t, key, otherDigest)
		}), want: "disagree"},
		"input key alone": {signed: true, change: func(s *sealed) { s.labels, s.annotations = nil, map[string]string{image.InputKey: minimalInput} }, want: "it is not sealed"},
		"nothing":         {signed: true, change: func(s *sealed) { s.labels = nil }, want: "it is not sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStore(t)
			s := newSealed(t, nil, tc.inline)
			if tc.change != nil {
				tc.change(s)
			}
			d := s.push(st)
			o := cfslabel.VerifyOptions{DigestOnly: true, Formats: tc.formats, Verifier: verifier{}}
			if tc.signed {
				o.Verifier = verifier{d.Digest.String(): nil}
			}
			if tc.kernel {
				o.Certificate = key.Certificate()
			}
			if tc.kernel && !tc.signed {
				o.Verifier = nil
			}
			verified, err := cfslabel.Verify(t.Context(), st.open(t, "a:v1"), o)
			if tc.want == "" {
				wantFindings(t, err)
				if o := verified.Images[0].Objects[0]; o.State != cfslabel.Believed || o.Computed != "" {
					t.Errorf("got %+v", o)
				}
			} else {
				wantFindings(t, err, tc.want)
			}
			isBelieved := func(o cfslabel.Object) bool { return o.State == cfslabel.Believed }
			if strings.Contains(tc.want, "vouches") && slices.ContainsFunc(verified.Images[0].Objects, isBelieved) {
				t.Errorf("believed without a signature: %+v", verified.Images[0].Objects)
			}
			if st.count(http.MethodGet, "/blobs/"+layerDigest) > 0 {
				t.Error("the layer was read")
			}
		})
	}
}

// sealConfig makes the annotation of the config right again.
func (s *sealed) sealConfig() {
	s.config[configKey] = fsverity.Sum(fsverity.SHA512, s.configText()).String()
}
