// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
)

// State is what became of something that an image says.
type State string

// The states. All but Holds and Believed come with a reason.
const (
	// Holds is what is as it was computed, or a signature that is good.
	Holds State = "holds"
	// Believed is a digest that was not computed: what says it was verified
	// (VerifyOptions.DigestOnly).
	Believed State = "believed"
	// Wrong is what is not as it was computed, or that nobody can check. It is a
	// finding.
	Wrong State = "wrong"
	// Unchecked is what nobody asked to check.
	Unchecked State = "not checked"
)

// Object is one digest that an image or an artifact says.
type Object struct {
	// Where says it: "label", "annotation" (of the manifest), "config
	// annotation" (of the config's descriptor), "layer annotation" or
	// "artifact".
	Where string
	// Key is that of the label or annotation.
	Key string
	// Artifact is that which says it; zero if the image does.
	Artifact v1.Hash
	// Role is what the digest is of; zero if that is not known.
	Role image.Role
	// Algorithm is the digest's; zero likewise.
	Algorithm fsverity.Algorithm
	// Format is that of the EROFS image, by its name. "": there is none, or it is
	// not known which.
	Format string
	// Found is what is said, and Computed what should be. "": it was not
	// computed.
	Found, Computed string
	State           State
	Reason          string // in words that continue "the label …"

	// Signature is what became of the fs-verity signature of the digest; "" if
	// there is none.
	Signature       State
	SignatureReason string
}

// The places of objects.
const (
	whereLabel    = "label"
	whereManifest = "annotation"
	whereConfig   = "config annotation"
	whereLayer    = "layer annotation"
	whereArtifact = "artifact"
)

// String names the object in a sentence.
func (o Object) String() string {
	key := o.Key
	if len(key) > maxQuoted {
		key = quoted(key)
	}
	if o.Where == whereArtifact {
		return fmt.Sprintf("%s in the artifact %s", key, o.Artifact)
	}
	return "the " + o.Where + " " + key
}

// claim is an object that is looked at.
type claim struct {
	Object
	digest    fsverity.Digest // zero: it has none that could be read
	signature []byte          // nil: none that could be read
}

// wrong settles a claim.
func (c *claim) wrong(format string, args ...any) {
	c.State, c.Reason = Wrong, fmt.Sprintf(format, args...)
}

// isInline reports whether the image's own annotations say it.
func (c *claim) isInline() bool { return c.Where == whereManifest || c.Where == whereConfig }

// maxQuoted is how much of a text is shown that is not what it should be, in
// bytes.
const maxQuoted = 150

// quoted shows a text from elsewhere.
func quoted(text string) string {
	if len(text) > maxQuoted {
		return fmt.Sprintf("%q…", text[:maxQuoted])
	}
	return fmt.Sprintf("%q", text)
}

// algorithms are those of digests, the one of hosts first.
var algorithms = []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256}

// parseLabel reads a label: a digest in bare hexadecimal, or with its algorithm
// in front. Both are lowercase.
func parseLabel(value string) (d fsverity.Digest, ok bool) {
	for _, alg := range algorithms {
		for _, format := range []LabelFormat{Hex, Prefixed} {
			text, ok := format.hex(alg, value)
			if !ok {
				continue
			}
			if d, err := fsverity.ParseDigest(alg, text); err == nil {
				return d, true
			}
		}
	}
	return fsverity.Digest{}, false
}

// parseSignature reads the annotation of a signature: DER in base64 (sealing_spec.rs,
// "Inline signatures example"). Only one text stands for the same bytes.
func parseSignature(value string) ([]byte, error) {
	if len(value) > base64.StdEncoding.EncodedLen(image.MaxSignatureSize) {
		return nil, fmt.Errorf("it is longer than the kernel takes, %d bytes", image.MaxSignatureSize)
	}
	der, err := base64.StdEncoding.DecodeString(value)
	switch {
	case err != nil:
		return nil, err
	case len(der) == 0:
		return nil, errors.New("it is empty")
	case base64.StdEncoding.EncodeToString(der) != value:
		return nil, errors.New("there are line breaks in it, or bits that mean nothing")
	}
	return der, nil
}

// seal is an annotation of the sealing specification.
type seal struct {
	role image.Role
	alg  fsverity.Algorithm
}

// seals are all annotations that this program knows, by their keys.
var seals = func() map[string]seal {
	m := map[string]seal{}
	for _, role := range image.Roles() {
		for _, alg := range algorithms {
			m[image.AnnotationKey(role, alg)] = seal{role, alg}
		}
	}
	return m
}()

// strayKeys returns the keys of annotations that are part of a seal, where none
// may be.
func strayKeys(annotations map[string]string) []string {
	isOurs := func(key string) bool { return image.StaleAnnotation(key) || key == image.InputKey }
	return slices.DeleteFunc(slices.Sorted(maps.Keys(annotations)), func(key string) bool { return !isOurs(key) })
}

// collectImage collects what the image itself says.
func (in *inspection) collectImage() {
	s := in.n.source
	for _, key := range slices.Sorted(maps.Keys(s.Config.Labels)) {
		isKnown := key == image.LabelKey || slices.Contains(in.options.LabelKeys, key)
		if isKnown || image.StaleLabel(key) {
			in.collectLabel(key, s.Config.Labels[key], isKnown)
		}
	}
	for _, key := range in.options.LabelKeys {
		if _, ok := s.Config.Labels[key]; !ok {
			in.find("the label %s is missing", key)
		}
	}
	in.collectAnnotations(s.Manifest.Annotations, whereManifest, image.OnManifest)
	in.collectAnnotations(s.Manifest.Config.Annotations, whereConfig, image.OnConfig)
	for _, layer := range s.Manifest.Layers {
		in.collectAnnotations(layer.Annotations, whereLayer, image.Nowhere)
	}
}

