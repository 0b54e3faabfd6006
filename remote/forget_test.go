// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/cfs-label/cfs-label/remote"
)

// TestForgetting: what a registry sends back of the credentials that it was told
// is in no error and in no warning, in whatever form.
func TestForgetting(t *testing.T) {
	const password = `pass/word+&<"0451`
	forms := map[string]string{
		"as JSON": `pass/word+\u0026\u003c\"0451`, "spelled out": `\u0070ass/word+&<\"0451`, "escaped": url.QueryEscape(password),
		"in base64": base64.StdEncoding.EncodeToString([]byte(password)),
		"as header": base64.StdEncoding.EncodeToString([]byte("me:" + password)),
	}
	for name, form := range forms {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Authorization") == "" {
				w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			w.Header().Set("Warning", fmt.Sprintf(`299 - "you said %s"`, url.QueryEscape(password)))
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"not with `+form+`!"}]}`)
		}))
		t.Cleanup(server.Close)
		var warned string
		ref, err := remote.Open(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/a:v1", remote.Options{
			Keychain: authn.NewMultiKeychain(), Username: "me", Password: password, Retries: -1, Warn: func(m string) { warned = m },
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = ref.Resolve(t.Context())
		if err == nil || !strings.Contains(err.Error(), "not with [secret]!") {
			t.Errorf("%s: got %v", name, err)
		}
		if !strings.Contains(warned, "you said [secret]") {
			t.Errorf("%s: warned of %q", name, warned)
		}
	}
}
