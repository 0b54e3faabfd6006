// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"fmt"
	"slices"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// inspection is one image that is looked at.
type inspection struct {
	options *VerifyOptions
	n       *node
	signed  bool // a signature holds of what the reference named: this image, or an index above it
	pinned  bool // the reference has a digest

	claims   []*claim
	computed []Digest // of the EROFS images; none if the layers were not read
	ukis     []*UKI
	findings []string
}

func (in *inspection) find(format string, args ...any) {
	in.findings = append(in.findings, fmt.Sprintf(format, args...))
}

// take takes what was computed.
func (in *inspection) take(r result) {
	in.computed, in.ukis = r.digests, r.ukis
	if r.err != nil {
		in.find("it has no digest at all, as hosts refuse it: %v", r.err)
	}
	if r.unbootable != nil && in.says(image.RoleMergedBootable) {
		in.find("it has %v", r.unbootable)
	}
	wrong, warnings := ukiFindings(r.ukis)
	in.findings = append(in.findings, wrong...)
	for _, text := range warnings {
		in.options.Warn(text)
	}
}

// says reports whether something says a digest of the role.
func (in *inspection) says(role image.Role) bool {
	return slices.ContainsFunc(in.claims, func(c *claim) bool { return c.Role == role })
}

// algorithms returns those of the digests that are said.
func (in *inspection) algorithms() []fsverity.Algorithm {
	return slices.DeleteFunc(slices.Clone(algorithms), func(alg fsverity.Algorithm) bool {
		return !slices.ContainsFunc(in.claims, func(c *claim) bool { return c.Algorithm == alg })
	})
}

// result says what was found.
func (in *inspection) result(platform string) VerifiedImage {
	r := VerifiedImage{Platform: platform, Manifest: in.n.descriptor.Digest}
	for _, c := range in.claims {
		r.Objects = append(r.Objects, c.Object)
	}
	for _, u := range in.ukis {
		r.UKIs = append(r.UKIs, *u)
	}
	return r
}

// judge finds out what holds.
func (in *inspection) judge() {
	if len(in.claims) == 0 {
		in.find("nothing in the image or beside it says its digest: it is not sealed")
		return
	}
	signed := in.signed || in.signedByCertificate()
	for _, c := range in.claims {
		if c.State == "" {
			in.compare(c, signed)
		}
	}
	if in.options.DigestOnly && !signed {
		in.find("no signature that holds vouches for the manifest, so that its digests cannot be believed without reading the layers")
	}
	in.contradictions()
	for _, c := range in.claims {
		if c.State == Wrong {
			in.find("%s %s", c, c.Reason)
		}
	}
	in.incomplete()
	in.signatures()
	if len(in.findings) == 0 && !slices.ContainsFunc(in.claims, (*claim).seals) {
		in.find("nothing that holds says the digest of the merged tree: it is not sealed")
	}
}

// seals reports whether a claim holds that makes the image a sealed one.
func (c *claim) seals() bool {
	return c.Role == image.RoleMerged && (c.State == Holds || c.State == Believed)
}

// compare holds a claim against what is right.
func (in *inspection) compare(c *claim, signed bool) {
	switch {
	case c.Key == image.InputKey:
		in.compareInput(c)
	case c.Where == whereLabel && !in.options.DigestOnly:
		in.compareLabel(c)
	case c.Where == whereLabel && in.options.mayDiffer():
		c.State = Believed // of which format it is, only the layers could tell
	default:
		in.compareDigest(c)
	}
	if c.State == Believed && !signed {
		c.State, c.Reason = Unchecked, "was not computed"
	}
}

// right returns the digest that an object has in V1; ok is false if it was not
// computed and nothing that could be believed says it.
func (in *inspection) right(role image.Role, alg fsverity.Algorithm) (d fsverity.Digest, ok bool) {
	s := in.n.source
	switch role {
	case image.RoleManifest:
		return fsverity.Sum(alg, s.RawManifest), true
	case image.RoleConfig:
		return fsverity.Sum(alg, s.RawConfig), true
	default: // an EROFS image
	}
	if in.options.DigestOnly {
		return in.inline(role, alg)
	}
	for _, d := range in.computed {
		if d.Role == role && d.Format == erofs.V1 && d.Digest.Algorithm() == alg {
			return d.Digest, true
		}
	}
	return d, false
}

