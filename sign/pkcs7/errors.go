// SPDX-License-Identifier: Apache-2.0

package pkcs7

import "errors"

// What can be wrong with a key, a certificate or a signature; errors.Is finds
// them. No error holds bytes of a key.
var (
	// ErrFormat says that the bytes are not what they should be: a key, a
	// certificate, or a message of the form that this package writes.
	ErrFormat = errors.New("not of the right form")
	// ErrEncrypted says that a private key is encrypted.
	ErrEncrypted = errors.New("the key is encrypted: decrypt it first (openssl pkey -in KEY -out PLAIN)")
	// ErrAlgorithm says that a key, a hash or a signature is of an algorithm
	// that is not the right one, or that the kernel does not have.
	ErrAlgorithm = errors.New("wrong algorithm")
	// ErrOtherKey says that certificate and key, or certificate and signature,
	// do not belong together.
	ErrOtherKey = errors.New("of another key than the certificate's")
	// ErrOtherDigest says that the signature, which names the certificate, is
	// not one of the digest by the certificate's key. Whether it signs other
	// bytes, or is damaged, or comes from a key whose certificate has the same
	// name and number, cannot be told apart.
	ErrOtherDigest = errors.New("not a signature of this digest by the certificate's key")
	// ErrAttributes says that a message has signed attributes. The signature
	// covers them, so they cannot be taken out.
	ErrAttributes = errors.New("it signs attributes: make it without (openssl cms -sign -binary -noattr -nocerts -outform DER)")
)
