// SPDX-License-Identifier: Apache-2.0

// Package cosign holds our signatures against those of the real cosign, of two
// major versions, and against a Fulcio and a Rekor of the tests' own. The two
// programs come from modules of their own below, whose dependencies differ.
package cosign