// inline returns the digest that the image itself says, in its annotation or,
// without one, its label. Of an artifact it cannot be taken: it may have the
// signature of another image's tree, which nobody would notice.
func (in *inspection) inline(role image.Role, alg fsverity.Algorithm) (d fsverity.Digest, ok bool) {
	isIt := func(c *claim) bool { return c.Role == role && c.Algorithm == alg && !c.digest.IsZero() }
	i := slices.IndexFunc(in.claims, func(c *claim) bool { return isIt(c) && c.isInline() })
	if i < 0 && !in.options.mayDiffer() {
		i = slices.IndexFunc(in.claims, func(c *claim) bool { return isIt(c) && c.Where == whereLabel })
	}
	if i < 0 {
		return d, false
	}
	return in.claims[i].digest, true
}

// compareDigest holds a claim of V1 against what is right.
func (in *inspection) compareDigest(c *claim) {
	want, ok := in.right(c.Role, c.Algorithm)
	isBelieved := in.options.DigestOnly && formatOf(c.Role) != ""
	if ok && !isBelieved {
		c.Computed = want.String()
	}
	switch {
	case !ok && in.options.DigestOnly:
		c.wrong("is said nowhere in the image itself, so that only the layers could tell whether it holds")
	case !ok:
		c.wrong("was not computed by this program, so nobody checked it: %s", c.digest)
	case c.digest != want && isBelieved:
		c.wrong("is %s; elsewhere the image says %s", c.digest, want)
	case c.digest != want:
		c.wrong("is %s; it should be %s", c.digest, want)
	case isBelieved:
		c.State = Believed
	default:
		c.State = Holds
	}
}

// compareLabel holds a label against the digests of all formats that it may be
// of.
func (in *inspection) compareLabel(c *claim) {
	for _, d := range in.computed {
		if d.Role != c.Role || d.Digest.Algorithm() != c.Algorithm {
			continue
		}
		isFirst := c.Computed == ""
		if in.options.accepts(d.Format) && isFirst || d.Digest == c.digest {
			c.Computed, c.Format = d.Digest.String(), d.Format.String()
		}
		if d.Digest != c.digest {
			continue
		}
		if c.State = Holds; !in.options.accepts(d.Format) {
			c.wrong("is the digest in format %s, which is not accepted: %s", d.Format, c.digest)
		}
		return
	}
	if c.Computed == "" {
		c.wrong("was not computed by this program, so nobody checked it: %s", c.digest)
		return
	}
	c.wrong("is %s; it should be %s", c.digest, c.Computed)
}

// compareInput holds an input key against those of all that may have been asked
// for when it was written: in the annotation, which formats and algorithms is not
// said.
func (in *inspection) compareInput(c *claim) {
	if in.options.DigestOnly {
		c.State, c.Reason = Unchecked, "was not computed"
		return
	}
	s := in.n.source
	if len(s.Manifest.Layers) != len(s.Config.DiffIDs) || in.computed == nil {
		c.wrong("cannot be computed: %s", quoted(c.Found))
		return
	}
	formats, algs := orders([]erofs.Format{erofs.V0, erofs.V1, erofs.V2}), orders(in.algorithms())
	if c.Where == whereArtifact {
		formats, algs = [][]erofs.Format{{erofs.V1}}, [][]fsverity.Algorithm{{c.Algorithm}}
	}
	for _, roles := range [][]image.Role{{image.RoleMerged}, {image.RoleMerged, image.RoleMergedBootable}} {
		for _, f := range formats {
			for _, a := range algs {
				if inputKey(s, in.chosen(roles, f, a)) == c.Found {
					c.State = Holds
					return
				}
			}
		}
	}
	c.wrong("is not that of these layers and digests: %s", quoted(c.Found))
}

// chosen returns the computed digests of those roles, formats and algorithms, in
// the order in which they are computed.
func (in *inspection) chosen(roles []image.Role, formats []erofs.Format, algs []fsverity.Algorithm) []Digest {
	var list []Digest
	for _, role := range roles {
		for _, f := range formats {
			for _, alg := range algs {
				is := func(d Digest) bool { return d.Role == role && d.Format == f && d.Digest.Algorithm() == alg }
				if i := slices.IndexFunc(in.computed, is); i >= 0 {
					list = append(list, in.computed[i])
				}
			}
		}
	}
	return list
}

