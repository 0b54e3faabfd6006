// SPDX-License-Identifier: Apache-2.0

// Package pkcs7 makes and checks the signatures that the kernel's fs-verity
// takes: PKCS#7 messages (RFC 2315) over the digest of a file, which
// FS_IOC_ENABLE_VERITY hands to the kernel and the kernel holds against the
// certificates in its .fs-verity keyring (linux/Documentation/filesystems/
// fsverity.rst, "Built-in signature verification").
//
// Such a message is DER, detached, without attributes and without certificates,
// and hashes with the algorithm of the digest that it signs. So "fsverity sign"
// writes it; for an RSA key [Key.Sign] gives the same bytes.
//
// [Certificate.Verify] takes nothing that the kernel refuses. It is stricter
// than the kernel, which also takes most attributes, certificates inside, other
// hash algorithms, and bytes after the message; test/kernel.sh shows both.
// [Wrap] makes the message from a signature that somebody else made, such as an
// HSM.
package pkcs7
