// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/remote"
)

// TestTaggedDigest: of a manifest that is read by a tag, the digest that the
// registry says is believed if it is true. Else the registry has to have the
// bytes by their own digest: some say it wrongly, but bytes that were changed on
// the way have a digest that nobody knows.
func TestTaggedDigest(t *testing.T) {
	d, raw := manifest("true")
	lie := bytes.Replace(raw, []byte("true"), []byte("lies"), 1)
	for name, tc := range map[string]struct {
		tagged []byte // what the tag gives
		said   string
		err    string
	}{
		"right":                 {raw, d.Digest.String(), ""},
		"none":                  {raw, "", ""},
		"nonsense":              {raw, "sha256:x", ""},
		"wrong":                 {raw, "sha256:" + someHex, ""},
		"changed on the way":    {lie, d.Digest.String(), "it was changed on the way"},
		"changed, and said so?": {lie, "sha256:" + someHex, "it was changed on the way"},
	} {
		t.Run(name, func(t *testing.T) {
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Type", string(d.MediaType))
				switch {
				case strings.HasSuffix(req.URL.Path, "/manifests/v1"):
					w.Header().Set("Docker-Content-Digest", tc.said)
					_, _ = w.Write(tc.tagged)
				case strings.HasSuffix(req.URL.Path, "/manifests/"+d.Digest.String()):
					_, _ = w.Write(raw)
				case strings.Contains(req.URL.Path, "/manifests/"):
					w.WriteHeader(http.StatusNotFound)
				}
			}))
			got, _, err := open(t, host+"/a:v1", remote.Options{}).Resolve(t.Context())
			if tc.err != "" {
				wantTexts(t, err, "read tag v1", tc.err)
				wantContentError(t, "Resolve", err)
				return
			}
			if err != nil || got.Digest != d.Digest {
				t.Errorf("got %s, %v, want %s", got.Digest, err, d.Digest)
			}
		})
	}
}
