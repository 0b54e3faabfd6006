// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// ErrOptions is what options give that contradict one another.
var ErrOptions = errors.New("the options do not go together")

// Place is where digests are written.
type Place uint8

// The places.
const (
	// InLabel is a label of the config.
	InLabel Place = iota + 1
	// InAnnotations is the annotations of the manifest and of its config
	// descriptor. Docker's manifests have none.
	InAnnotations
	// InArtifact is a manifest of its own that refers to the image: the image
	// stays what it is.
	InArtifact
)

var placeNames = [...]string{InLabel: "label", InAnnotations: "annotations", InArtifact: "artifact"}

// String returns the place's name in commands.
func (p Place) String() string {
	if p > 0 && int(p) < len(placeNames) {
		return placeNames[p]
	}
	return fmt.Sprintf("Place(%d)", uint8(p))
}

// ParsePlace returns the place of that name.
func ParsePlace(name string) (Place, error) {
	if i := slices.Index(placeNames[1:], name); i >= 0 {
		return Place(i + 1), nil
	}
	return 0, fmt.Errorf("unknown place %q: use %s", name, strings.Join(placeNames[1:], ", "))
}

// Attestations is what becomes of the attestations of an image that changed:
// manifests of an index that build tools add about another of its manifests.
type Attestations uint8

// What to do with attestations.
const (
	// Relink makes their descriptors name the image as it is now. They
	// themselves stay as they are.
	Relink Attestations = iota
	// Drop takes them out of the index.
	Drop
	// Keep leaves their descriptors as they are: they name an image that the
	// index has no more.
	Keep
)

var attestationNames = [...]string{Relink: "relink", Drop: "drop", Keep: "keep"}

// String returns the name in commands.
func (a Attestations) String() string {
	if int(a) < len(attestationNames) {
		return attestationNames[a]
	}
	return fmt.Sprintf("Attestations(%d)", uint8(a))
}

// ParseAttestations returns what has that name.
func ParseAttestations(name string) (Attestations, error) {
	if i := slices.Index(attestationNames[:], name); i >= 0 {
		return Attestations(i), nil
	}
	return 0, fmt.Errorf("unknown choice %q: use %s", name, strings.Join(attestationNames[:], ", "))
}

// LabelFormat is how a label says its digest.
type LabelFormat uint8

// The formats of labels.
const (
	// Hex is the digest in bare hexadecimal, as cfsctl writes and reads it.
	Hex LabelFormat = iota
	// Prefixed has the algorithm in front, as in sha512:….
	Prefixed
)

var labelFormatNames = [...]string{Hex: "hex", Prefixed: "prefixed"}

// String returns the name in commands.
func (f LabelFormat) String() string {
	if int(f) < len(labelFormatNames) {
		return labelFormatNames[f]
	}
	return fmt.Sprintf("LabelFormat(%d)", uint8(f))
}

// ParseLabelFormat returns the format of that name.
func ParseLabelFormat(name string) (LabelFormat, error) {
	if i := slices.Index(labelFormatNames[:], name); i >= 0 {
		return LabelFormat(i), nil
	}
	return 0, fmt.Errorf("unknown format of labels %q: use %s", name, strings.Join(labelFormatNames[:], " or "))
}

// value returns what a label with the digest says.
func (f LabelFormat) value(d fsverity.Digest) string {
	if f == Prefixed {
		return d.Algorithm().String() + ":" + d.String()
	}
	return d.String()
}

// hex returns the digest in a label's value.
func (f LabelFormat) hex(alg fsverity.Algorithm, value string) (digest string, ok bool) {
	if f == Prefixed {
		return strings.CutPrefix(value, alg.String()+":")
	}
	return value, value != ""
}

