// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// MaxManifest is the size of the largest manifest or index that is read or
// written, in bytes. The distribution specification lets registries refuse
// larger ones.
const MaxManifest = 4 << 20

// Options says how registries and layouts are reached. The zero value is how
// docker and podman would do it.
type Options struct {
	// Insecure allows http, and https with a certificate that nobody vouches
	// for.
	Insecure bool
	// PlainHTTP speaks http and nothing else.
	PlainHTTP bool
	// CAFile is a file of PEM certificates of authorities to be trusted besides
	// those of the system.
	CAFile string
	// ClientCert and ClientKey are PEM files by which this side proves who it
	// is. Both or neither.
	ClientCert, ClientKey string
	// Keychain has the credentials. Nil: those of docker's and podman's config
	// files and their credential helpers.
	Keychain authn.Keychain
	// AuthFile is a config file of docker's or podman's to read in place of the
	// usual ones. Keychain must be nil then.
	AuthFile string
	// Username and Password are the credentials of the registry that the
	// reference names. They come before all others.
	Username, Password string
	// Retries is how often a request is sent again that failed for reasons
	// which pass, and how often a blob's stream that broke goes on without
	// having got any further. Zero is DefaultRetries, less is never.
	Retries int
	// RetryPause is what lies before the first retry; it doubles from one to
	// the next, some of it is random, and what a registry asks for
	// (Retry-After) comes first. Zero is DefaultRetryPause.
	RetryPause time.Duration
	// Warn, if not nil, is told what registries say in Warning headers, each
	// thing once per reference, and which referrers a registry still lists, or
	// may, though PushReferrer was to replace them. It may be called by several
	// goroutines at the same time.
	Warn func(message string)
	// UserAgent is what registries see, as in cfs-label/1.0. The name of the
	// library is appended.
	UserAgent string
	// Transport sends the requests. Nil: one that takes the proxy from the
	// environment, speaks HTTP/2 and gives up on a peer that is silent for a
	// minute before it answers. (Bodies that nobody sends, or takes, are given
	// up with any.) A Transport that is no *http.Transport has to
	// see to Insecure's certificates itself.
	Transport http.RoundTripper
	// Layout edits the index.json of OCI layouts, and the index behind the tag
	// that stands in for the referrers API. Nil: layouts can't be tagged and
	// take no referrers, and neither do registries without that API.
	Layout IndexEditor
}

// What Options stand for where they are zero.
const (
	DefaultRetries    = 4
	DefaultRetryPause = time.Second
)

// IndexEditor edits indexes as text: what is not to change stays as it is, byte
// for byte.
type IndexEditor interface {
	// SetTag returns the index with d as what tag names: instead of the entry
	// with that org.opencontainers.image.ref.name, or as a new one. The tag ""
	// names the only entry of an index, which then has no name.
	SetTag(index []byte, tag string, d v1.Descriptor) ([]byte, error)

	// SetReferrer returns the index with d among its entries, unless it is
	// there, and without those that have one of the digests in gone. An index
	// of no bytes is a new one.
	SetReferrer(index []byte, d v1.Descriptor, gone []v1.Hash) ([]byte, error)
}

// Repo is where an image is: a repository of a registry, or an OCI layout. Its
// methods may be called at the same time. Their errors are of type *[Error].
type Repo interface {
	// Name returns host/repository, oci:DIR, oci-archive:FILE or
	// docker-archive:FILE[:NAME:TAG|:@N]. With @ and a digest behind it, it is
	// a reference again.
	Name() string

	// Resolve returns the manifest or index that a tag or, if there is one, a
	// digest names: its descriptor (media type, digest, size) and its bytes,
	// which have that digest. Both empty is the only image of a layout.
	Resolve(ctx context.Context, tag, digest string) (v1.Descriptor, []byte, error)

	// Manifest returns the bytes of a manifest or index of at most MaxManifest
	// bytes. They have the descriptor's digest and size.
	Manifest(ctx context.Context, d v1.Descriptor) ([]byte, error)

	// Blob returns the stored bytes of a blob. They are NOT checked: the caller
	// compares digest and size. Only a size that the registry announces and
	// that is not the descriptor's is an error here.
	Blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error)

	// BlobBytes returns the content of a blob of at most limit bytes. It has the
	// descriptor's digest and size.
	BlobBytes(ctx context.Context, d v1.Descriptor, limit int64) ([]byte, error)

	// CheckPush fails if pushing would, for want of permission: it is for
	// asking before the long work. Of a registry it starts an upload and calls it
	// off; one that cannot be called off the registry removes by itself.
	CheckPush(ctx context.Context) error

	// PushBlob stores data under the digest d unless it is there already.
	PushBlob(ctx context.Context, d v1.Descriptor, data []byte) error

	// PushManifest stores raw under its digest, without a tag, unless it is
	// there already. A registry that changes the bytes is an error.
	PushManifest(ctx context.Context, d v1.Descriptor, raw []byte) error

	// CopyBlob makes the repository have the blob d, which from has, unless it is
	// there already. A registry that holds both mounts it; else it is streamed
	// from one to the other, and checked, and never stored on this machine but
	// where the repository is itself.
	CopyBlob(ctx context.Context, d v1.Descriptor, from Repo) error

	// Referrers returns the descriptors, with artifactType and annotations, of
	// the manifests that refer to the subject. An artifactType other than ""
	// narrows them. A repository that knows of none returns none.
	Referrers(ctx context.Context, subject v1.Hash, artifactType string) ([]v1.Descriptor, error)

	// PushReferrer stores raw, a manifest whose subject is the given one, and
	// sees to it that Referrers lists it, and those in replaced no more. d has
	// its artifactType and annotations. Registries without the referrers API
	// get the tag that stands in for it (distribution-spec, "Pushing Manifests
	// with Subject"), with what it lists already.
	PushReferrer(ctx context.Context, subject v1.Hash, d v1.Descriptor, raw []byte, replaced []v1.Hash) error

	// Flush makes last what was pushed and tagged. An archive is written here,
	// and only here, and what is pushed while it is written waits for the next
	// Flush; registries and layouts have nothing left to do.
	Flush(ctx context.Context) error

	// Tag makes the tag name d, whose bytes are raw. Unless was is "", it is
	// the digest that the tag had when it was read: the tag is read again
	// right before, and the error is ErrTagMoved if it has neither that digest
	// nor d's. When the answer of the registry is lost, the tag is read, and if
	// it names d then all is well. The tag "" is the only image of a layout.
	Tag(ctx context.Context, tag string, d v1.Descriptor, raw []byte, was string) error
}

// Ref is a reference: what was asked for, and where it is.
type Ref struct {
	Repo   Repo
	Tag    string // "": none was given
	Digest string // as in sha256:…; "": none was given. With a Tag, this is what is read.

	text string // as the user wrote it
}

// Resolve returns what the reference names; see [Repo].
func (r *Ref) Resolve(ctx context.Context) (v1.Descriptor, []byte, error) {
	return r.Repo.Resolve(ctx, r.Tag, r.Digest)
}

// Close removes what was begun and not flushed: the temporary file beside an
// archive that was written to. After that nothing can be written. Nothing else
// needs it.
func (r *Ref) Close() error {
	if c, ok := r.Repo.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// String returns the reference as it was given to Open.
func (r *Ref) String() string {
	if r.text != "" {
		return r.text
	}
	s := r.Repo.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}
