// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// layoutPrefix makes a reference one to an OCI layout, as for skopeo.
const layoutPrefix = "oci:"

// forms is the advice that goes with a reference nobody can read.
const forms = "use NAME[:TAG][@DIGEST] for a registry or oci:DIR[:TAG] for an OCI layout"

// tagSyntax is what the distribution specification allows as a tag
// (spec.md, "Pulling manifests").
var tagSyntax = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// Open parses a reference: NAME, NAME:TAG, NAME@DIGEST or NAME:TAG@DIGEST for
// a registry, oci:DIR, oci:DIR:TAG or oci:DIR@DIGEST for an OCI layout. A name
// without a host is one of Docker Hub, one without tag and digest has the tag
// latest; the tag of a layout follows the last colon after the last slash.
//
// A registry is asked nothing yet; a layout must be there. The error is
// ErrReference for text that is no reference.
func Open(ctx context.Context, ref string, o Options) (*Ref, error) {
	if rest, ok := strings.CutPrefix(ref, layoutPrefix); ok {
		return openLayout(ctx, ref, rest, o)
	}
	return openRegistry(ref, o)
}

func openRegistry(ref string, o Options) (*Ref, error) {
	if rest, ok := strings.CutPrefix(ref, "docker://"); ok {
		return nil, badReference(ref, "leave out docker://", fmt.Errorf("write %s", rest))
	}
	var opts []name.Option
	if o.Insecure {
		opts = append(opts, name.Insecure)
	}
	parsed, err := name.ParseReference(ref, opts...)
	if err != nil {
		return nil, badReference(ref, adviceFor(ref), err)
	}
	tag, digest, err := tagAndDigest(ref, parsed)
	if err != nil {
		return nil, badReference(ref, forms, err)
	}
	return &Ref{Repo: newRegistry(parsed.Context(), o), Tag: tag, Digest: digest, text: ref}, nil
}

// tagAndDigest returns the tag and the digest of a reference. The parser drops
// a tag that stands before a digest.
func tagAndDigest(ref string, parsed name.Reference) (tag, digest string, err error) {
	if t, ok := parsed.(name.Tag); ok {
		tag = t.TagStr()
	} else {
		base, text, _ := strings.Cut(ref, "@")
		h, err := v1.NewHash(text)
		if err != nil {
			return "", "", err
		}
		_, tag = cutTag(base)
		digest = h.String()
	}
	if tag != "" && !tagSyntax.MatchString(tag) {
		return "", "", fmt.Errorf("%q is no tag", tag)
	}
	return tag, digest, nil
}

// cutTag splits at the last colon behind the last slash.
func cutTag(s string) (before, tag string) {
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// cutLayout splits DIR[:TAG][@DIGEST]. Only an @ with a digest's algorithm
// behind it is no part of the directory's name.
func cutLayout(ref, rest string) (dir, tag, digest string, err error) {
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		if text := rest[i+1:]; strings.HasPrefix(text, "sha256:") || strings.HasPrefix(text, "sha512:") {
			if _, err := v1.NewHash(text); err != nil {
				return "", "", "", badReference(ref, forms, err)
			}
			rest, digest = rest[:i], text
		}
	}
	dir, tag = cutTag(rest)
	if dir == "" {
		return "", "", "", badReference(ref, forms, fmt.Errorf("it names no directory"))
	}
	if tag == "" && strings.HasSuffix(rest, ":") {
		return "", "", "", badReference(ref, forms, fmt.Errorf("no tag follows the colon"))
	}
	return dir, tag, digest, nil
}

func adviceFor(ref string) string {
	base, _, _ := strings.Cut(ref, "@")
	base, _ = cutTag(base)
	if strings.ToLower(base) != base {
		return "repositories are written in lowercase"
	}
	return forms
}

func badReference(ref, advice string, err error) error {
	return &Error{Repo: fmt.Sprintf("%q", ref), Op: "read reference", Hint: advice, Kind: ErrReference, Err: err}
}
