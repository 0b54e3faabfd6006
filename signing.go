// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign"
)

// signers is how many images of an index are signed at once. Each may take a
// certificate authority and a log.
const signers = 4

// Signing says how images are signed.
type Signing struct {
	// Signer signs in the repository where the sealed image is to be, which must
	// be one of a registry.
	Signer sign.Signer
	// Recursive signs the images and indexes of an index, too.
	Recursive bool
	// Identity is what the signatures say that the image is called; see
	// sign.Image.
	Identity string
}

// Signed is a manifest or index that was signed.
type Signed struct {
	Platform string // "" for an index, or where nobody says
	Digest   v1.Hash
	sign.Result
}

// check fails for what would fail after the long work.
func (s *Signing) check(ctx context.Context, target remote.Repo) error {
	if s == nil {
		return nil
	}
	if s.Signer == nil {
		return fmt.Errorf("%w: nobody signs", ErrOptions)
	}
	if _, err := remote.ForLibrary(target); err != nil {
		return fmt.Errorf("%w: signatures are in registries: %w", ErrOptions, err)
	}
	return s.Signer.Check(ctx)
}

// image returns how a signer knows a manifest of the repository.
func (s *Signing) image(repo remote.Repo, d v1.Hash) (sign.Image, error) {
	lib, err := remote.ForLibrary(repo)
	if err != nil {
		return sign.Image{}, err
	}
	return sign.Image{Name: lib.Repository.Digest(d.String()), Identity: s.Identity}, nil
}

// sign signs what is listed, of which the last comes when all others are signed.
// Those that were signed before an error are returned with it, and those of which
// one of two signatures was made.
func (s *Signing) sign(ctx context.Context, repo remote.Repo, list []Signed) ([]Signed, error) {
	made := make([]bool, len(list))
	err := s.signAll(ctx, repo, list[:len(list)-1], made)
	if err == nil {
		err = s.signAll(ctx, repo, list[len(list)-1:], made[len(list)-1:])
	}
	var signed []Signed
	for i, l := range list {
		if made[i] {
			signed = append(signed, l)
		}
	}
	return signed, err
}

func (s *Signing) signAll(ctx context.Context, repo remote.Repo, list []Signed, made []bool) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(signers)
	for i := range list {
		work.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			im, err := s.image(repo, list[i].Digest)
			if err != nil {
				return err
			}
			list[i].Result, err = s.Signer.Sign(ctx, im)
			made[i] = err == nil || len(list[i].Made) > 0
			return err
		})
	}
	return work.Wait()
}

// toSign lists what there is to sign: with recursive, the images of the indexes
// and the indexes above them, and always what is at the top, last. final returns
// the digest that a node has in the end. Images that were skipped are left out, since nobody
// vouches for them, and those that were narrowed out; what build tools add about
// an image is none.
func (g *graph) toSign(recursive bool, final func(*node) v1.Hash) []Signed {
	var list []Signed
	seen := map[v1.Hash]bool{}
	add := func(s Signed) {
		if !seen[s.Digest] {
			seen[s.Digest] = true
			list = append(list, s)
		}
	}
	var below func(n *node) bool // whether there was anything
	below = func(n *node) (found bool) {
		for i, c := range n.children {
			d := n.manifest.Manifests[i]
			switch {
			case c.manifest != nil && c.manifest.Kind.IsIndex():
				if !below(c) {
					continue
				}
				add(Signed{Digest: final(c)})
			case n.wanted[i] && !g.isSkipped(d.Digest):
				add(Signed{Platform: c.source.Platform(), Digest: final(c)})
			case !n.wanted[i] && g.isPassed(d, c):
				add(Signed{Platform: platformOf(d), Digest: d.Digest})
			default:
				continue
			}
			found = true
		}
		return found
	}
	top := Signed{Digest: final(g.top)}
	if g.top.source != nil {
		top.Platform = g.top.source.Platform()
	} else if recursive {
		below(g.top)
	}
	return append(list, top)
}

// isNarrowed reports whether an index has images that were not looked at because
// others were asked for.
func (g *graph) isNarrowed() bool { return g.top.source == nil && len(g.platforms) > 0 }

