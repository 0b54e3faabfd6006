// SPDX-License-Identifier: Apache-2.0

// Package erofs writes and reads composefs images: EROFS file systems that hold
// the metadata of a tree and, in place of file content, the names and fs-verity
// digests of the objects that hold it. Given the same tree it writes the same
// bytes as the reference implementation (cfsctl 0.9.4), so that the fs-verity
// digest of an image can be computed where the image is not.
//
// The image is a stream: it is laid out in one pass, then written in a second,
// and never held. [Read] is the inverse of [Write], for images that anybody may
// have made.
package erofs
