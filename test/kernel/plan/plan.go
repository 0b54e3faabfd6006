// SPDX-License-Identifier: Apache-2.0

// Package plan is what the two programs of the kernel test tell each other: one
// makes signatures, the other hands them to a kernel that has booted for it.
package plan

// Taken is the outcome where a signature or a certificate was taken; otherwise
// it is the name of the kernel's error.
const Taken = "taken"

// Refused is the verdict of cfs-label where it is not Taken.
const Refused = "refused"

// Plan is what the kernel is asked, in this order.
type Plan struct {
	// Digests are those of the content in hexadecimal, by algorithm.
	Digests      map[string]string
	Certificates []Certificate
	Cases        []Case
	// Root lists the names in the root of the composefs image, sorted.
	Root []string
}

// Certificate is one that goes into the keyring .fs-verity.
type Certificate struct {
	Name   string
	DER    []byte
	Kernel string // the outcome that is expected
}

// Case is a signature for a file of its own with the content.
type Case struct {
	Name      string
	Algorithm string // sha256 or sha512
	Signature []byte // none if empty
	Kernel    string // the outcome that is expected
	Ours      string // what cfs-label must say of it
	Verdict   string // what cfs-label says of it
}

// Names of outcomes that belong to no case.
const (
	// Version is followed by the kernel's.
	Version = "version"
	// Unsigned is whether a file without signature gets fs-verity before the
	// kernel requires one.
	Unsigned = "without signature, before require_signatures=1"
	// Mounted is whether the composefs image mounts from a file with fs-verity.
	Mounted = "the composefs image mounts from its file with fs-verity, and has its names"
)
