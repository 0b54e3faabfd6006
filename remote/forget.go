// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// forgetting takes the credentials of a request out of what is shown of the
// answer: the text of one that is no success, and warnings. Some registry, or a
// proxy on the way, could send back what it was told.
type forgetting struct{ next http.RoundTripper }

// forgotten stands in place of a secret.
const forgotten = "[secret]"

// shortestSecret is the length of the shortest text that is taken out, in bytes:
// a shorter one is in every text by chance.
const shortestSecret = 4

func (f forgetting) RoundTrip(in *http.Request) (*http.Response, error) {
	secrets := secretsOf(in)
	resp, err := f.next.RoundTrip(in)
	if err != nil || len(secrets) == 0 {
		return resp, err
	}
	for i, v := range resp.Header.Values("Warning") {
		resp.Header["Warning"][i] = string(without([]byte(v), secrets))
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	text, rerr := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	text = withoutAny(text, secrets)
	resp.Body = io.NopCloser(bytes.NewReader(text))
	if rerr != nil {
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(text), broken{rerr}))
	}
	resp.ContentLength = -1
	return resp, nil
}

// broken is a body that ends with an error.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// secretsOf returns the credentials that a request has, the longest first: those
// of its header, and those of the form by which a token is asked for.
func secretsOf(in *http.Request) []string {
	var list []string
	add := func(s string) {
		for _, form := range []string{s, url.QueryEscape(s)} {
			if len(form) >= shortestSecret && !slices.Contains(list, form) {
				list = append(list, form)
			}
		}
	}
	_, credentials, _ := strings.Cut(in.Header.Get("Authorization"), " ")
	add(credentials)
	if _, password, ok := in.BasicAuth(); ok {
		add(password)
		add(base64.StdEncoding.EncodeToString([]byte(password)))
	}
	if in.Header.Get("Content-Type") == "application/x-www-form-urlencoded" && in.GetBody != nil {
		if body, err := in.GetBody(); err == nil {
			text, _ := io.ReadAll(io.LimitReader(body, maxAnswer))
			_ = body.Close()
			form, _ := url.ParseQuery(string(text))
			add(form.Get("password"))
			add(form.Get("refresh_token"))
		}
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	return list
}

// withoutAny takes secrets out of a text that may be JSON, in which they may be
// spelled in many ways.
func withoutAny(text []byte, secrets []string) []byte {
	var value any
	if json.Unmarshal(text, &value) != nil {
		return without(text, secrets)
	}
	var walk func(any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case string:
			return string(without([]byte(v), secrets))
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
		}
		return v
	}
	clean, err := json.Marshal(walk(value))
	if err != nil {
		return nil
	}
	return without(clean, secrets)
}

// without takes secrets out of a text.
func without(text []byte, secrets []string) []byte {
	for _, s := range secrets {
		text = bytes.ReplaceAll(text, []byte(s), []byte(forgotten))
	}
	return text
}
