// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// MaxDataSize is the size of the largest content that an edit embeds in a
// descriptor, in bytes.
const MaxDataSize = 4 << 10

// DescriptorChange is the new content of a descriptor.
type DescriptorChange struct {
	Digest v1.Hash
	Size   int64 // in bytes
	// Content is what Digest and Size are of. It is needed where the
	// descriptor embeds its content: that goes if Content is nil or larger
	// than MaxDataSize.
	Content []byte
	// MediaType is the new media type; "" leaves it.
	MediaType types.MediaType
}

// Describe returns the change to that content, with its SHA-256.
func Describe(content []byte) *DescriptorChange {
	sum := sha256.Sum256(content)
	return &DescriptorChange{
		Digest:  v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])},
		Size:    int64(len(content)),
		Content: content,
	}
}

// check returns an error if the change cannot be written.
func (c *DescriptorChange) check() error {
	if _, err := v1.NewHash(c.Digest.String()); err != nil {
		return fmt.Errorf("%w: %w: %s", ErrEdit, ErrDigest, quote(c.Digest.String()))
	}
	if c.Size < 0 {
		return fmt.Errorf("%w: %w: %d", ErrEdit, ErrSize, c.Size)
	}
	if c.Content != nil {
		if err := verify(c.Content, c.Digest, c.Size); err != nil {
			return fmt.Errorf("%w: the content: %w", ErrEdit, err)
		}
	}
	if !utf8.ValidString(string(c.MediaType)) {
		return fmt.Errorf("%w: media type %s: %w", ErrEdit, quote(string(c.MediaType)), ErrEncoding)
	}
	return nil
}

// ManifestEdit says what to change in a manifest. The zero value changes
// nothing.
type ManifestEdit struct {
	// Config is the new config; nil leaves it.
	Config *DescriptorChange
	// ConfigAnnotations are set on the config descriptor, Annotations on the
	// manifest. New ones come last, in their order.
	ConfigAnnotations []KV
	Annotations       []KV
	// StaleAnnotations reports whether an annotation of either is removed
	// unless it is set; nil removes none. A signature goes with its digest
	// whatever is said of it here: it stays if and only if the digest stays.
	StaleAnnotations func(key string) bool
}

// SetDigest adds the annotation of the role's digest where it belongs. Its
// error is that a manifest cannot carry the role.
func (e *ManifestEdit) SetDigest(role Role, d fsverity.Digest) error {
	return e.add(role, KV{AnnotationKey(role, d.Algorithm()), d.String()})
}

// add adds an annotation where those of the role belong.
func (e *ManifestEdit) add(role Role, kv KV) error {
	switch role.Where() {
	case OnManifest:
		e.Annotations = append(e.Annotations, kv)
	case OnConfig:
		e.ConfigAnnotations = append(e.ConfigAnnotations, kv)
	default:
		return fmt.Errorf("%w: the digest of role %s can be in an artifact only", ErrEdit, role)
	}
	return nil
}

// SetSignature adds the annotation with the signature of the role's digest, in
// DER, beside that of the digest. Its error is that of SetDigest, or that the
// signature is larger than MaxSignatureSize.
func (e *ManifestEdit) SetSignature(role Role, alg fsverity.Algorithm, der []byte) error {
	if err := checkSignatureSize(int64(len(der))); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrEdit, role, err)
	}
	return e.add(role, KV{SignatureKey(role, alg), base64.StdEncoding.EncodeToString(der)})
}

// EditManifest edits an image manifest. It returns the new text, which is raw
// itself if nothing changes, and what changed. The error is an *Error, or
// ErrEdit.
func EditManifest(raw []byte, edit ManifestEdit) ([]byte, []Change, error) {
	onManifest := mapEdit{edit.Annotations, edit.StaleAnnotations}
	onConfig := descriptorEdit{
		change:      edit.Config,
		annotations: mapEdit{edit.ConfigAnnotations, edit.StaleAnnotations},
	}
	if err := onManifest.check(); err != nil {
		return nil, nil, err
	}
	if err := onConfig.check(); err != nil {
		return nil, nil, err
	}
	doc, m, err := parseManifest(raw, "")
	if err != nil {
		return nil, nil, err
	}
	if m.Kind.IsIndex() {
		return nil, nil, doc.root().fail(fmt.Errorf("%w: %s is no image manifest", ErrWrongKind, m.Kind.withArticle()))
	}
	e := &editor{doc: doc}
	err = e.root(func(root *objectEdit) error {
		if err := e.editDescriptor(root.get("config"), m.Config, onConfig); err != nil {
			return err
		}
		return root.editMap(onManifest, "annotations")
	})
	if err != nil {
		return nil, nil, err
	}
	return e.finishManifest(m.Kind)
}

// finishManifest is finish for a manifest of that kind.
func (e *editor) finishManifest(k Kind) ([]byte, []Change, error) {
	isNew := func(c Change) bool { return c.Action == Added }
	if i := slices.IndexFunc(e.changes, isNew); i >= 0 && k.IsDocker() {
		return nil, nil, e.doc.root().fail(fmt.Errorf("%w: %s", ErrNoAnnotations, quote(e.changes[i].Key)))
	}
	return e.finish(MaxManifestSize)
}

// descriptorEdit is the edit of one descriptor.
type descriptorEdit struct {
	change      *DescriptorChange // nil: none
	annotations mapEdit
}

func (d descriptorEdit) check() error {
	if d.change != nil {
		if err := d.change.check(); err != nil {
			return err
		}
	}
	return d.annotations.check()
}

// editDescriptor edits the descriptor that n is; old is what it says.
func (e *editor) editDescriptor(n node, old v1.Descriptor, d descriptorEdit) error {
	o, err := n.object()
	if err != nil {
		return err
	}
	oe := e.edit(o, compact)
	defer oe.flush()
	if d.change != nil {
		oe.editContent(old, *d.change)
	}
	return oe.editMap(d.annotations, "annotations")
}

// replaceString makes the string that key names, which says was, say is.
func (e *objectEdit) replaceString(key, was, is string) {
	e.replaceText(key, was, is, encode(is))
}

// replaceText makes the value that key names, which says was, say is: text is
// how it is spelled. A value that says so already keeps its spelling.
func (e *objectEdit) replaceText(key, was, is, text string) {
	if was != is {
		e.set(e.find(key), verbatim(text))
		e.changed(Replaced, e.object, key, was, is)
	}
}

// editContent edits what a descriptor says of its content.
func (e *objectEdit) editContent(old v1.Descriptor, c DescriptorChange) {
	if c.MediaType != "" {
		e.replaceString("mediaType", string(old.MediaType), string(c.MediaType))
	}
	digest, size := c.Digest.String(), strconv.FormatInt(c.Size, 10)
	e.replaceString("digest", old.Digest.String(), digest)
	e.replaceText("size", strconv.FormatInt(old.Size, 10), size, size)

	isSame := digest == old.Digest.String() && c.Size == old.Size
	if old.Data == nil || isSame || bytes.Equal(old.Data, c.Content) {
		return
	}
	was := base64.StdEncoding.EncodeToString(old.Data)
	if c.Content == nil || len(c.Content) > MaxDataSize {
		e.drop(e.find("data"))
		e.changed(Removed, e.object, "data", was, "")
		return
	}
	e.replaceString("data", was, base64.StdEncoding.EncodeToString(c.Content))
}
