// SPDX-License-Identifier: Apache-2.0

package main

import (
	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

// objectAnswer is a digest that an image or an artifact says.
type objectAnswer struct {
	Where     string `json:"where"` // label, annotation, config annotation, layer annotation, artifact
	Key       string `json:"key"`
	Artifact  string `json:"artifact,omitempty"`
	Role      string `json:"role,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	Format    string `json:"format,omitempty"`
	Found     string `json:"found"`
	Computed  string `json:"computed,omitempty"`
	State     string `json:"state"` // holds, believed, wrong, not checked
	Reason    string `json:"reason,omitempty"`

	// The fs-verity signature: holds, wrong, not checked; not there if there is
	// none.
	Signature       string `json:"signature,omitempty"`
	SignatureReason string `json:"signatureReason,omitempty"`
}

// verifiedImageAnswer is an image that was looked at.
type verifiedImageAnswer struct {
	Platform string         `json:"platform"`
	Manifest string         `json:"manifest"`
	Objects  []objectAnswer `json:"objects"`
	UKIs     []ukiAnswer    `json:"ukis,omitempty"`
}

// signatureAnswer is a signature of the image, or of one of an index. Of one that
// does not hold nothing else is believed, and nothing else is here.
type signatureAnswer struct {
	Of       string `json:"of"` // the manifest or index
	Platform string `json:"platform,omitempty"`
	Format   string `json:"format"`
	Place    string `json:"place,omitempty"`
	Holds    bool   `json:"holds"`
	Reason   string `json:"reason,omitempty"`

	Key             string            `json:"key,omitempty"`
	Identity        string            `json:"identity,omitempty"`
	Issuer          string            `json:"issuer,omitempty"`
	DockerReference string            `json:"dockerReference,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
	Time            string            `json:"time,omitempty"`
	LogIndexes      []int64           `json:"logIndexes,omitempty"`
}

// passedAnswer is an image of an index that was not looked at.
type passedAnswer struct {
	Platform string `json:"platform"`
	Manifest string `json:"manifest"`
}

// verifyAnswer is the answer of verify.
type verifyAnswer struct {
	Reference  string                `json:"reference"`
	Image      string                `json:"image"`
	Digest     string                `json:"digest"`
	Verified   bool                  `json:"verified"`
	Indexes    []string              `json:"indexes,omitempty"`
	Images     []verifiedImageAnswer `json:"images"`
	Signatures []signatureAnswer     `json:"signatures"`
	Passed     []passedAnswer        `json:"passed,omitempty"`
	Findings   []string              `json:"findings"`
}

func newVerifyAnswer(ref *remote.Ref, v *cfslabel.Verified) verifyAnswer {
	a := verifyAnswer{
		Reference:  ref.String(),
		Image:      v.Repo.Name() + "@" + v.Digest.String(),
		Digest:     v.Digest.String(),
		Verified:   len(v.Findings) == 0,
		Signatures: []signatureAnswer{},
		Findings:   append([]string{}, v.Findings...),
	}
	for _, img := range v.Images {
		one := verifiedImageAnswer{Platform: img.Platform, Manifest: img.Manifest.String(), Objects: []objectAnswer{}, UKIs: newUKIs(img.UKIs)}
		for _, o := range img.Objects {
			one.Objects = append(one.Objects, newObjectAnswer(o))
		}
		a.Images = append(a.Images, one)
	}
	for _, s := range v.Signatures {
		a.Signatures = append(a.Signatures, newSignatureAnswer(s))
	}
	for _, d := range v.Indexes {
		a.Indexes = append(a.Indexes, d.String())
	}
	for _, p := range v.Passed {
		a.Passed = append(a.Passed, passedAnswer{p.Platform, p.Manifest.String()})
	}
	return a
}

func newObjectAnswer(o cfslabel.Object) objectAnswer {
	a := objectAnswer{
		Where: o.Where, Key: o.Key, Format: o.Format, Found: o.Found, Computed: o.Computed,
		State: string(o.State), Reason: o.Reason,
		Signature: string(o.Signature), SignatureReason: o.SignatureReason,
	}
	if o.Artifact.Hex != "" {
		a.Artifact = o.Artifact.String()
	}
	if o.Role != 0 {
		a.Role = o.Role.String()
	}
	if o.Algorithm != 0 {
		a.Algorithm = o.Algorithm.String()
	}
	return a
}

func newSignatureAnswer(s cfslabel.VerifiedSignature) signatureAnswer {
	a := signatureAnswer{Of: s.Of.String(), Platform: s.Platform, Format: string(s.Format), Place: s.Place, Holds: s.Err == nil}
	if s.Err != nil {
		a.Reason = s.Err.Error()
		return a
	}
	a.Key, a.Identity, a.Issuer, a.DockerReference = s.Key, s.Identity, s.Issuer, s.DockerReference
	a.Annotations, a.LogIndexes = s.Annotations, s.LogIndexes
	if !s.Time.IsZero() {
		a.Time = when(s.Time)
	}
	return a
}
