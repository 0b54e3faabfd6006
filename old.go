// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// What is said about an image, and stays with the digest that it had.

const (
	lookups   = 8  // that are made at once
	namedMost = 12 // things that a warning names
)

// besides are the tags by which cosign puts things beside an image, and what is
// in them (cosign, specs/SIGNATURE_SPEC.md).
var besides = []struct{ suffix, singular, plural string }{
	{".sig", "signature", "signatures"},
	{".att", "attestation", "attestations"},
	{".sbom", "SBOM", "SBOMs"},
}

// warn tells what a user should know before the tags are moved.
func (r *run) warn(ctx context.Context, sealed *Sealed) {
	r.warnOfOld(ctx, sealed)
	r.warnOfUnbootable(sealed)
	if n := r.edits.dangling; n > 0 {
		r.options.Warn(fmt.Sprintf("%s still %s the digest of before in what %s: who checks provenance against the sealed image will not find it",
			count(n, "attestation", "attestations"), verb(n, "names", "name"), verb(n, "it states", "they state")))
	}
	for _, text := range r.contradictions() {
		r.options.Warn("the image itself says something else, which an artifact leaves as it is: " + text)
	}
}

// warnOfUnbootable tells if a seal takes away the digest that hosts boot by.
func (r *run) warnOfUnbootable(sealed *Sealed) {
	for i := range sealed.Images {
		for _, c := range sealed.Images[i].Changes {
			if c.Action == image.Removed && seals[c.Key].role == image.RoleMergedBootable {
				r.options.Warn("the bootable digest of an earlier seal is removed, as this run was not asked to compute it: hosts that boot by it need --bootable")
			}
		}
	}
}

// warnOfSkipped tells what an image says that was skipped: nobody checked it.
func (r *run) warnOfSkipped(s *Source) {
	for _, key := range slices.Sorted(maps.Keys(s.Config.Labels)) {
		if image.StaleLabel(key) {
			r.options.Warn(fmt.Sprintf("%s keeps the label %s=%s, which may be of another image", s.Platform(), key, s.Config.Labels[key]))
		}
	}
}

// contradictions returns what images that are to stay as they are say of their
// digests and this run did not find.
func (r *run) contradictions() []string {
	if r.options.editsImage() {
		return nil
	}
	var list []string
	for i, n := range r.graph.images {
		if r.digests[i] == nil {
			continue
		}
		changes, err := contradictions(n, r.digests[i], r.options)
		if err != nil {
			list = append(list, fmt.Sprintf("%s: %v", n.descriptor.Digest, err))
		}
		for _, c := range changes {
			list = append(list, c.Key+": "+c.Old)
		}
	}
	return list
}

// contradictions returns what an image says of its digests and this run did not
// find: what an edit would remove that writes nothing.
func contradictions(n *node, digests []Digest, o *LabelOptions) ([]image.Change, error) {
	nothing := *o
	nothing.Write = nil
	config, manifest := asItIs(n), asItIs(n)
	if err := config.editConfig(n.source, digests, &nothing); err != nil {
		return nil, err
	}
	if err := manifest.editManifest(n.source, n.source.Manifest, digests, &nothing); err != nil {
		return nil, err
	}
	changes := slices.Concat(config.changes, manifest.changes)
	return slices.DeleteFunc(changes, func(c image.Change) bool { return c.Key == image.InputKey }), nil
}

// warnOfOld counts and names what is said of digests that change.
func (r *run) warnOfOld(ctx context.Context, sealed *Sealed) {
	old := map[v1.Hash]bool{}
	for n, ed := range r.edits.done {
		if ed.descriptor.Digest != n.descriptor.Digest {
			old[n.descriptor.Digest] = true
		}
	}
	consequence := "with the digest of before, and would not verify for the sealed image: %s; --write artifact leaves an image and its signatures as they are"
	if len(old) == 0 && r.elsewhere {
		old[sealed.Source] = true
		consequence = "where the image was: %s"
	}
	work, ctx := errgroup.WithContext(ctx) // one failure is enough
	work.SetLimit(lookups)
	found := make(chan said, len(old)*(len(besides)+referrersMax+1))
	for d := range old {
		work.Go(func() error { return saidOf(ctx, r.ref.Repo, d, found) })
	}
	err := work.Wait()
	close(found)
	n := 0
	var names []string
	for s := range found {
		n += s.count
		names = append(names, s.name)
	}
	slices.Sort(names)
	if err != nil {
		r.options.Warn(fmt.Sprintf("cannot tell what signatures the image had: %v", err))
	}
	if n == 0 {
		return
	}
	if more := len(names) - namedMost; more > 0 {
		names = append(names[:namedMost], fmt.Sprintf("and %d more", more))
	}
	r.options.Warn(fmt.Sprintf("%s of what was sealed %s "+consequence,
		count(n, "signature or referrer", "signatures and referrers"), verb(n, "stays", "stay"), strings.Join(names, ", ")))
}

// referrersMax is how many referrers of one image are named.
const referrersMax = 100

// said is something that is said of an image.
type said struct {
	count int
	name  string
}

// saidOf finds what is said of a digest.
func saidOf(ctx context.Context, repo remote.Repo, d v1.Hash, found chan<- said) error {
	tags, err := tagsBeside(ctx, repo, d)
	if err != nil {
		return err
	}
	for _, t := range tags {
		found <- said{t.Count, fmt.Sprintf("%s (%s)", t.Tag, t)}
	}
	list, err := repo.Referrers(ctx, d, "")
	if err != nil {
		return err
	}
	for _, referrer := range list[:min(len(list), referrersMax)] {
		what := referrer.ArtifactType
		if what == "" {
			what = "referrer"
		}
		found <- said{1, fmt.Sprintf("%s (%s)", referrer.Digest, what)}
	}
	if more := len(list) - referrersMax; more > 0 {
		found <- said{more, fmt.Sprintf("%s (%d referrers more)", d, more)}
	}
	return nil
}

// BesideTag is one of the tags by which cosign puts things beside an image.
type BesideTag struct {
	Tag    string
	Digest v1.Hash // that the tag names
	Count  int     // of what is in it
	kind   int     // position in besides
}

// String returns how many there are of what, as in "2 signatures".
func (t BesideTag) String() string {
	return count(t.Count, besides[t.kind].singular, besides[t.kind].plural)
}

// What returns what is in it: signatures, attestations, SBOMs.
func (t BesideTag) What() string { return besides[t.kind].plural }

// tagsBeside returns cosign's tags of a digest, as far as they are there.
func tagsBeside(ctx context.Context, repo remote.Repo, d v1.Hash) ([]BesideTag, error) {
	var list []BesideTag
	for i, b := range besides {
		tag := d.Algorithm + "-" + d.Hex + b.suffix
		desc, raw, err := repo.Resolve(ctx, tag, "")
		if errors.Is(err, remote.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t := BesideTag{Tag: tag, Digest: desc.Digest, Count: 1, kind: i}
		if m, err := image.ParseManifest(raw, desc.MediaType); err == nil {
			t.Count = len(m.Layers)
		}
		list = append(list, t)
	}
	return list, nil
}

// count says how many there are.
func count(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return fmt.Sprintf("%d %s", n, plural)
}

// verb returns the form that goes with so many.
func verb(n int, singular, plural string) string {
	if n == 1 {
		return singular
	}
	return plural
}
