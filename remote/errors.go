// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// What can be wrong, for errors.Is.
var (
	// ErrReference is text that is no reference.
	ErrReference = errors.New("not a reference")
	// ErrNotFound is a repository, tag, manifest, blob or layout that is not
	// there.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized is a registry that wants credentials, or others.
	ErrUnauthorized = errors.New("not authorized")
	// ErrTagMoved is a tag that somebody else moved in the meantime.
	ErrTagMoved = errors.New("the tag was moved in the meantime")
	// ErrContent is content whose digest, size or media type is not what was
	// asked for.
	ErrContent = errors.New("wrong content")
	// ErrTooLarge is content beyond a limit.
	ErrTooLarge = errors.New("too large")
)

// Error is something that a registry or a layout did not do.
type Error struct {
	Repo string // host/repository, oci:DIR, or the quoted reference that could not be read
	Op   string // what was asked for, as in "read tag v1"
	Hint string // the way out; may be empty
	Kind error  // one of the errors above, or nil
	Err  error  // the cause
}

func (e *Error) Error() string {
	s := fmt.Sprintf("remote: %s: %s: %v", e.Repo, e.Op, e.Err)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	return slices.DeleteFunc([]error{e.Kind, e.Err}, func(err error) bool { return err == nil })
}

// newError returns the error whose kind is that of its cause.
func newError(repo, op string, err error) *Error {
	e := &Error{Repo: repo, Op: op, Err: err}
	if k, ok := errors.AsType[*kindError](err); ok {
		e.Kind = k.kind
	}
	return e
}

// kindError gives a cause one of the kinds above.
type kindError struct{ kind, err error }

func kinded(kind, err error) error { return &kindError{kind, err} }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

// noun is a kind of thing that a registry is asked for.
type noun string

const (
	aTag      noun = "tag"
	aManifest noun = "manifest"
	aBlob     noun = "blob"
	anUpload  noun = "upload" // the right to push
)

// asked is one question to a repository.
type asked struct {
	what  noun
	name  string // the tag or the digest
	write bool
}

func (a asked) String() string {
	if a.what == anUpload {
		return "ask for permission to push"
	}
	verb := "read"
	if a.write {
		verb = "write"
	}
	if a.name == "" {
		return verb + " the only image"
	}
	return verb + " " + string(a.what) + " " + a.name
}

// fail returns the error for a question that a registry did not answer well.
func (r *registry) fail(a asked, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	e := newError(r.Name(), a.String(), r.shown(err))
	if e.Hint = r.connectionHint(err); e.Hint != "" {
		return e
	}
	answer, ok := errors.AsType[*transport.Error](err)
	if ok && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		if answer.StatusCode == http.StatusBadRequest && !r.plain && strings.Contains(answer.Error(), "HTTPS") {
			return e // it was asked in http because https had failed, which is the news
		}
		e.Err = &answerError{answer: answer}
		if more, ok := errors.AsType[*answerError](err); ok {
			e.Err = more
		}
		if s, ok := errors.AsType[*streamError](err); ok {
			e.Err = s
		}
		r.explain(e, a, answer)
	}
	return e
}

// connectionHint says what can be done about a connection that did not come
// about.
func (r *registry) connectionHint(err error) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "name the file of the authority that vouches for this registry with --ca-file, or allow any certificate with --insecure"
	}
	if errors.Is(err, http.ErrSchemeMismatch) && r.repo.Scheme() == "https" {
		return "if this registry is known to speak http only, allow it with --plain-http"
	}
	if wantsCertificate(err) {
		return certificateHint
	}
	return ""
}

const certificateHint = "the registry may want a client certificate, or another one: name it with --client-cert and --client-key"

// wantsCertificate reports whether a connection failed as it does with a server
// that is not shown the certificate it wants.
func wantsCertificate(err error) bool {
	// A client of TLS 1.3 may be writing its first request when it is refused.
	if strings.Contains(err.Error(), "/v2/: ") &&
		(errors.Is(err, syscall.EPIPE) || strings.Contains(err.Error(), "http2: client conn could not be established")) {
		return true
	}
	refused, ok := errors.AsType[*net.OpError](err)
	if !ok || refused.Op != "remote error" {
		return false
	}
	// What a TLS server says has no type. Before TLS 1.3 there was no alert for
	// a certificate that is not there.
	return slices.ContainsFunc([]string{"certificate required", "bad certificate", "unknown certificate", "handshake failure"},
		func(alert string) bool { return strings.Contains(refused.Error(), alert) })
}

