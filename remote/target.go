// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// OpenTarget is Open for where an image is to be put: NAME or NAME:TAG for a
// registry, oci:DIR, oci:DIR:TAG, oci-archive:FILE or oci-archive:FILE:TAG, which
// are made if they are not there, but not before something is put there. An empty
// file is not there yet. No tag is taken for granted: Ref.Tag is "" where none was given. A digest is an
// error, and so is a directory or file that is something else; the error is
// ErrReference for text that is no reference to a target.
func OpenTarget(ctx context.Context, ref string, o Options) (*Ref, error) {
	r, err := openTarget(ctx, ref, o)
	if err != nil {
		return nil, err
	}
	if r.Digest != "" {
		_ = r.Close()
		return nil, badReference(ref, "leave out @ and what follows", errors.New("where an image is put cannot be said by a digest: the image decides what its digest is"))
	}
	return r, nil
}

func openTarget(ctx context.Context, ref string, o Options) (*Ref, error) {
	if rest, ok := strings.CutPrefix(ref, layoutPrefix); ok {
		return targetLayout(ctx, ref, rest, o)
	}
	if rest, ok := strings.CutPrefix(ref, archivePrefix); ok {
		return targetArchive(ctx, ref, rest, o)
	}
	if strings.HasPrefix(ref, dockerPrefix) {
		return nil, badReference(ref, "use oci-archive:FILE[:TAG]", errors.New("archives of docker's can only be read"))
	}
	r, err := openRegistry(ref, o)
	if err == nil && r.Digest == "" {
		_, r.Tag = cutTag(ref)
	}
	return r, err
}

func targetLayout(ctx context.Context, ref, rest string, o Options) (*Ref, error) {
	dir, tag, digest, err := cutLayout(ref, rest)
	if err != nil {
		return nil, err
	}
	if err := checkRefName(ref, tag); err != nil {
		return nil, err
	}
	files := &directory{dir: dir, target: true}
	l := &layout{name: layoutPrefix + dir, files: files, editor: o.Layout}
	if err = files.checkTarget(); err == nil {
		err = l.checkVersion(ctx)
	}
	if err != nil {
		return nil, l.fail(opOpen, err)
	}
	return &Ref{Repo: l, Tag: tag, Digest: digest, text: ref}, nil
}

func targetArchive(ctx context.Context, ref, rest string, o Options) (*Ref, error) {
	file, tag, digest, err := cutArchive(ref, rest)
	if err != nil {
		return nil, err
	}
	if err := checkRefName(ref, tag); err != nil {
		return nil, err
	}
	l := &layout{name: archivePrefix + file, editor: o.Layout}
	path, err := realPath(file)
	if err != nil {
		return nil, l.fail(opOpen, err)
	}
	a := &archive{path: filepath.Clean(path), edit: newTurn(), growth: newTurn()}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(file, string(filepath.Separator)):
		return nil, l.fail(opOpen, fmt.Errorf("%s is the name of a directory", file))
	case errors.Is(err, fs.ErrNotExist):
	case err == nil && info.Mode().IsRegular() && info.Size() == 0:
		a.now = &tarball{path: a.path, info: info, table: &table{}}
	default:
		return openArchive(ctx, ref, rest, o)
	}
	l.files = a
	return &Ref{Repo: l, Tag: tag, Digest: digest, text: ref}, nil
}

// refNameSyntax is what an org.opencontainers.image.ref.name should be (image
// specification, annotations.md, "Pre-Defined Annotation Keys").
var refNameSyntax = regexp.MustCompile(`^[A-Za-z0-9]+((--|[-._:@+/])[A-Za-z0-9]+)*$`)

// checkRefName fails for a tag that no image in a layout should get. A
// registry's tag may be kept as it is, although some of them are outside the
// grammar.
func checkRefName(ref, tag string) error {
	if tag == "" || refNameSyntax.MatchString(tag) || tagSyntax.MatchString(tag) {
		return nil
	}
	return badReference(ref, "a name in a layout is made of letters and digits with one of -._:@+/ between them", fmt.Errorf("%q is no name for an image", tag))
}

// IsRegistry reports whether the repository is one of a registry.
func IsRegistry(r Repo) bool {
	_, ok := r.(*registry)
	return ok
}

// Same reports whether two repositories are known to be the same place.
func Same(a, b Repo) bool {
	if a == b || a.Name() == b.Name() {
		return true
	}
	scheme, path, _ := strings.Cut(a.Name(), ":")
	other, otherPath, _ := strings.Cut(b.Name(), ":")
	if IsRegistry(a) || IsRegistry(b) || scheme != other {
		return false
	}
	info, err := os.Stat(path)
	otherInfo, otherErr := os.Stat(otherPath)
	return err == nil && otherErr == nil && os.SameFile(info, otherInfo)
}
