// SPDX-License-Identifier: Apache-2.0

// Package cfslabel computes the composefs digests of OCI images and writes them
// into the images, where these are: in a registry or an OCI layout, without
// local storage.
//
//	reference → remote → layers → tree → transform → erofs → fsverity → image → remote
//
// [Compute] goes down that line as far as the digest, [Label] all the way. The
// packages named there do the work; this one puts them together.
package cfslabel
