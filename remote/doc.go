// SPDX-License-Identifier: Apache-2.0

// Package remote reads images from registries, OCI layouts and archives and
// writes configs, manifests and tags back.
//
// [Open] takes a reference and gives a [Ref], whose [Repo] is a repository of a
// registry, or an OCI layout in a directory or a tar. Manifests and small blobs come back only
// if they have the digest and the size that was asked for; layers are streams
// which the caller checks. Nothing here touches the bytes that go in or out.
//
// Registries are spoken to as the OCI distribution specification 1.1 says
// (github.com/opencontainers/distribution-spec), layouts are as in
// image-layout.md of the OCI image specification 1.1. An archive is never
// unpacked: a blob is a part of the tar. One that is written to is replaced as a
// whole, by Flush.
package remote