// LabelOptions say what to do with the digests.
type LabelOptions struct {
	Options
	// Write are the places for the digests. The default is label and
	// annotations.
	Write []Place
	// LabelKeys are the labels that are written. The default is
	// image.LabelKey.
	LabelKeys []string
	// LabelFormat is what they say.
	LabelFormat LabelFormat
	// Attestations is what becomes of those of images that changed.
	Attestations Attestations
	// SkipUnsealable passes over images of an index that cannot be sealed.
	// Without it they are an error.
	SkipUnsealable bool
	// OCI converts Docker's manifests that are sealed, and their lists, to those
	// of OCI, which have annotations.
	OCI bool
	// To is where the sealed image is to be put, in place of where it was.
	To *remote.Ref
	// Tags are to name the sealed image there. The default is the tag that To
	// names or, without one, the tag by which it was read; an image that was
	// read by digest gets none.
	Tags []string
	// Force moves the tag that was read also if it was moved in the meantime.
	Force bool
	// IfNeeded believes digests that an earlier seal of the same input left
	// (image.InputKey), and does not read the layers then.
	IfNeeded bool
	// Check changes nothing, and fails with a *MismatchError unless the digests
	// are in all places where they are to be written, and nothing else there
	// says otherwise.
	Check bool
	// NoUKICheck does not look at the digests that UKIs of the image name.
	NoUKICheck bool
	// DryRun changes nothing where the image is.
	DryRun bool

	// Signing, if not nil, signs what is pushed before a tag names it.
	Signing *Signing
	// Kernel, if not nil, signs the digests of V1 for the kernel's fs-verity:
	// in annotations, where those are written, and in artifacts.
	Kernel *pkcs7.Key
}

// fill puts the defaults in, and checks what was given.
func (o *LabelOptions) fill() error {
	o.Options.fill()
	if len(o.Write) == 0 {
		o.Write = []Place{InLabel, InAnnotations}
	}
	if len(o.LabelKeys) == 0 {
		o.LabelKeys = []string{image.LabelKey}
	}
	if o.makesArtifacts() && !slices.Contains(o.Formats, erofs.V1) {
		o.Formats = append(slices.Clone(o.Formats), erofs.V1) // it holds no other
	}
	if err := checkTags(o.Tags); err != nil {
		return err
	}
	return o.contradiction()
}

func (o *LabelOptions) contradiction() error {
	for _, c := range []struct {
		holds bool
		what  string
	}{
		{len(o.Xattrs) > 1, "sealing takes one xattr mode"},
		{slices.Contains(o.LabelKeys, ""), "a label needs a key"},
		{o.Check && o.IfNeeded, "checking reads the layers whatever an annotation says"},
		{o.Check && o.To != nil, "checking writes nothing anywhere else"},
		{o.Check && len(o.Tags) > 0, "checking writes no tags"},
		{o.Check && (o.Signing != nil || o.Kernel != nil), "checking signs nothing, and cfs-label verify checks signatures"},
		{o.writesOnly(InAnnotations) && !slices.Contains(o.Formats, erofs.V1), "there are annotations for format v1 alone"},
		{o.writesOnly(InArtifact) && o.OCI, "an artifact leaves the image as it is, in Docker's format or OCI's"},
	} {
		if c.holds {
			return fmt.Errorf("%w: %s", ErrOptions, c.what)
		}
	}
	return nil
}

func (o *LabelOptions) writes(p Place) bool { return slices.Contains(o.Write, p) }

func (o *LabelOptions) writesOnly(p Place) bool {
	return !slices.ContainsFunc(o.Write, func(w Place) bool { return w != p })
}

// makesArtifacts reports whether there are to be artifacts. A signature of a
// manifest cannot be in it, and where there are signatures, there is to be one of
// the manifest (sealing_spec.rs, "Implementation Considerations").
func (o *LabelOptions) makesArtifacts() bool { return o.writes(InArtifact) || o.Kernel != nil }

// editsImage reports whether the image itself is to hold digests.
func (o *LabelOptions) editsImage() bool { return !o.writesOnly(InArtifact) }

// target is where the image is to be.
func (o *LabelOptions) target(ref *remote.Ref) remote.Repo {
	if o.To != nil && !remote.Same(o.To.Repo, ref.Repo) {
		return o.To.Repo
	}
	return ref.Repo
}

// tagSyntax is what the distribution specification allows as a tag (spec.md,
// "Pulling manifests").
var tagSyntax = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// checkTags fails for a tag that a registry would refuse, or that nobody could
// read back from a layout.
func checkTags(tags []string) error {
	for _, tag := range tags {
		if !tagSyntax.MatchString(tag) {
			return fmt.Errorf("%w: %q is no tag: use letters, digits, dots, dashes and underscores, 128 at most", remote.ErrReference, tag)
		}
	}
	return nil
}
