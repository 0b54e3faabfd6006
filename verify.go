// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// VerifyOptions say what must hold.
type VerifyOptions struct {
	// Formats are those of which a label may be: the default is all.
	Formats []erofs.Format
	// LabelKeys are labels that must be there, besides image.LabelKey, which
	// may.
	LabelKeys []string
	// Platforms narrow an index.
	Platforms []v1.Platform
	// Jobs, Progress and Warn are as in Options.
	Jobs     int
	Progress Progress
	Warn     func(message string)
	Stats    *Stats
	// NoUKICheck does not look at the digests that UKIs of the image name.
	NoUKICheck bool

	// Verifier, if not nil, must find a signature of what the reference names.
	Verifier sign.Verifier
	// Recursive wants one of each image of an index, too.
	Recursive bool
	// Certificate, if not nil, must have made the fs-verity signatures, and
	// there must be one of each role that is signed.
	Certificate *pkcs7.Certificate
	// DigestOnly does not read the layers: the digests are believed if they agree
	// with each other and the manifest is one that was verified.
	DigestOnly bool
}

// fill puts the defaults in, and checks what was given.
func (o *VerifyOptions) fill() error {
	common := Options{Progress: o.Progress, Warn: o.Warn}
	common.fill()
	o.Progress, o.Warn = common.Progress, common.Warn
	for _, c := range []struct {
		holds bool
		what  string
	}{
		{
			o.DigestOnly && o.Verifier == nil && o.Certificate == nil,
			"digests are believed without reading the layers if a signature vouches for them: say whose, by a key, an identity or a certificate",
		},
		{o.Recursive && o.Verifier == nil, "signatures of all images are wanted, and it is not said whose: name a key or an identity"},
		{slices.Contains(o.LabelKeys, ""), "a label needs a key"},
	} {
		if c.holds {
			return fmt.Errorf("%w: %s", ErrOptions, c.what)
		}
	}
	return nil
}

// accepts reports whether a label may be of the format.
func (o *VerifyOptions) accepts(f erofs.Format) bool {
	return len(o.Formats) == 0 || slices.Contains(o.Formats, f)
}

// mayDiffer reports whether it was said that a label may be of another format
// than the annotations.
func (o *VerifyOptions) mayDiffer() bool {
	return slices.ContainsFunc(o.Formats, func(f erofs.Format) bool { return f != erofs.V1 })
}

// Verified is what was found.
type Verified struct {
	Repo   remote.Repo
	Digest v1.Hash // of the manifest or index that the reference named
	// Images are those that were looked at, in the order of the indexes.
	Images []VerifiedImage
	// Indexes are those on the way to the images, the outermost first.
	Indexes []v1.Hash
	// Passed are images of the indexes that were not to be looked at.
	Passed []PassedImage
	// Signatures are all that the Verifier found, also those that do not hold.
	Signatures []VerifiedSignature
	// Findings say what is wrong. There is none if all holds that was asked for.
	Findings []string
}

// VerifiedImage is an image that was looked at.
type VerifiedImage struct {
	Platform string
	Manifest v1.Hash
	// Objects are what the image, and the artifacts beside it, say.
	Objects []Object
	// UKIs are those that the image holds, if its layers were read.
	UKIs []UKI
}

// PassedImage is an image of an index that was not to be looked at.
type PassedImage struct {
	Platform string
	Manifest v1.Hash
}

// VerifiedSignature is a signature that was found.
type VerifiedSignature struct {
	Platform string  // "" for an index
	Of       v1.Hash // the manifest or index whose signature was looked for
	sign.Signature
}

// Verify finds out whether an image, or the images of an index, hold what is
// said of them: it reads the layers, computes the digests, and compares labels,
// annotations and artifacts; and it verifies the signatures that the options ask
// for. Nothing is written. What does not hold is a *MismatchError, as is an image
// of which nothing is said; the Verified is returned with it. Any other error
// tells that it could not be found out.
func Verify(ctx context.Context, ref *remote.Ref, o VerifyOptions) (*Verified, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	g, err := readGraph(ctx, ref, o.Platforms, false)
	if errors.Is(err, ErrPlatform) && len(o.Platforms) == 0 {
		return nothingThere(ref, g, err)
	}
	if err != nil {
		return nil, err
	}
	return verifyGraph(ctx, ref, g, &o)
}

