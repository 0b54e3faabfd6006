// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// What Attach finds wrong before it pushes anything.
var (
	// ErrUnsigned says that signatures are missing.
	ErrUnsigned = errors.New("not all signatures are there")
	// ErrOtherImage says that the image is not the one whose digests were to be
	// signed.
	ErrOtherImage = errors.New("it is not the image that was to be signed; run cfs-label to-be-signed again")
)

// AttachOptions say what is attached.
type AttachOptions struct {
	// Detached is what was to be signed. None of it is believed.
	Detached *Detached
	// Signature returns what is in the file of that name; fs.ErrNotExist if there
	// is none. What pkcs7.Wrap takes will do.
	Signature func(name string) ([]byte, error)
	// Certificate is that of the key that signed.
	Certificate *pkcs7.Certificate
	// DryRun checks all, and pushes nothing.
	DryRun bool
	// Warn, if not nil, is told what a user should know.
	Warn func(message string)
}

// Attached is what Attach did.
type Attached struct {
	Repo   remote.Repo
	Digest v1.Hash // of what the reference names, which has not changed
	// Artifacts are the signed artifacts, in the order of what was to be signed.
	Artifacts []AttachedArtifact
}

// AttachedArtifact is a signed artifact of an image.
type AttachedArtifact struct {
	Platform  string
	Manifest  v1.Hash // of the image
	Algorithm fsverity.Algorithm
	Roles     []image.Role
	Digest    v1.Hash // of the artifact
	// Present tells that it was there before, or one that the same key signed:
	// none was pushed.
	Present bool
	// Replaced are the artifacts without signatures that gave way to it, or would
	// in a dry run.
	Replaced []v1.Hash
}

// Attach puts signatures that were made elsewhere beside an image or the images
// of an index: an artifact for each image and algorithm. The image itself, the
// indexes and the tags stay what they are. Before anything is pushed all of it
// is checked: that each signature is one of its digest by the certificate's key,
// that the images are those of the reference, and the digests of manifest and
// config those of the images. The merged digests cannot be: the layers are not
// read. But where an image or an artifact beside it names others, that is a
// *MismatchError; a label that does is told, for it may be of another format.
// Other errors are ErrUnsigned, ErrOtherImage, and those of pkcs7.Wrap. Where
// pushing fails, Attached has the artifacts that are there nonetheless.
func Attach(ctx context.Context, ref *remote.Ref, o AttachOptions) (*Attached, error) {
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	signatures, err := o.signatures()
	if err != nil {
		return nil, err
	}
	if !o.DryRun {
		if err := ref.Repo.CheckPush(ctx); err != nil {
			return nil, err
		}
	}
	at := &attaching{options: &o, signatures: signatures, done: &Attached{Repo: ref.Repo}}
	if err := at.read(ctx, ref); err != nil {
		return nil, err
	}
	if err := at.prepare(ctx); err != nil {
		return nil, err
	}
	if o.DryRun {
		return at.done, nil
	}
	return at.pushAll(ctx, ref.Repo)
}

// signatures returns the signatures of the entries, as the kernel takes them.
func (o *AttachOptions) signatures() ([][]byte, error) {
	var list [][]byte
	var missing []string
	for _, e := range o.Detached.Entries {
		raw, err := o.Signature(e.Signature)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, e.Signature)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Signature, err)
		}
		der, err := pkcs7.Wrap(raw, o.Certificate, e.Digest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Signature, err)
		}
		list = append(list, der)
	}
	if n := len(missing); n > 0 {
		if n > namedMost {
			missing = append(missing[:namedMost], fmt.Sprintf("and %d more", n-namedMost))
		}
		return nil, fmt.Errorf("%w: %s", ErrUnsigned, strings.Join(missing, ", "))
	}
	return list, nil
}

// attaching is one run of Attach.
type attaching struct {
	options    *AttachOptions
	signatures [][]byte // of the entries
	survey     *survey
	push       []*artifact // for each of done.Artifacts; nil where there is nothing to push
	done       *Attached
}

// pushAll pushes what was planned.
func (at *attaching) pushAll(ctx context.Context, to remote.Repo) (*Attached, error) {
	for i, a := range at.push {
		if a == nil {
			continue
		}
		if err := a.push(ctx, to); err != nil {
			at.done.Artifacts = at.done.Artifacts[:i]
			return at.asFarAs(to), err
		}
	}
	if err := to.Flush(ctx); err != nil {
		return at.asFarAs(to), err
	}
	return at.done, nil
}

// asFarAs returns what was done before pushing failed. Of an archive nothing is
// written before Flush, which did not come, or failed.
func (at *attaching) asFarAs(to remote.Repo) *Attached {
	if !remote.IsRegistry(to) && strings.HasPrefix(to.Name(), "oci-archive:") {
		at.done.Artifacts = slices.DeleteFunc(at.done.Artifacts, func(a AttachedArtifact) bool {
			return !a.Present || len(a.Replaced) > 0
		})
	}
	return at.done
}

// read reads the images, without their layers.
func (at *attaching) read(ctx context.Context, ref *remote.Ref) error {
	wanted := map[v1.Hash]bool{}
	for _, e := range at.options.Detached.Entries {
		wanted[e.Manifest.Digest] = true
	}
	var err error
	if at.survey, err = surveyOf(ctx, ref, func(d v1.Descriptor) bool { return wanted[d.Digest] }); err != nil {
		return err
	}
	at.done.Digest = at.survey.top.descriptor.Digest
	return nil
}

// prepare finds out what is to be pushed, and fails for anything that is wrong.
func (at *attaching) prepare(ctx context.Context) error {
	var findings []string
	for _, g := range at.groups() {
		n := at.survey.nodes[g.manifest.Digest]
		switch {
		case n == nil:
			return fmt.Errorf("%s does not name %s: %w", at.done.Digest, g.manifest.Digest, ErrOtherImage)
		case n.err != nil:
			return n.err
		case n.source == nil:
			return fmt.Errorf("%s is an index: %w", g.manifest.Digest, ErrOtherImage)
		}
		a, err := g.artifact(n)
		if err != nil {
			return err
		}
		have, err := artifactsOf(ctx, at.survey.repo, g.manifest.Digest, at.options.Warn)
		if err != nil {
			return err
		}
		if found := at.contradictions(n.source, a, have); len(found) > 0 {
			findings = append(findings, found...)
			continue
		}
		if err := at.plan(n.source, a, have); err != nil {
			return err
		}
	}
	if len(findings) > 0 {
		return &MismatchError{findings}
	}
	return nil
}

// plan finds out whether an artifact is to be pushed.
func (at *attaching) plan(s *Source, a *image.Artifact, have []there) error {
	p, err := plan(due{a, at.options.Certificate, false}, have, at.options.Warn)
	if err != nil {
		return err
	}
	raw, _, err := a.Marshal()
	if err != nil {
		return err
	}
	done := AttachedArtifact{
		Platform: s.Platform(), Manifest: s.Descriptor.Digest, Algorithm: a.Algorithm(), Digest: image.Describe(raw).Digest,
	}
	for _, e := range a.Entries {
		done.Roles = append(done.Roles, e.Role)
	}
	for _, h := range have {
		if sameDigests(h.Artifact, a) && isSignedBy(h.Artifact, at.options.Certificate) {
			done.Digest, done.Present = h.descriptor.Digest, true
		}
	}
	if p != nil {
		done.Replaced = p.replaced
	}
	at.push = append(at.push, p)
	at.done.Artifacts = append(at.done.Artifacts, done)
	return nil
}
