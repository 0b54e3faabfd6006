// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// load finds the image and makes its manifest. ref is its name, or @ and its
// number, or "" for the only one or the one whose manifest has the digest.
func (s *dockerArchive) load(ctx context.Context, ref, digest string) error {
	raw, err := readStored(s.tar, dockerFile, MaxManifest)
	if err != nil {
		if _, ok := s.tar.table.find(layoutFile); ok {
			err = fmt.Errorf("%w; it is an OCI layout: open it as oci-archive:FILE", err)
		}
		return err
	}
	var images []dockerImage
	if err := json.Unmarshal(raw, &images); err != nil {
		return kinded(ErrContent, fmt.Errorf("%s: %w", dockerFile, err))
	}
	known := make(map[extent]v1.Hash)
	if ref == "" && digest != "" && len(images) > 1 {
		return s.loadDigest(ctx, images, digest, known)
	}
	image, err := choose(images, ref)
	if err != nil {
		return err
	}
	m, err := s.manifest(ctx, image, known)
	if err != nil {
		return err
	}
	_, err = s.present(m)
	return err
}

// loadDigest is load for the image whose manifest has the digest: they are made
// one after another.
func (s *dockerArchive) loadDigest(ctx context.Context, images []dockerImage, digest string, known map[extent]v1.Hash) error {
	left := int64(maxSearched)
	for i, image := range images {
		if err := ctx.Err(); err != nil {
			return err
		}
		where, _ := s.tar.table.find(image.Config)
		if left -= where.size; left < 0 {
			return kinded(ErrTooLarge, fmt.Errorf("the archive has more than the %d bytes of configs that are searched: %s", maxSearched, sayWhich))
		}
		m, err := s.manifest(ctx, image, known)
		if err != nil {
			return fmt.Errorf("image @%d: %w", i, err)
		}
		made, err := s.present(m)
		if err != nil || made.String() == digest {
			return err
		}
	}
	return kinded(ErrNotFound, fmt.Errorf("the archive has no image of that digest; there are: %s", namesOf(images)))
}

// sayWhich is the advice where it is not clear which image is meant.
const sayWhich = "say which one, as in docker-archive:FILE:NAME:TAG, docker-archive:FILE:@N (from @0 on) or docker-archive:FILE@DIGEST"

// choose returns the image that has the name or number, or the only one if that
// is "".
func choose(images []dockerImage, ref string) (dockerImage, error) {
	if number, ok := strings.CutPrefix(ref, "@"); ok {
		return chooseNumber(images, number)
	}
	var found []dockerImage
	for _, image := range images {
		if ref == "" || slices.ContainsFunc(image.RepoTags, func(tag string) bool { return sameName(tag, ref) }) {
			found = append(found, image)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(images) == 0:
		return dockerImage{}, kinded(ErrNotFound, errors.New("the archive has no images"))
	case len(found) == 0:
		return dockerImage{}, kinded(ErrNotFound, fmt.Errorf("the archive has no image of that name; there are: %s", namesOf(images)))
	case ref == "":
		return dockerImage{}, kinded(ErrReference, fmt.Errorf("the archive has %d images: %s (there are: %s)", len(found), sayWhich, namesOf(images)))
	}
	return dockerImage{}, kinded(ErrContent, fmt.Errorf("the archive has %d images of that name: %s", len(found), sayWhich))
}

// chooseNumber returns the image of that number, from 0.
func chooseNumber(images []dockerImage, number string) (dockerImage, error) {
	i, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return dockerImage{}, kinded(ErrReference, fmt.Errorf("@%s is neither the number of an image nor a digest: %s", number, sayWhich))
	}
	if i >= uint64(len(images)) {
		return dockerImage{}, kinded(ErrNotFound, fmt.Errorf("the archive has no image @%d but %d images, from @0 on", i, len(images)))
	}
	return images[i], nil
}

// namesOf lists the images for an error: by their names, or by their numbers.
func namesOf(images []dockerImage) string {
	var names []string
	for i, image := range images {
		if names = append(names, image.RepoTags...); len(image.RepoTags) == 0 {
			names = append(names, fmt.Sprintf("@%d", i))
		}
	}
	return listed(names)
}

// sameName reports whether two names are of one image, as fedora and
// docker.io/library/fedora:latest are.
func sameName(a, b string) bool {
	if a == b {
		return true
	}
	x, err := name.ParseReference(a)
	if err != nil {
		return false
	}
	y, err := name.ParseReference(b)
	return err == nil && x.Name() == y.Name()
}
