// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Whom the tokens are for, and what must not be told to anybody else.
const (
	tokenPath    = "/token"
	userName     = "alice"
	password     = "correct-horse"
	tokenPrefix  = "token-of-alice-"
	secretCookie = "cookie-of-the-registry"
	secretQuery  = "signature-of-the-storage"
)

// tokens is a token server at the registry's own host and port. A token is good
// for so many requests, and then it has expired.
type tokens struct {
	uses int

	mu     sync.Mutex
	issued []token
}

type token struct {
	scopes []string
	left   int
}

func newTokens(uses int) *tokens { return &tokens{uses: uses} }

// issue answers a request for a token (distribution's "Token Authentication
// Specification").
func (s *tokens) issue(x *exchange) answer {
	user, pass, _ := x.req.BasicAuth()
	header := http.Header{"Content-Type": {"application/json"}}
	if user != userName || pass != password {
		return answer{http.StatusUnauthorized, header, []byte(`{}`)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued = append(s.issued, token{x.req.URL.Query()["scope"], s.uses})
	return answer{http.StatusOK, header, fmt.Appendf(nil, `{"token":"%s%d"}`, tokenPrefix, len(s.issued)-1)}
}

// refuse answers a request that has no good token, and says how that is counted;
// "" if it has one.
func (s *tokens) refuse(w http.ResponseWriter, x *exchange) string {
	scope := ""
	if x.repo != "" {
		scope = fmt.Sprintf(`,scope="repository:%s:%s"`, x.repo, strings.Join(actions(x), ","))
	}
	text, given := strings.CutPrefix(x.req.Header.Get("Authorization"), "Bearer "+tokenPrefix)
	if given && s.use(text, x) {
		return ""
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s%s",service="faults"%s`, x.req.Host, tokenPath, scope))
	refuse(w, http.StatusUnauthorized)
	if given {
		return countExpired
	}
	return "challenge"
}

// actions are what a token must allow for a request.
func actions(x *exchange) []string {
	if x.req.Method == http.MethodGet || x.req.Method == http.MethodHead {
		return []string{"pull"}
	}
	return []string{"push", "pull"}
}

// use reports whether the token is good for the request, once less.
func (s *tokens) use(text string, x *exchange) bool {
	var number int
	if _, err := fmt.Sscan(text, &number); err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if number < 0 || number >= len(s.issued) || s.issued[number].left == 0 {
		return false
	}
	if x.repo != "" && !s.issued[number].allows(x) {
		return false
	}
	s.issued[number].left--
	return true
}

func (t token) allows(x *exchange) bool {
	for _, scope := range t.scopes {
		rest, ok := strings.CutPrefix(scope, "repository:"+x.repo+":")
		if !ok {
			continue
		}
		granted := strings.Split(rest, ",")
		if !slices.ContainsFunc(actions(x), func(a string) bool { return !slices.Contains(granted, a) }) {
			return true
		}
	}
	return false
}
