// SPDX-License-Identifier: Apache-2.0

// Package image reads and edits the three documents of an OCI or Docker image:
// config, manifest and index. It also holds the names of the label and of the
// annotations that carry composefs digests.
//
// The edits are edits of text. Outside of what is edited every byte stays as it
// is: fields that this package does not know, their order, how a number is
// spelled, white space, escapes in strings. An edit that has nothing to do
// gives the very same bytes back, so a second run never moves a digest. What is
// added follows the layout of what stands beside it. What goes takes its comma
// and its white space with it.
//
// [EditConfig] sets labels, [EditManifest] the annotations of an image, and
// [EditIndex] follows children that moved. [ToOCI] gives a Docker manifest the
// media types of OCI, which is what it takes to have annotations.
//
// An [Artifact] leaves the image as it is: a manifest of its own refers to the
// image and carries the digests, with their signatures if there are any. This
// package writes all of it, so the same digests always have the same bytes.
//
// The documents come from a registry, so nothing in them is trusted: JSON must
// be well-formed and of bounded size and depth, no object may have a key twice,
// and keys are compared by case, as they are not by encoding/json.
package image