// orders returns all choices of some of the values, in every order.
func orders[T comparable](values []T) [][]T {
	var all [][]T
	for i, v := range values {
		rest := slices.Delete(slices.Clone(values), i, i+1)
		all = append(all, []T{v})
		for _, o := range orders(rest) {
			all = append(all, append([]T{v}, o...))
		}
	}
	return all
}

// contradictions finds places that do not agree. They are no news to who computed
// what is right, but they tell what has happened.
func (in *inspection) contradictions() {
	for _, role := range image.Roles() {
		for _, alg := range algorithms {
			in.contradictionsOf(role, alg)
		}
	}
}

func (in *inspection) contradictionsOf(role image.Role, alg fsverity.Algorithm) {
	places := map[string][]*claim{}
	for _, c := range in.claims {
		if c.Role != role || c.Algorithm != alg || c.digest.IsZero() || in.isOfOther(c) {
			continue
		}
		where := c.Where
		if c.isInline() {
			where = whereManifest
		}
		places[where] = append(places[where], c)
	}
	labels, inline, artifacts := places[whereLabel], places[whereManifest], places[whereArtifact]
	// Each is held against one other: that is enough to name all.
	in.disagree(inline, labels)
	in.disagree(inline, artifacts[:min(1, len(artifacts))])
	in.disagree(artifacts, artifacts)
	in.disagree(labels, labels)
	if len(inline) == 0 {
		in.disagree(artifacts, labels)
	}
}

// isOfOther reports whether a label is of another format, so that it is no
// contradiction that it differs.
func (in *inspection) isOfOther(c *claim) bool {
	if c.Where != whereLabel {
		return false
	}
	if in.options.DigestOnly {
		return in.options.mayDiffer()
	}
	return slices.ContainsFunc(in.computed, func(d Digest) bool { return d.Digest == c.digest && d.Format != erofs.V1 })
}

// disagree finds those of the others that do not say what the first one says.
func (in *inspection) disagree(first, others []*claim) {
	for _, c := range others {
		if len(first) > 0 && c.digest != first[0].digest {
			in.find("%s and %s disagree: %s and %s", first[0], c, first[0].digest, c.digest)
		}
	}
}

// incomplete finds what lacks where something else is: who has annotations of an
// algorithm has merged and config (sealing_spec.rs, "Implementation
// Considerations"), an artifact has manifest, config and merged ("OCI artifact
// based composefs metadata").
func (in *inspection) incomplete() {
	for _, g := range in.groups() {
		for _, role := range g.roles() {
			if g.of(role) == nil {
				in.find("%s has no %s, which is due beside the others", g, image.AnnotationKey(role, g.alg))
			}
		}
	}
}

// claimGroup are the claims of one algorithm that one artifact or the annotations of
// the image make.
type claimGroup struct {
	artifact bool
	name     string
	alg      fsverity.Algorithm
	claims   []*claim
}

// String names the group in a sentence.
func (g *claimGroup) String() string { return g.name }

// roles are those that a group has to have.
func (g *claimGroup) roles() []image.Role {
	if g.artifact {
		return []image.Role{image.RoleManifest, image.RoleConfig, image.RoleMerged}
	}
	return []image.Role{image.RoleConfig, image.RoleMerged}
}

// of returns the claim of that role; nil if there is none.
func (g *claimGroup) of(role image.Role) *claim {
	i := slices.IndexFunc(g.claims, func(c *claim) bool { return c.Role == role })
	if i < 0 {
		return nil
	}
	return g.claims[i]
}

// groups returns all groups, in the order of the claims.
func (in *inspection) groups() []*claimGroup {
	var list []*claimGroup
	for _, c := range in.claims {
		if c.Role == 0 || c.Where == whereLabel {
			continue
		}
		name := "the image, in its annotations,"
		if c.Where == whereArtifact {
			name = "the artifact " + c.Artifact.String()
		}
		i := slices.IndexFunc(list, func(g *claimGroup) bool { return g.name == name && g.alg == c.Algorithm })
		if i < 0 {
			i = len(list)
			list = append(list, &claimGroup{artifact: c.Where == whereArtifact, name: name, alg: c.Algorithm})
		}
		list[i].claims = append(list[i].claims, c)
	}
	return list
}