// selected are the images that were looked for.
func (g *graph) selected() []Signed {
	var list []Signed
	for _, n := range g.images {
		list = append(list, Signed{Platform: n.source.Platform(), Digest: n.descriptor.Digest})
	}
	return list
}

// isSkipped reports whether an image could not be sealed.
func (g *graph) isSkipped(d v1.Hash) bool {
	return slices.ContainsFunc(g.skipped, func(s Skipped) bool { return s.Manifest == d })
}

// isPassed reports whether a child of an index is an image of a platform that is
// not sealed, and that was not narrowed out.
func (g *graph) isPassed(d v1.Descriptor, c *node) bool {
	if len(g.platforms) > 0 || g.isSkipped(d.Digest) {
		return false
	}
	return c.source != nil ||
		d.MediaType.IsImage() && isImageType(d.ArtifactType) && !isAboutAnother(d) && isGiven(d.Platform) && d.Platform.OS != "unknown"
}

// Sign finds out whether an image, or the images of an index, are sealed right, as
// Verify does, and signs them. Nothing else is written. What does not hold is a
// *MismatchError, and nothing is signed then. Of an index that Platforms narrow,
// the images are signed and not the index: it was not looked at whole. Signed are
// those of Sealed, and returned with an error, too.
func Sign(ctx context.Context, ref *remote.Ref, o VerifyOptions, s *Signing) (*Verified, []Signed, error) {
	if err := o.fill(); err != nil {
		return nil, nil, err
	}
	if s == nil {
		s = &Signing{}
	}
	if err := s.check(ctx, ref.Repo); err != nil {
		return nil, nil, err
	}
	g, err := readGraph(ctx, ref, o.Platforms, false)
	if err != nil {
		return nil, nil, err
	}
	if err := ref.Repo.CheckPush(ctx); err != nil {
		return nil, nil, err
	}
	verified, err := verifyGraph(ctx, ref, g, &o)
	if err != nil {
		return verified, nil, err
	}
	o.Progress.Step("signing")
	list := g.toSign(s.Recursive, func(n *node) v1.Hash { return n.descriptor.Digest })
	if g.isNarrowed() {
		list = g.selected()
	}
	signed, err := s.sign(ctx, ref.Repo, list)
	return verified, signed, err
}

// sign signs what was pushed.
func (r *run) sign(ctx context.Context, sealed *Sealed) error {
	s := r.options.Signing
	if s == nil {
		return nil
	}
	r.options.Progress.Step("signing")
	if r.graph.isNarrowed() && len(r.graph.passed) > 0 {
		r.options.Warn("the index is signed with images in it that this run did not look at: " + strings.Join(r.graph.passed, ", "))
	}
	list := r.graph.toSign(s.Recursive, func(n *node) v1.Hash {
		if ed := r.edits.done[n]; ed != nil {
			return ed.descriptor.Digest
		}
		return n.descriptor.Digest
	})
	var err error
	sealed.Signed, err = s.sign(ctx, r.target, list)
	return err
}

// isVouchedFor reports whether an image has the signatures already that a run is
// to make of it, and they hold. Without them, the digests of an earlier seal are
// somebody's words; with them, whoever signs has read the layers before.
func (r *run) isVouchedFor(ctx context.Context, s *Source) (bool, error) {
	if signing := r.options.Signing; signing != nil {
		im, err := signing.image(r.target, s.Descriptor.Digest)
		if err != nil {
			return false, err
		}
		if ok, err := signing.Signer.Has(ctx, im); !ok || err != nil {
			return false, err
		}
	}
	if r.options.Kernel == nil {
		return true, nil
	}
	have, err := artifactsOf(ctx, r.target, s.Descriptor.Digest, r.options.Warn)
	if err != nil {
		return false, err
	}
	by := r.options.Kernel.Certificate()
	return !slices.ContainsFunc(r.options.Algorithms, func(alg fsverity.Algorithm) bool {
		return !slices.ContainsFunc(have, func(h there) bool { return h.vouchesFor(s, alg, by) })
	}), nil
}
