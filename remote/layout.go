// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The files of an OCI layout (image-layout.md of the OCI image specification).
const (
	layoutFile    = "oci-layout"
	layoutVersion = "1.0.0" // imageLayoutVersion in oci-layout
	indexFile     = "index.json"
	blobsDir      = "blobs"

	// refName is the annotation of an entry of index.json that is its tag.
	refName = "org.opencontainers.image.ref.name"
)

// maxTagsNamed is how many tags an error lists.
const maxTagsNamed = 20

// layout is an OCI layout, wherever its files are.
type layout struct {
	name   string // oci:DIR and the like, as the user wrote it
	files  storage
	editor IndexEditor
}

func openLayout(ctx context.Context, ref, rest string, o Options) (*Ref, error) {
	dir, tag, digest, err := cutLayout(ref, rest)
	if err != nil {
		return nil, err
	}
	l := &layout{name: layoutPrefix + dir, files: &directory{dir: dir}, editor: o.Layout}
	if err := l.checkVersion(ctx); err != nil {
		return nil, l.fail(opOpen, err)
	}
	return &Ref{Repo: l, Tag: tag, Digest: digest, text: ref}, nil
}

func (l *layout) Name() string { return l.name }

// opOpen is what is asked for in the errors of Open.
const opOpen = "open"

// fail returns the error for what a layout did not do.
func (l *layout) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	e := newError(l.Name(), op, err)
	if errors.Is(err, fs.ErrNotExist) {
		e.Kind = ErrNotFound
	}
	return e
}

func (l *layout) checkVersion(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := readStored(l.files, layoutFile, MaxManifest)
	if err != nil {
		return fmt.Errorf("this is no OCI layout: %w", err)
	}
	var file struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return fmt.Errorf("this is no OCI layout: %s: %w", layoutFile, err)
	}
	if file.Version != layoutVersion {
		return fmt.Errorf("the OCI layout has the version %q, only %s is known", file.Version, layoutVersion)
	}
	return nil
}

// entry is an entry of index.json, as much of it as is needed to find it.
type entry struct {
	MediaType    types.MediaType   `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"` // in bytes
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
}

// mayBeManifest reports whether the entry can be one of a manifest or index:
// anything else may be listed, too (image-layout.md, "index.json file").
func (e entry) mayBeManifest() bool { return e.MediaType == "" || isManifestType(e.MediaType) }

// isImage reports whether the entry does not say that it is no image. An image
// may have its config's media type for an artifactType.
func (e entry) isImage() bool {
	return e.mayBeManifest() && (e.ArtifactType == "" ||
		e.ArtifactType == string(types.OCIConfigJSON) || e.ArtifactType == string(types.DockerConfigJSON))
}

// hasKnownDigest reports whether the digest's algorithm is one that is known.
// Others are allowed (descriptor.md, "Digests"), but nothing can be read by them.
func (e entry) hasKnownDigest() bool {
	algorithm, _, _ := strings.Cut(e.Digest, ":")
	_, err := v1.Hasher(algorithm)
	return err == nil
}

func (e entry) descriptor() (v1.Descriptor, error) {
	h, err := v1.NewHash(e.Digest)
	if err != nil {
		return v1.Descriptor{}, kinded(ErrContent, fmt.Errorf("%s: %w", indexFile, err))
	}
	return v1.Descriptor{MediaType: e.MediaType, Digest: h, Size: e.Size}, nil
}

func (l *layout) readIndex() (raw []byte, entries []entry, err error) {
	raw, err = readStored(l.files, indexFile, MaxManifest)
	if err != nil {
		return nil, nil, err
	}
	entries, err = parseIndex(raw)
	return raw, entries, err
}

