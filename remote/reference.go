// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// What makes a reference one to files, as for skopeo.
const (
	layoutPrefix  = "oci:"
	archivePrefix = "oci-archive:"
	dockerPrefix  = "docker-archive:"
)

// forms is the advice that goes with a reference nobody can read.
const forms = "use NAME[:TAG][@DIGEST] for a registry, oci:DIR[:TAG] for an OCI layout, oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME:TAG|:@N] for one in a file"

// tagSyntax is what the distribution specification allows as a tag
// (spec.md, "Pulling manifests").
var tagSyntax = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// Open parses a reference: NAME, NAME:TAG, NAME@DIGEST or NAME:TAG@DIGEST for
// a registry, oci:DIR, oci:DIR:TAG or oci:DIR@DIGEST for an OCI layout,
// oci-archive:FILE and the same for one in a tar, docker-archive:FILE or
// docker-archive:FILE:NAME:TAG for an image that docker save wrote, which can only
// be read; docker-archive:FILE:@N is the image of that number, from 0. A name
// without a host is one of Docker Hub, one without tag and digest has the tag
// latest.
//
// The tag of a layout may have colons and slashes itself, as in
// oci:DIR:quay.io/a/b:v1. It follows the first colon before which there is the
// path of a layout that is there, or else, unless the whole is such a path, the
// first colon. skopeo always takes the first.
//
// A registry is asked nothing yet; a layout must be there, and all headers of an
// archive are read. The error is ErrReference for text that is no reference.
// Whoever writes to an archive calls [Ref.Close] in the end.
func Open(ctx context.Context, ref string, o Options) (*Ref, error) {
	if rest, ok := strings.CutPrefix(ref, layoutPrefix); ok {
		return openLayout(ctx, ref, rest, o)
	}
	if rest, ok := strings.CutPrefix(ref, archivePrefix); ok {
		return openArchive(ctx, ref, rest, o)
	}
	if rest, ok := strings.CutPrefix(ref, dockerPrefix); ok {
		return openDocker(ctx, ref, rest, o)
	}
	return openRegistry(ref, o)
}

func openRegistry(ref string, o Options) (*Ref, error) {
	if rest, ok := strings.CutPrefix(ref, "docker://"); ok {
		return nil, badReference(ref, "leave out docker://", fmt.Errorf("write %s", rest))
	}
	parsed, err := name.ParseReference(ref, nameOptions(o)...)
	if err != nil {
		return nil, badReference(ref, adviceFor(ref), err)
	}
	tag, digest, err := tagAndDigest(ref, parsed)
	if err != nil {
		return nil, badReference(ref, forms, err)
	}
	repo, err := newRegistry(parsed.Context(), o)
	if err != nil {
		return nil, newError(parsed.Context().Name(), "prepare the connection", err)
	}
	return &Ref{Repo: repo, Tag: tag, Digest: digest, text: ref}, nil
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

// cutDigest splits X[@DIGEST]. Only an @ with a digest's algorithm behind it is
// no part of X.
func cutDigest(ref, rest string) (before, digest string, err error) {
	i := strings.LastIndexByte(rest, '@')
	if i < 0 {
		return rest, "", nil
	}
	text := rest[i+1:]
	if !strings.HasPrefix(text, "sha256:") && !strings.HasPrefix(text, "sha512:") {
		return rest, "", nil
	}
	if _, err := v1.NewHash(text); err != nil {
		return "", "", badReference(ref, forms, err)
	}
	return rest[:i], text, nil
}

// cutLayout splits DIR[:TAG][@DIGEST].
func cutLayout(ref, rest string) (dir, tag, digest string, err error) {
	return cutFiles(ref, rest, isLayout, "it names no directory")
}

// cutArchive splits FILE[:TAG][@DIGEST].
func cutArchive(ref, rest string) (file, tag, digest string, err error) {
	return cutFiles(ref, rest, isFile, "it names no file")
}

// cutDocker splits FILE[:NAME[:TAG]][@DIGEST] and FILE:@NUMBER[@DIGEST].
func cutDocker(ref, rest string) (file, image, digest string, err error) {
	return cutFiles(ref, rest, isFile, "it names no file")
}

// cutFiles splits PATH[:NAME][@DIGEST]. What the path can be isIt tells.
func cutFiles(ref, rest string, isIt func(string) bool, nothing string) (path, tag, digest string, err error) {
	rest, digest, err = cutDigest(ref, rest)
	if err != nil {
		return "", "", "", err
	}
	path, tag = cutPath(rest, isIt)
	switch {
	case path == "":
		err = badReference(ref, forms, errors.New(nothing))
	case tag == "" && path != rest:
		err = badReference(ref, forms, errors.New("no tag follows the colon"))
	}
	return path, tag, digest, err
}

// cutPath splits PATH[:NAME] before the first colon with something before it
// that is there. Otherwise all of it is the path if that is there, or what comes
// before the first colon. A colon behind a drive's letter is none.
func cutPath(s string, isIt func(string) bool) (path, name string) {
	start, first := len(filepath.VolumeName(s)), len(s)
	for i := start; i < len(s); i++ {
		if s[i] != ':' {
			continue
		}
		if i > start && isIt(s[:i]) {
			return s[:i], s[i+1:]
		}
		first = min(first, i)
	}
	if first == len(s) || first > start && isIt(s) {
		return s, ""
	}
	return s[:first], s[first+1:]
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func isLayout(dir string) bool { return isFile(filepath.Join(dir, layoutFile)) }

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