func (in *inspection) collectLabel(key, value string, isKnown bool) {
	c := &claim{Object: Object{Where: whereLabel, Key: key, Found: value}}
	in.claims = append(in.claims, c)
	if !isKnown {
		c.wrong("is unknown to this program, so nobody checked it: %s; if it is the digest of the image, name it with --label-key", quoted(value))
		return
	}
	d, ok := parseLabel(value)
	if !ok {
		c.wrong("is no digest: %s", quoted(value))
		return
	}
	c.Role, c.Algorithm, c.digest = image.RoleMerged, d.Algorithm(), d
}

func (in *inspection) collectAnnotations(annotations map[string]string, where string, place image.Where) {
	for key := range annotations {
		if strings.HasPrefix(key, "composefs.") && !image.StaleAnnotation(key) {
			in.options.Warn("digests of single layers are not checked (composefs.layer.…), which the image says as well")
			break
		}
	}
	for _, key := range strayKeys(annotations) {
		value := annotations[key]
		if digestKey, isSignature := strings.CutSuffix(key, ".sig"); isSignature && seals[digestKey] != (seal{}) {
			in.collectSignature(where, digestKey, key, value, annotations)
			continue
		}
		c := &claim{Object: Object{Where: where, Key: key, Found: value}}
		in.claims = append(in.claims, c)
		found, isSeal := seals[key]
		switch {
		case where == whereLayer: // a seal leaves it, and nobody looks for it there
			c.State, c.Reason = Unchecked, "is not where the specification has it"
			in.options.Warn(fmt.Sprintf("%s %s", c, c.Reason))
			continue
		case key == image.InputKey && where == whereManifest:
			continue
		case !isSeal && key != image.InputKey:
			c.wrong("is unknown to this program, so nobody checked it: %s", quoted(value))
			continue
		case key == image.InputKey, found.role.Where() != place:
			c.wrong("is not where the specification has it")
			continue
		}
		c.Role, c.Algorithm, c.Format = found.role, found.alg, formatOf(found.role)
		var err error
		if c.digest, err = fsverity.ParseDigest(found.alg, value); err != nil {
			c.wrong("is no digest: %s", quoted(value))
		}
	}
}

// formatOf returns the format of which annotations are.
func formatOf(role image.Role) string {
	if role == image.RoleManifest || role == image.RoleConfig {
		return ""
	}
	return erofs.V1.String()
}

// collectSignature adds a signature to its digest, which sorts before it.
func (in *inspection) collectSignature(where, digestKey, key, value string, annotations map[string]string) {
	if _, ok := annotations[digestKey]; !ok {
		c := &claim{Object: Object{Where: where, Key: key, Found: value}}
		c.wrong("is a signature, and the digest is not there that it would be of")
		in.claims = append(in.claims, c)
		return
	}
	i := slices.IndexFunc(in.claims, func(c *claim) bool { return c.Where == where && c.Key == digestKey })
	c := in.claims[i]
	der, err := parseSignature(value)
	if err != nil {
		c.Signature, c.SignatureReason = Wrong, fmt.Sprintf("%s is no signature in base64: %v", key, err)
		return
	}
	c.signature, c.Signature = der, Unchecked
}

// collectArtifacts collects what artifacts say. One of ours that breaks the rules
// is a finding: who goes by it would be misled.
func (in *inspection) collectArtifacts(ctx context.Context, repo remote.Repo) error {
	subject := in.n.descriptor
	list, err := listArtifacts(ctx, repo, subject.Digest, func(d v1.Descriptor, err error) {
		in.find("the artifact %s is not to be used: %v", d.Digest, err)
	})
	if err != nil {
		return err
	}
	for _, a := range list {
		isKind := a.Subject.MediaType == subject.MediaType || a.Subject.MediaType == in.n.manifest.Kind.MediaType()
		if !isKind || a.Subject.Size != subject.Size {
			in.find("the artifact %s says of its subject that it is a %s of %d bytes; it is a %s of %d",
				a.descriptor.Digest, quoted(string(a.Subject.MediaType)), a.Subject.Size, in.n.manifest.Kind.MediaType(), subject.Size)
		}
		in.collectArtifact(a)
	}
	return nil
}

func (in *inspection) collectArtifact(a there) {
	base := Object{Where: whereArtifact, Artifact: a.descriptor.Digest}
	for _, e := range a.Entries {
		c := &claim{Object: base, digest: e.Digest, signature: e.Signature}
		c.Key = image.AnnotationKey(e.Role, e.Digest.Algorithm())
		c.Role, c.Algorithm, c.Format, c.Found = e.Role, e.Digest.Algorithm(), formatOf(e.Role), e.Digest.String()
		if e.Signature != nil {
			c.Signature = Unchecked
		}
		in.claims = append(in.claims, c)
	}
	for _, kv := range a.Annotations {
		if kv.Key == image.InputKey {
			c := &claim{Object: base}
			c.Key, c.Found, c.Algorithm = kv.Key, kv.Value, a.Algorithm()
			in.claims = append(in.claims, c)
		}
	}
}
