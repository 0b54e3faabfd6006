// SPDX-License-Identifier: Apache-2.0

package remote_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/remote"
)

// tempFile returns the name of a new file.
func tempFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// whoAmI serves a registry that wants basic credentials, whatever they are, and
// returns its host and the user of the last request.
func whoAmI(t *testing.T) (host string, user func() string) {
	t.Helper()
	var last string
	host = serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		name, _, given := req.BasicAuth()
		if !given {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
		last = name
		if req.URL.Path != "/v2/" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	return host, func() string { return last }
}

// TestAuthFile: docker's file and podman's, whose credentials are those of the
// longest part of the name.
func TestAuthFile(t *testing.T) {
	host, user := whoAmI(t)
	for name, tc := range map[string]struct {
		auths map[string]string // key to user
		want  string
	}{
		"docker":               {map[string]string{host: "host", "other.example": "other"}, "host"},
		"docker, old":          {map[string]string{"http://" + host + "/v1/": "host"}, "host"},
		"podman, namespace":    {map[string]string{host: "host", host + "/ns": "ns", host + "/n": "n"}, "ns"},
		"podman, repository":   {map[string]string{host: "host", host + "/ns": "ns", host + "/ns/repo": "repo"}, "repo"},
		"podman, another's":    {map[string]string{host + "/ns2": "ns2", host + "/ns/repo2": "repo2"}, ""},
		"another port's":       {map[string]string{host + "1": "other"}, ""},
		"nobody's":             {nil, ""},
		"placeholder and host": {map[string]string{host + "/ns": "", host: "host"}, "host"},
	} {
		t.Run(name, func(t *testing.T) {
			auths := map[string]map[string]string{}
			for key, user := range tc.auths {
				auths[key] = map[string]string{}
				if user != "" {
					auths[key]["auth"] = basic(user, "x")
				}
			}
			raw, err := json.Marshal(map[string]any{"auths": auths})
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = open(t, host+"/ns/repo:v1", remote.Options{AuthFile: tempFile(t, string(raw))}).Resolve(t.Context())
			if err == nil || user() != tc.want {
				t.Errorf("the user was %q, want %q; %v", user(), tc.want, err)
			}
		})
	}
}

// TestAuthFileHelper: programs that the file names are asked.
func TestAuthFileHelper(t *testing.T) {
	host, user := whoAmI(t)
	dir := t.TempDir()
	script := "#!/bin/sh\nread key\n[ \"$key\" = \"" + host + "\" ] || { echo 'credentials not found in native keychain'; exit 1; }\n" +
		"echo '{\"ServerURL\":\"x\",\"Username\":\"helped\",\"Secret\":\"y\"}'\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, conf := range []string{
		fmt.Sprintf(`{"credHelpers":{%q:"test"}}`, host),
		fmt.Sprintf(`{"credsStore":"test","auths":{%q:{}}}`, host),
	} {
		_, _, err := open(t, host+"/a:v1", remote.Options{AuthFile: tempFile(t, conf)}).Resolve(t.Context())
		if !errors.Is(err, remote.ErrNotFound) || user() != "helped" {
			t.Errorf("%s: the user was %q; %v", conf, user(), err)
		}
	}
	_, _, err := open(t, host+"/a:v1", remote.Options{AuthFile: tempFile(t, `{"credsStore":"gone"}`)}).Resolve(t.Context())
	if !errors.Is(err, remote.ErrUnauthorized) {
		t.Errorf("got %v, want ErrUnauthorized", err)
	}
	wantTexts(t, err, "credential helper gone")
}

// TestUsername: the given credentials come before those of the file.
func TestUsername(t *testing.T) {
	host, user := whoAmI(t)
	conf := fmt.Sprintf(`{"auths":{%q:{"auth":%q},%q:{"auth":%q}}}`, host, basic("host", "x"), host+"/a", basic("a", "x"))
	o := remote.Options{AuthFile: tempFile(t, conf), Username: "me", Password: "y"}
	if _, _, err := open(t, host+"/a:v1", o).Resolve(t.Context()); !errors.Is(err, remote.ErrNotFound) || user() != "me" {
		t.Errorf("the user was %q; %v", user(), err)
	}
}

// TestOptionsThatDoNotFit: what contradicts itself, or cannot be read, is found
// before anything is sent.
func TestOptionsThatDoNotFit(t *testing.T) {
	text := tempFile(t, "neither JSON nor PEM")
	gone := filepath.Join(t.TempDir(), "gone")
	cert, key := clientPair(t, newAuthority(t, "a"))
	_, other := clientPair(t, newAuthority(t, "b"))
	for name, tc := range map[string]struct {
		o     remote.Options
		texts []string
	}{
		"certificate without key": {remote.Options{ClientCert: cert}, []string{"only one"}},
		"key without certificate": {remote.Options{ClientKey: key}, []string{"only one"}},
		"key of another":          {remote.Options{ClientCert: cert, ClientKey: other}, []string{cert, other, "private key does not match"}},
		"no certificate":          {remote.Options{ClientCert: text, ClientKey: key}, []string{text, "PEM"}},
		"no authority":            {remote.Options{CAFile: text}, []string{text, "PEM"}},
		"an empty authority":      {remote.Options{CAFile: tempFile(t, "")}, []string{"PEM"}},
		"no file of authorities":  {remote.Options{CAFile: gone}, []string{gone, "no such file"}},
		"user without password":   {remote.Options{Username: "u"}, []string{"only one"}},
		"password without user":   {remote.Options{Password: "p"}, []string{"only one"}},
		"two keychains":           {remote.Options{AuthFile: text, Keychain: anonymous}, []string{"both"}},
		"no credentials in it":    {remote.Options{AuthFile: text}, []string{text}},
		"no file of credentials":  {remote.Options{AuthFile: gone}, []string{gone, "no such file"}},
		"transport without TLS":   {remote.Options{CAFile: cert, Transport: says{}}, []string{"transport"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remote.Open(t.Context(), "quay.io/a/b", tc.o)
			wantTexts(t, err, append(tc.texts, "quay.io/a/b")...)
			if err != nil && strings.Contains(err.Error(), "--") {
				t.Errorf("%v names a flag", err)
			}
		})
	}
}
