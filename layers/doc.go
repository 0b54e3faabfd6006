// SPDX-License-Identifier: Apache-2.0

// Package layers reads the layers of an OCI image and merges them into one
// tree, as a host does that mounts the image by composefs.
//
// All layers are read at once, each by a chain of goroutines: fetch, decode,
// then at the same time the diff ID and the tar archive with the digests of its
// files. What comes out of a layer is a list of entries; [Flatten] folds the
// lists into the tree in the order of the layers, each as it arrives once those
// before it are through. No layer of an image waits for another while it is read.
// [FlattenAll] does so for several images, and reads a layer that they share
// once; there an image waits for those before it when memory is short.
//
// Nothing that a registry says is believed: the compressed digest and size and
// the diff ID of every layer are checked at its end, and an error anywhere is an
// error of every image that has the layer. Nothing is written to disk.
//
// The rules of the merge are those of the reference (cfsctl 0.9.4), which
// departs from the OCI image specification in places; docs/merge.md lists them.
package layers
