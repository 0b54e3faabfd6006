// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// Detached is what somebody else is to sign, for the kernel's fs-verity, with a
// key that is not here: of each image of a reference, and each algorithm, the
// objects of one artifact. ToBeSigned makes it, and Attach takes it back.
type Detached struct {
	Reference string  // as the user wrote it; it is only told
	Digest    v1.Hash // of the manifest or index that the reference named
	// Entries stand in the order of the images, and within one in that of
	// artifacts and of roles.
	Entries []DetachedEntry
}

// DetachedEntry is one object that is to be signed.
type DetachedEntry struct {
	Platform string
	Manifest v1.Descriptor // of the image: media type, digest, size in bytes
	Role     image.Role
	Digest   fsverity.Digest // what is to be signed is pkcs7.FormattedDigest of it
	Input    string          // what the artifact says under image.InputKey
	// File and Signature are the names of the file with what is to be signed,
	// and of the one where the signature is expected. They have no directory.
	File, Signature string
}

// ToBeSigned returns the bytes that a signature of the entry signs.
func (e *DetachedEntry) ToBeSigned() []byte { return pkcs7.FormattedDigest(e.Digest) }

// ToBeSignedOptions say what is computed.
type ToBeSignedOptions struct {
	// Options are those of Compute. Formats does not count: signatures are of
	// V1, as the sealing specification knows no other.
	Options
	// SkipUnsealable passes over images of an index that cannot be sealed. They
	// are told. Without it they are an error.
	SkipUnsealable bool
	// NoUKICheck does not look at the digests that UKIs of the image name.
	NoUKICheck bool
}

// ToBeSigned reads the layers of an image, or of the images of an index, and
// returns what an artifact beside each is to have signed. Nothing is written.
// Where the image itself says something else of its digests, that is told. A UKI
// that names another bootable digest is a *MismatchError.
func ToBeSigned(ctx context.Context, ref *remote.Ref, o ToBeSignedOptions) (*Detached, error) {
	lo := LabelOptions{Options: o.Options, Write: []Place{InArtifact}, SkipUnsealable: o.SkipUnsealable, NoUKICheck: o.NoUKICheck}
	lo.Formats = []erofs.Format{erofs.V1}
	if err := lo.fill(); err != nil {
		return nil, err
	}
	if err := canAttach(ctx, ref); err != nil {
		return nil, err
	}
	g, err := readGraph(ctx, ref, lo.Platforms, lo.SkipUnsealable)
	if err != nil {
		return nil, err
	}
	r := &run{ref: ref, target: ref.Repo, graph: g, options: &lo}
	if err := r.compute(ctx); err != nil {
		return nil, err
	}
	if err := mismatchError(r.ukiMismatches()); err != nil {
		return nil, err
	}
	for _, s := range g.skipped {
		lo.Warn(fmt.Sprintf("%s (%s) cannot be sealed and is left out: %v", s.Platform, s.Manifest, s.Err))
	}
	for _, text := range r.contradictions() {
		lo.Warn("the image itself says something else, which an artifact leaves as it is: " + text)
	}
	d := &Detached{Reference: ref.String(), Digest: g.top.descriptor.Digest}
	for i, n := range g.images {
		if r.digests[i] != nil {
			d.add(n.source.Platform(), artifactsFor(n.source, asItIs(n), r.digests[i]))
		}
	}
	d.nameFiles()
	return d, nil
}

// canAttach fails where nothing can ever be put beside the image: signatures would
// be made for nothing. Whether this user may push does not matter here.
func canAttach(ctx context.Context, ref *remote.Ref) error {
	if remote.IsRegistry(ref.Repo) {
		return nil
	}
	if err := ref.Repo.CheckPush(ctx); errors.Is(err, remote.ErrReadOnly) {
		return err
	}
	return nil
}

// add adds what the artifacts of an image are to have signed.
func (d *Detached) add(platform string, artifacts []*image.Artifact) {
	for _, a := range artifacts {
		for _, e := range a.Entries {
			d.Entries = append(d.Entries, DetachedEntry{
				Platform: platform,
				Manifest: a.Subject,
				Role:     e.Role,
				Digest:   e.Digest,
				Input:    inputOf(a),
			})
		}
	}
}

// inputOf returns the key of an artifact's input.
func inputOf(a *image.Artifact) string {
	i := slices.IndexFunc(a.Annotations, func(kv image.KV) bool { return kv.Key == image.InputKey })
	if i < 0 {
		return ""
	}
	return a.Annotations[i].Value
}

// What the names of files end in: what is to be signed, and its signature.
const (
	fileSuffix      = ".tbs"
	signatureSuffix = ".sig"
)

// nameFiles gives each entry its files: linux-amd64.sha512.merged.tbs, without
// the platform if there is one image only.
func (d *Detached) nameFiles() {
	prefixes := map[v1.Hash]string{}
	used := map[string]bool{}
	for _, e := range d.Entries {
		if _, ok := prefixes[e.Manifest.Digest]; ok {
			continue
		}
		prefix := fileWord(e.Platform)
		for n := 2; used[strings.ToLower(prefix)]; n++ { // some file systems do not tell case
			prefix = fmt.Sprintf("%s.%d", fileWord(e.Platform), n)
		}
		used[strings.ToLower(prefix)] = true
		prefixes[e.Manifest.Digest] = prefix + "."
	}
	for i := range d.Entries {
		e := &d.Entries[i]
		name := e.Digest.Algorithm().String() + "." + e.Role.String()
		if len(prefixes) > 1 {
			name = prefixes[e.Manifest.Digest] + name
		}
		e.File, e.Signature = name+fileSuffix, name+signatureSuffix
	}
}

// fileWordMax is the length of the longest platform in a file's name. Configs
// may have any.
const fileWordMax = 64

// fileWord returns a platform in a form that can begin a file's name, and is
// neither hidden nor an option of a command.
func fileWord(platform string) string {
	word := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' {
			return r
		}
		return '-'
	}, platform)
	word = strings.Trim(word[:min(len(word), fileWordMax)], "-")
	if word == "" {
		return "image"
	}
	return word
}
