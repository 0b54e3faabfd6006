// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/cfs-label/cfs-label/sign"
)

// cause is what went wrong, before it is known with what.
type cause struct {
	kind error
	err  error
	hint string
}

func (c *cause) Error() string   { return c.err.Error() }
func (c *cause) Unwrap() []error { return []error{c.kind, c.err} }

func failed(kind, err error) error { return &cause{kind: kind, err: err} }

func hinted(kind, err error, hint string) error { return &cause{kind: kind, err: err, hint: hint} }

// fail returns the error of something that was done to an image; "" is none.
// Secrets that the text has are left out of it.
func fail(image, op string, err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*sign.Error](err); ok {
		return err
	}
	e := &sign.Error{Image: image, Op: op, Err: without(err, secrets)}
	if c, ok := errors.AsType[*cause](err); ok {
		e.Kind, e.Hint = c.kind, c.hint
	}
	return e
}

// without returns an error whose text is one line of a sane length and has none
// of the secrets. What a service answers is part of some, and it could send a
// secret back.
func without(err error, secrets []string) error {
	whole := err.Error()
	text := whole
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[secret]")
		}
	}
	hidden := text != whole
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), unicode.IsControl), " ")
	if runes := []rune(text); len(runes) > maxText {
		text = string(runes[:maxText]) + "…"
	}
	switch {
	case hidden:
		return hiddenError{text: text, err: err}
	case text != whole:
		return textError{text: text, err: err}
	}
	return err
}

// maxText is the length of the longest error, in characters.
const maxText = 2000

// textError is an error with another text.
type textError struct {
	text string
	err  error
}

func (e textError) Error() string { return e.text }
func (e textError) Unwrap() error { return e.err }

// hiddenError is an error whose text is not to be shown as it is. It does not
// unwrap to what has the text.
type hiddenError struct {
	text string
	err  error
}

func (e hiddenError) Error() string { return e.text }

// Is makes errors.Is see the kinds and sentinels of what is hidden.
func (e hiddenError) Is(target error) bool { return errors.Is(e.err, target) }

// recovered turns a panic into an error of a kind. The libraries trust the
// fields of what they parse to be there.
//
//nolint:gocritic // a deferred function writes to the result
func recovered(err *error, kind error) {
	if r := recover(); r != nil {
		*err = failed(kind, fmt.Errorf("it lacks something, or something is not what it should be: %v", r))
	}
}