// explain maps what a registry answered to the kinds of errors and says what
// can be done.
func (r *registry) explain(e *Error, a asked, answer *transport.Error) {
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.Kind, e.Hint = ErrUnauthorized, r.loginHint(a.write || a.what == anUpload)
	case http.StatusNotFound:
		e.Kind = ErrNotFound
		e.Err = fmt.Errorf("%s (%w)", missing(a, answer), e.Err)
	case http.StatusTooManyRequests:
		e.Hint = "the registry limits how often it is asked: wait, or log in for a higher limit"
	case http.StatusBadRequest:
		text := answer.Error()
		switch {
		case r.plain && strings.Contains(text, "HTTPS"): // as Go and nginx say it
			e.Hint = "if this registry speaks https, leave out --plain-http"
		case strings.Contains(text, "SSL certificate"): // nginx
			e.Hint = certificateHint
		}
	}
}

// missing says what a 404 is about: a registry's error code tells the
// repository from what should be in it.
func missing(a asked, answer *transport.Error) string {
	for _, d := range answer.Errors {
		if d.Code == transport.NameUnknownErrorCode {
			if a.write || a.what == anUpload {
				return "no such repository: this registry wants it created before the first push"
			}
			return "no such repository"
		}
	}
	if a.write {
		return "the registry does not find where to put it, or what it names"
	}
	switch a.what {
	case aTag:
		if len(answer.Errors) == 0 {
			return "no such tag or no such repository"
		}
		return "no such tag"
	case aBlob:
		return "the registry has the manifest but not this blob: the image is incomplete, push it again"
	case aManifest:
		return "no such manifest: deleted, or never pushed to this repository"
	default:
		return "no such repository"
	}
}

// loginHint says how to log in, and whether credentials were tried.
func (r *registry) loginHint(write bool) string {
	host := r.repo.RegistryStr()
	if host == name.DefaultRegistry {
		host = "docker.io"
	}
	right := "read"
	if write {
		right = "write"
	}
	login := fmt.Sprintf("log in with docker login %s or podman login %s", host, host)
	if r.anonymous.Load() {
		return fmt.Sprintf("there are no credentials for %s: %s (or the repository does not exist)", host, login)
	}
	return fmt.Sprintf("the credentials for %s are wrong, expired or may not %s this repository: %s", host, right, login)
}

// shown removes from an error what is not to be shown: of an address in one of
// net/http the query, where storage behind a redirect has its secrets, and what
// brief leaves out.
func (r *registry) shown(err error) error {
	text := err.Error()
	// A request that had to log in again has the error of another inside.
	for inner := err; ; {
		ue, ok := errors.AsType[*url.Error](inner)
		if !ok {
			break
		}
		inner = ue.Err
		shown := "an address"
		if u, perr := url.Parse(ue.URL); perr == nil {
			u.RawQuery, u.User = "", nil
			if r.plain && isHost(u, r.repo.RegistryStr()) {
				u.Scheme = "http" // what the library asked for in https was not sent so
			}
			shown = u.String()
		}
		text = strings.NewReplacer(strconv.Quote(ue.URL), shown, ue.URL, shown).Replace(text)
	}
	if text = brief(text); text == err.Error() {
		return err
	}
	return &shownError{text: text, err: err}
}

// maxErrorText is how much of an error is shown that a registry may have a hand
// in, in bytes.
const maxErrorText = 2000

// brief returns a text without what could do something to a terminal, in one line
// that can be read.
func brief(text string) string {
	text = printable(text)
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	return text
}

// shownError is an error whose text is not to be shown as it is.
type shownError struct {
	text string
	err  error
}

func (e *shownError) Error() string { return e.text }
func (e *shownError) Unwrap() error { return e.err }
