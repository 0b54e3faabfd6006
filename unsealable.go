// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"errors"
	"slices"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/layers"
	"github.com/cfs-label/cfs-label/remote"
)

// unsealable are the errors that say something of the image itself, so that the
// next run would find the same: not those of the way to it, nor content that
// may have been spoiled on the way.
var unsealable = []error{
	ErrLayerCount, ErrMixed, ErrIncomplete,
	remote.ErrNotFound, remote.ErrTooLarge,
	image.ErrEncrypted, image.ErrUnknownLayer,
	layers.ErrAlgorithm, layers.ErrDiffID, layers.ErrCompression, layers.ErrCorrupt, layers.ErrForeign,
	layers.ErrArchive, layers.ErrNoParent, layers.ErrNotDirectory, layers.ErrDotDot, layers.ErrRoot,
	layers.ErrLinkTarget, layers.ErrLinkToDir, layers.ErrEntryType, layers.ErrNoDevice,
	transform.ErrNoUsr, transform.ErrRunNotDir, ErrUnbootable,
	tree.ErrName, tree.ErrDepth, tree.ErrWhiteout, tree.ErrRdev, tree.ErrMtime, tree.ErrDirLink,
	erofs.ErrTooLarge,
}

// isUnsealable reports whether an error says that an image can't be sealed, not
// that something failed.
func isUnsealable(err error) bool {
	if _, ok := errors.AsType[*image.Error](err); ok {
		return true
	}
	return slices.ContainsFunc(unsealable, func(u error) bool { return errors.Is(err, u) })
}
