// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

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
	e := newError(r.Name(), a.String(), withoutQuery(err))
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	if untrusted || errors.Is(err, http.ErrSchemeMismatch) {
		e.Hint = "if this registry is known to have no valid certificate, allow it with --insecure"
		return e
	}
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		e.Err = answer
		r.explain(e, a, answer)
	}
	return e
}

// explain maps what a registry answered to the kinds of errors and says what
// can be done.
func (r *registry) explain(e *Error, a asked, answer *transport.Error) {
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.Kind, e.Hint = ErrUnauthorized, r.loginHint(a.write || a.what == anUpload)
	case http.StatusNotFound:
		e.Kind = ErrNotFound
		e.Err = fmt.Errorf("%s (%w)", missing(a, answer), answer)
	case http.StatusTooManyRequests:
		e.Hint = "the registry limits how often it is asked: wait, or log in for a higher limit"
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

// withoutQuery removes the query from the URL in an error of net/http: storage
// behind a redirect has its secrets there.
func withoutQuery(err error) error {
	ue, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	u, perr := url.Parse(ue.URL)
	if perr != nil {
		return fmt.Errorf("%s: %w", ue.Op, ue.Err)
	}
	u.RawQuery, u.User = "", nil
	return fmt.Errorf("%s %s: %w", ue.Op, u, withoutQuery(ue.Err))
}