// nothingThere is the answer where no image was found, and none was asked for.
func nothingThere(ref *remote.Ref, g *graph, err error) (*Verified, error) {
	v := &Verified{Repo: ref.Repo, Digest: g.top.descriptor.Digest, Findings: []string{"there is nothing to verify: " + err.Error()}}
	return v, &MismatchError{v.Findings}
}

// verification is one run of Verify.
type verification struct {
	ref      *remote.Ref
	graph    *graph
	options  *VerifyOptions
	verified *Verified
	images   []*inspection // of the graph's images
	signed   bool          // a signature of what the reference named holds

	listed map[*node]string // the platforms for which indexes name an image
	unread []v1.Descriptor  // what hosts may choose and indexes call no image
}

// verifyGraph is Verify for a graph that the reference named when it was read.
func verifyGraph(ctx context.Context, ref *remote.Ref, g *graph, given *VerifyOptions) (*Verified, error) {
	o := *given
	if err := o.fill(); err != nil {
		return nil, err
	}
	v := &verification{
		ref: ref, graph: g, options: &o, listed: map[*node]string{},
		verified: &Verified{Repo: ref.Repo, Digest: g.top.descriptor.Digest},
	}
	v.lookAround()
	// What is wrong with a key or an option is to be known before the long work.
	for _, step := range []func(context.Context) error{v.checkSignatures, v.checkUnread, v.collect, v.compute} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	for _, in := range v.images {
		in.judge()
		v.verified.Images = append(v.verified.Images, in.result(v.platformOf(in.n)))
		for _, text := range in.findings {
			v.find(in.n, text)
		}
	}
	if len(v.verified.Findings) > 0 {
		return v.verified, &MismatchError{v.verified.Findings}
	}
	return v.verified, nil
}

// find adds a finding about an image; nil is what was named.
func (v *verification) find(n *node, text string) {
	if n != nil && n.source != nil && len(v.graph.images) > 1 {
		text = v.nameOf(n) + ": " + text
	}
	v.verified.Findings = append(v.verified.Findings, text)
}

// collect finds what is said of each image.
func (v *verification) collect(ctx context.Context) error {
	for _, n := range v.graph.images {
		in := &inspection{
			options: v.options, n: n,
			signed: v.signed, pinned: v.ref.Digest != "",
		}
		in.collectImage()
		if err := in.collectArtifacts(ctx, v.graph.repo); err != nil {
			return n.source.place(len(v.graph.images), err)
		}
		v.images = append(v.images, in)
	}
	return nil
}

// compute computes the digests of the images of which something is said: of all
// formats, as a label does not say of which one it is.
func (v *verification) compute(ctx context.Context) error {
	o := Options{
		Formats: []erofs.Format{erofs.V1, erofs.V0, erofs.V2},
		Jobs:    v.options.Jobs, Progress: v.options.Progress, Warn: v.options.Warn, Stats: v.options.Stats,
		ukis: !v.options.NoUKICheck,
	}
	var list []*inspection
	var images []toCompute
	for _, in := range v.images {
		algorithms := in.algorithms()
		if v.options.DigestOnly || len(algorithms) == 0 {
			continue // there is nothing to compare with
		}
		list, images = append(list, in), append(images, toCompute{in.n.source, in.says(image.RoleMergedBootable)})
		for _, alg := range algorithms {
			if !slices.Contains(o.Algorithms, alg) {
				o.Algorithms = append(o.Algorithms, alg)
			}
		}
	}
	o.fill()
	results, err := computeAll(ctx, images, &o, true)
	if err != nil {
		return err
	}
	for i, r := range results {
		list[i].take(r)
	}
	return nil
}
