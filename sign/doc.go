// SPDX-License-Identifier: Apache-2.0

// Package sign says what signing and verifying an image is, whatever the format
// of the signatures. Package sign/cosign does it as cosign does.
//
// Signatures belong to a digest. A [Signer] is asked whether it can sign before
// the long work begins, and signs after an image is pushed and before a tag
// names it. A [Verifier] returns all signatures that it found, with those that
// do not hold, and why.
package sign