func parseIndex(raw []byte) ([]entry, error) {
	var index struct {
		Manifests []entry `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, kinded(ErrContent, fmt.Errorf("%s: %w", indexFile, err))
	}
	return index.Manifests, nil
}

// find returns the entry with the tag, or the only image if tag is "". Entries
// with one tag must be about one thing.
func find(entries []entry, tag string) (entry, error) {
	if tag == "" {
		return findOnly(entries)
	}
	var found []entry
	for _, e := range entries {
		if e.Annotations[refName] == tag {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		return entry{}, kinded(ErrNotFound, fmt.Errorf("no such tag (%s)", tagsOf(entries)))
	}
	for _, e := range found[1:] {
		if e.Digest != found[0].Digest {
			return entry{}, kinded(ErrContent, fmt.Errorf("the tag is there %d times with different digests: ask for one of them by its digest, as in oci:DIR@DIGEST", len(found)))
		}
	}
	return found[0], nil
}

func findOnly(entries []entry) (entry, error) {
	images := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return !e.isImage() })
	switch {
	case len(images) == 1:
		return images[0], nil
	case len(entries) == 0:
		return entry{}, kinded(ErrNotFound, errors.New("the layout is empty"))
	case len(images) == 0:
		return entry{}, kinded(ErrNotFound, errors.New("the layout has no images but only artifacts and other files, which are not taken for one unless they are named"))
	}
	return entry{}, kinded(ErrReference, fmt.Errorf("the layout has %d images: say which one, as in oci:DIR:TAG or oci:DIR@DIGEST, and likewise for oci-archive:FILE (there are: %s)", len(images), listed(namesOfEntries(images))))
}

// namesOfEntries returns for each entry by what it can be asked for: its tag, or
// its digest if it has none.
func namesOfEntries(entries []entry) []string {
	var names []string
	for _, e := range entries {
		if tag := e.Annotations[refName]; tag != "" {
			names = append(names, tag)
		} else {
			names = append(names, "@"+e.Digest)
		}
	}
	return names
}

// tagsOf lists the tags for an error.
func tagsOf(entries []entry) string {
	var tags []string
	for _, e := range entries {
		if tag := e.Annotations[refName]; tag != "" {
			tags = append(tags, tag)
		}
	}
	if len(tags) == 0 {
		return "it has no tags"
	}
	return "there are: " + listed(tags)
}

// listed names each of the names once, but not all of many.
func listed(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	more := ""
	if len(names) > maxTagsNamed {
		more = fmt.Sprintf(" and %d more", len(names)-maxTagsNamed)
		names = names[:maxTagsNamed]
	}
	return strings.Join(names, ", ") + more
}

func (l *layout) Resolve(ctx context.Context, tag, digest string) (v1.Descriptor, []byte, error) {
	a := asked{what: aTag, name: tag}
	if digest != "" {
		a = asked{what: aManifest, name: digest}
	}
	d, raw, err := l.resolve(ctx, tag, digest)
	if err != nil {
		return v1.Descriptor{}, nil, l.fail(a.String(), err)
	}
	return d, raw, nil
}

func (l *layout) resolve(ctx context.Context, tag, digest string) (v1.Descriptor, []byte, error) {
	if err := ctx.Err(); err != nil {
		return v1.Descriptor{}, nil, err
	}
	_, entries, err := l.readIndex()
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	if digest != "" {
		return l.resolveDigest(entries, digest)
	}
	e, err := find(entries, tag)
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	d, err := e.descriptor()
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	raw, err := l.read(d, MaxManifest)
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	d.MediaType, err = mediaType(string(d.MediaType), raw)
	return d, raw, err
}

// resolveDigest returns a manifest of the layout by its digest, also one that
// only a nested index names.
func (l *layout) resolveDigest(entries []entry, digest string) (v1.Descriptor, []byte, error) {
	h, err := v1.NewHash(digest)
	if err != nil {
		return v1.Descriptor{}, nil, kinded(ErrReference, err)
	}
	raw, err := readStored(l.files, blobName(h), MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return v1.Descriptor{}, nil, fmt.Errorf("no such manifest: %w", err)
	}
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	d := v1.Descriptor{Digest: h, Size: int64(len(raw))}
	said := types.MediaType("")
	for _, e := range entries {
		if e.Digest == digest {
			said = e.MediaType
		}
	}
	if d.MediaType, err = mediaType(string(said), raw); err != nil {
		return v1.Descriptor{}, nil, err
	}
	return d, raw, check(d, raw)
}

func (l *layout) Manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	return l.readFor(ctx, asked{what: aManifest, name: d.Digest.String()}, d, MaxManifest)
}

func (l *layout) BlobBytes(ctx context.Context, d v1.Descriptor, limit int64) ([]byte, error) {
	return l.readFor(ctx, asked{what: aBlob, name: d.Digest.String()}, d, limit)
}

func (l *layout) readFor(ctx context.Context, a asked, d v1.Descriptor, limit int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, l.fail(a.String(), err)
	}
	b, err := l.read(d, limit)
	if err != nil {
		return nil, l.fail(a.String(), err)
	}
	return b, nil
}

// read returns the content of d, checked.
func (l *layout) read(d v1.Descriptor, limit int64) ([]byte, error) {
	if err := checkLimit(d, limit); err != nil {
		return nil, err
	}
	f, err := l.openBlob(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := readChecked(f, d)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (l *layout) Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	f, err := l.openBlob(d)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, l.fail(asked{what: aBlob, name: d.Digest.String()}.String(), err)
	}
	return f, nil
}

// openBlob opens the file of d, which must be as long as d says.
func (l *layout) openBlob(d v1.Descriptor) (io.ReadCloser, error) {
	if err := wellFormed(d.Digest); err != nil {
		return nil, err
	}
	f, size, err := l.files.open(blobName(d.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the layout does not have it: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if size != d.Size {
		_ = f.Close()
		return nil, wrongSize(size, d)
	}
	return f, nil
}

// blobName returns the name of a digest's file; the digest must be well-formed.
func blobName(h v1.Hash) string {
	return blobsDir + "/" + h.Algorithm + "/" + h.Hex
}
