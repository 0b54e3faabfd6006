// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"errors"
	"fmt"
	"slices"
)

// What can be wrong, for errors.Is.
var (
	// ErrOptions is options that contradict one another, or lack something.
	ErrOptions = errors.New("sign: wrong options")
	// ErrSecret is a password or a token that is missing, wrong or expired.
	ErrSecret = errors.New("sign: no password or token, or a wrong one")
	// ErrKeyFile is a key that cannot be read.
	ErrKeyFile = errors.New("sign: unusable key")
	// ErrService is a certificate authority, log or timestamp authority that
	// does not do what it is asked for.
	ErrService = errors.New("sign: a service failed")

	// ErrNoSignature is an image without signatures.
	ErrNoSignature = errors.New("sign: no signature")
	// ErrOtherDigest is a signature of something else.
	ErrOtherDigest = errors.New("sign: the signature is for another digest")
	// ErrKey is a signature that another key made, or that was altered.
	ErrKey = errors.New("sign: the signature is not by this key")
	// ErrIdentity is a certificate for somebody else, or none.
	ErrIdentity = errors.New("sign: the signature is not by this identity")
	// ErrCertificate is a certificate that no trusted authority issued.
	ErrCertificate = errors.New("sign: the certificate is not trusted")
	// ErrExpired is a certificate that was not valid when it signed, or of which
	// nobody says when that was.
	ErrExpired = errors.New("sign: the certificate has expired")
	// ErrLog is a signature without a valid entry in a trusted transparency log.
	ErrLog = errors.New("sign: not in a transparency log")
	// ErrTimestamp is a timestamp that no trusted authority made.
	ErrTimestamp = errors.New("sign: the timestamp is not trusted")
	// ErrAnnotation is a signature without an annotation that is asked for.
	ErrAnnotation = errors.New("sign: an annotation is missing or differs")
	// ErrContent is a signature that is damaged, or larger than any can be.
	ErrContent = errors.New("sign: not a signature")
)

// Error is something that could not be signed or verified.
type Error struct {
	Image string // host/repository@sha256:…; "" before there is one
	Op    string // what was done, as in "read the key"
	Hint  string // the way out; may be empty
	Kind  error  // one of the errors above, or nil
	Err   error  // the cause
}

func (e *Error) Error() string {
	s := "sign: "
	if e.Image != "" {
		s += e.Image + ": "
	}
	s += fmt.Sprintf("%s: %v", e.Op, e.Err)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	return slices.DeleteFunc([]error{e.Kind, e.Err}, func(err error) bool { return err == nil })
}
