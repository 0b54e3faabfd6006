// SPDX-License-Identifier: Apache-2.0

package main

import (
	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

// inspectAnswer is the answer of inspect.
type inspectAnswer struct {
	Reference string            `json:"reference"`
	Image     string            `json:"image"`
	Digest    string            `json:"digest"`
	Objects   []inspectedAnswer `json:"objects"`
}

// inspectedAnswer is a manifest or index.
type inspectedAnswer struct {
	Kind        string                      `json:"kind"`
	Depth       int                         `json:"depth"`
	Platform    string                      `json:"platform,omitempty"`
	Digest      string                      `json:"digest"`
	Type        string                      `json:"type"`
	About       string                      `json:"about,omitempty"`
	Sealed      bool                        `json:"sealed"`
	Labels      map[string]string           `json:"labels,omitempty"`
	Annotations []inspectedAnnotationAnswer `json:"annotations,omitempty"`
	Input       string                      `json:"input,omitempty"`
	Artifacts   []inspectedArtifactAnswer   `json:"artifacts,omitempty"`
	Tags        []inspectedTagAnswer        `json:"tags,omitempty"`
	Referrers   []inspectedReferrerAnswer   `json:"referrers,omitempty"`
	More        int                         `json:"more,omitempty"` // referrers
	UKIs        []ukiAnswer                 `json:"ukis,omitempty"`
	UKIError    string                      `json:"ukiError,omitempty"`
	Error       string                      `json:"error,omitempty"`
}

type inspectedAnnotationAnswer struct {
	Where  string `json:"where"`
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Signed bool   `json:"signed"`
}

type inspectedArtifactAnswer struct {
	Digest    string                 `json:"digest"`
	Algorithm string                 `json:"algorithm,omitempty"`
	Input     string                 `json:"input,omitempty"`
	Entries   []inspectedEntryAnswer `json:"entries,omitempty"`
	Error     string                 `json:"error,omitempty"`
}

type inspectedEntryAnswer struct {
	Role   string `json:"role"`
	Digest string `json:"digest"`
	Signed bool   `json:"signed"`
}

type inspectedTagAnswer struct {
	Repository string `json:"repository,omitempty"` // if it is another one
	Tag        string `json:"tag"`
	Digest     string `json:"digest"`
	Holds      string `json:"holds"`
	Count      int    `json:"count"`
}

type inspectedReferrerAnswer struct {
	Digest string `json:"digest"`
	Type   string `json:"type"`
	Bundle bool   `json:"bundle"`
}

func newInspectAnswer(ref *remote.Ref, found *cfslabel.Inspection) inspectAnswer {
	top := found.Objects[0].Digest.String()
	a := inspectAnswer{Reference: ref.String(), Image: found.Repo.Name() + "@" + top, Digest: top}
	for i := range found.Objects {
		a.Objects = append(a.Objects, newInspectedAnswer(&found.Objects[i]))
	}
	return a
}

func newInspectedAnswer(o *cfslabel.Inspected) inspectedAnswer {
	a := inspectedAnswer{
		Kind: string(o.Kind), Depth: o.Depth, Platform: o.Platform, Digest: o.Digest.String(), Type: o.Type,
		About: o.About, Sealed: o.IsSealed(), Input: o.Input, More: o.More, Error: errorText(o.Err),
		UKIs: newUKIs(o.UKIs), UKIError: errorText(o.UKIErr),
	}
	for _, l := range o.Labels {
		if a.Labels == nil {
			a.Labels = map[string]string{}
		}
		a.Labels[l.Key] = l.Value
	}
	for _, n := range o.Annotations {
		a.Annotations = append(a.Annotations, inspectedAnnotationAnswer(n))
	}
	for _, artifact := range o.Artifacts {
		a.Artifacts = append(a.Artifacts, newInspectedArtifact(artifact))
	}
	for _, tag := range o.Tags {
		a.Tags = append(a.Tags, inspectedTagAnswer{tag.Repo, tag.Tag, tag.Digest.String(), tag.What(), tag.Count})
	}
	for _, r := range o.Referrers {
		a.Referrers = append(a.Referrers, inspectedReferrerAnswer{r.Digest.String(), r.Type, r.IsBundle()})
	}
	return a
}

func newInspectedArtifact(artifact cfslabel.InspectedArtifact) inspectedArtifactAnswer {
	a := inspectedArtifactAnswer{Digest: artifact.Digest.String(), Input: artifact.Input, Error: errorText(artifact.Err)}
	if artifact.Err == nil {
		a.Algorithm = artifact.Algorithm.String()
	}
	for _, e := range artifact.Entries {
		a.Entries = append(a.Entries, inspectedEntryAnswer{e.Role.String(), e.Digest.String(), e.Signed})
	}
	return a
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
