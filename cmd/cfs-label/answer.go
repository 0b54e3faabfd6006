// SPDX-License-Identifier: Apache-2.0

package main

import (
	cfslabel "github.com/cfs-label/cfs-label"
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
}

// imageAnswer is what was computed of one image.
type imageAnswer struct {
	Platform string         `json:"platform"`
	Manifest string         `json:"manifest"`
	Digests  []digestAnswer `json:"digests"`
}

// computeAnswer is the answer of compute.
type computeAnswer struct {
	Reference string        `json:"reference"`
	Images    []imageAnswer `json:"images"`
}

// sealAnswer is the answer of cfs-label IMAGE.
type sealAnswer struct {
	Reference string        `json:"reference"`
	Image     string        `json:"image"`
	Digest    string        `json:"digest"`
	Source    string        `json:"source"`
	Changed   bool          `json:"changed"`
	Written   []string      `json:"written"`
	Signed    []string      `json:"signed"`
	Images    []imageAnswer `json:"images"`
}

func newImageAnswers(images []cfslabel.Image) []imageAnswer {
	answers := make([]imageAnswer, len(images))
	for i, img := range images {
		answers[i] = imageAnswer{Platform: img.Platform, Manifest: img.Manifest.String()}
		for _, d := range img.Digests {
			answers[i].Digests = append(answers[i].Digests, digestAnswer{
				Role:      d.Role.String(),
				Format:    d.Format.String(),
				Algorithm: d.Digest.Algorithm().String(),
				Xattrs:    d.Xattrs.String(),
				Digest:    d.Digest.String(),
			})
		}
	}
	return answers
}

func newComputeAnswer(ref *remote.Ref, images []cfslabel.Image) computeAnswer {
	return computeAnswer{Reference: ref.String(), Images: newImageAnswers(images)}
}

// newSealAnswer: written lists what this run wrote, so it is empty if nothing
// was pushed.
func newSealAnswer(ref *remote.Ref, s *cfslabel.Sealed, dryRun bool) sealAnswer {
	a := sealAnswer{
		Reference: ref.String(),
		Image:     ref.Repo.Name() + "@" + s.Digest.String(),
		Digest:    s.Digest.String(),
		Source:    s.Source.String(),
		Changed:   s.Changed,
		Written:   []string{},
		Signed:    []string{},
		Images:    newImageAnswers([]cfslabel.Image{s.Image}),
	}
	if s.Changed && !dryRun {
		a.Written = s.Written
	}
	return a
}
