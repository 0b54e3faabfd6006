// SPDX-License-Identifier: Apache-2.0

package main

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// The answers of -o json are a contract: fields are added, never changed.

// digestAnswer is one computed digest.
type digestAnswer struct {
	Role      string `json:"role"`
	Format    string `json:"format"`
	Algorithm string `json:"algorithm"`
	Xattrs    string `json:"xattrs"`
	Digest    string `json:"digest"`
	// KernelArgument is there if it was asked for, and the digest is bootable.
	KernelArgument string `json:"kernelArgument,omitempty"`
}

// imageAnswer is what was computed of one image. A directory has no platform and
// no manifest.
type imageAnswer struct {
	Platform string         `json:"platform,omitempty"`
	Manifest string         `json:"manifest,omitempty"`
	Digests  []digestAnswer `json:"digests"`
}

// computeAnswer is the answer of compute.
type computeAnswer struct {
	Reference string        `json:"reference"`
	Images    []imageAnswer `json:"images"`
}

// sealedAnswer is what was done to one image.
type sealedAnswer struct {
	imageAnswer
	Sealed    string   `json:"sealed"`
	Artifacts []string `json:"artifacts,omitempty"`
	Believed  bool     `json:"believed,omitempty"`

	UKIs []ukiAnswer `json:"ukis,omitempty"`
}

// skippedAnswer is an image that could not be sealed.
type skippedAnswer struct {
	Platform string `json:"platform"`
	Manifest string `json:"manifest"`
	Error    string `json:"error"`
}

// madeAnswer is a signature that is there now.
type madeAnswer struct {
	Digest     string  `json:"digest"`
	Format     string  `json:"format"`
	Place      string  `json:"place"`
	Present    bool    `json:"present,omitempty"`
	Identity   string  `json:"identity,omitempty"`
	LogIndexes []int64 `json:"logIndexes,omitempty"`
}

// newSigned returns the digests that were signed, and the signatures that are
// known of them.
func newSigned(list []cfslabel.Signed) (digests []string, signatures []madeAnswer) {
	digests = []string{}
	for _, s := range list {
		digests = append(digests, s.Digest.String())
		for _, m := range s.Made {
			signatures = append(signatures, madeAnswer{s.Digest.String(), string(m.Format), m.Place, m.Present, m.Identity, m.LogIndexes})
		}
	}
	return digests, signatures
}

// sealAnswer is the answer of cfs-label IMAGE.
type sealAnswer struct {
	Reference  string          `json:"reference"`
	Image      string          `json:"image"`
	Digest     string          `json:"digest"`
	Source     string          `json:"source"`
	Changed    bool            `json:"changed"`
	Written    []string        `json:"written"`
	Signed     []string        `json:"signed"`
	Signatures []madeAnswer    `json:"signatures,omitempty"`
	Tags       []string        `json:"tags"`
	Images     []sealedAnswer  `json:"images"`
	Skipped    []skippedAnswer `json:"skipped,omitempty"`
	Findings   []string        `json:"findings,omitempty"`
}

func newImageAnswer(img cfslabel.Image) imageAnswer {
	a := imageAnswer{Platform: img.Platform}
	if img.Manifest != (v1.Hash{}) {
		a.Manifest = img.Manifest.String()
	}
	for _, d := range img.Digests {
		a.Digests = append(a.Digests, digestAnswer{
			Role:      d.Role.String(),
			Format:    d.Format.String(),
			Algorithm: d.Digest.Algorithm().String(),
			Xattrs:    d.Xattrs.String(),
			Digest:    d.Digest.String(),
		})
	}
	return a
}

// newComputeAnswer: withArguments says whether kernel arguments were asked for.
func newComputeAnswer(name string, images []cfslabel.Image, withArguments bool) computeAnswer {
	a := computeAnswer{Reference: name, Images: make([]imageAnswer, len(images))}
	for i, img := range images {
		a.Images[i] = newImageAnswer(img)
		for j, d := range img.Digests {
			if withArguments && d.Role == image.RoleMergedBootable {
				a.Images[i].Digests[j].KernelArgument = argumentOf(d)
			}
		}
	}
	return a
}

// newSealAnswer: written lists what this run wrote, so it is empty if nothing
// was pushed.
func newSealAnswer(ref *remote.Ref, s *cfslabel.Sealed, o *cfslabel.LabelOptions, findings []string) sealAnswer {
	a := sealAnswer{
		Reference: ref.String(),
		Image:     s.Repo.Name() + "@" + s.Digest.String(),
		Digest:    s.Digest.String(),
		Source:    s.Source.String(),
		Changed:   s.Changed,
		Written:   []string{},
		Tags:      append([]string{}, s.Tags...),
		Findings:  findings,
	}
	a.Signed, a.Signatures = newSigned(s.Signed)
	if !o.DryRun && !o.Check {
		for _, p := range s.Written {
			a.Written = append(a.Written, p.String())
		}
	}
	for _, img := range s.Images {
		sealed := sealedAnswer{imageAnswer: newImageAnswer(img.Image), Sealed: img.Sealed.String(), Believed: img.Believed, UKIs: newUKIs(img.UKIs)}
		if o.DryRun || o.Check {
			img.Artifacts = nil
		}
		for _, artifact := range img.Artifacts {
			sealed.Artifacts = append(sealed.Artifacts, artifact.String())
		}
		a.Images = append(a.Images, sealed)
	}
	for _, skipped := range s.Skipped {
		a.Skipped = append(a.Skipped, skippedAnswer{skipped.Platform, skipped.Manifest.String(), skipped.Err.Error()})
	}
	return a
}
