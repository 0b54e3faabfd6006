// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// spyFile is where the program spy writes what it was started with.
const spyFile = "SPY"

// spy is a program that the program under test starts: as a signer, or as a KMS. It
// writes down its arguments, prints them too, and fails.
func spy() {
	args := strings.Join(os.Args, "\n") + "\n"
	if err := os.WriteFile(os.Getenv(spyFile), []byte(args), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Print(args)
	os.Exit(1)
}

// echo is a service that sends back all that it is told, as the worst that a
// registry or a certificate authority can do with a secret: in the body, and in
// the headers that are shown.
func echo(w http.ResponseWriter, req *http.Request) {
	told := &bytes.Buffer{}
	_ = req.Write(told)
	if _, password, ok := req.BasicAuth(); ok {
		told.WriteString(password)
	}
	text := strconv.Quote(told.String())
	w.Header().Set("Content-Type", "application/json")
	status := http.StatusBadRequest
	if strings.HasPrefix(req.URL.Path, "/v2/") && req.Header.Get("Authorization") == "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="echo"`)
		status = http.StatusUnauthorized
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"code":3,"message":`+text+`,"errors":[{"code":"DENIED","message":`+text+`}]}`)
}

// cmdDiscreet runs a program that must end with the exit status, and must not show
// any line of the file secrets: on stdout, on stderr, or to a program that it
// starts.
func cmdDiscreet(ts *testscript.TestScript, args []string) {
	want(ts, args, 2, unlimited, "discreet N PROGRAM ARG...")
	spied := ts.MkAbs("spied")
	ts.Setenv(spyFile, spied)
	cmdStatus(ts, args)
	shown := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	started, err := os.ReadFile(spied)
	if err == nil {
		shown += string(started)
	} else if !errors.Is(err, os.ErrNotExist) {
		ts.Fatalf("%v", err)
	}
	secrets := strings.Fields(ts.ReadFile("secrets"))
	if len(secrets) == 0 {
		ts.Fatalf("there are no secrets to look for")
	}
	if s := leaked(shown, secrets); s != "" {
		ts.Fatalf("it shows the secret %q:\n%s", s, shown)
	}
}

// leaked returns the first secret that a text has, as it is or in an encoding in
// which it is on its way.
func leaked(text string, secrets []string) string {
	for _, s := range secrets {
		for _, form := range []string{
			s, url.QueryEscape(s), base64.StdEncoding.EncodeToString([]byte(s)), base64.StdEncoding.EncodeToString([]byte("user:" + s)),
		} {
			if strings.Contains(text, form) {
				return s
			}
		}
	}
	return ""
}

// TestLeaked: a secret is found in each form in which it can be shown.
func TestLeaked(t *testing.T) {
	const secret = "s3cret/+"
	for _, text := range []string{
		"a s3cret/+ b", "p=s3cret%2F%2B&x", base64.StdEncoding.EncodeToString([]byte(secret)),
		"Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+secret)),
	} {
		if leaked(text, []string{"other", secret}) != secret {
			t.Errorf("not found in %q", text)
		}
	}
	if s := leaked("s3cret", []string{secret}); s != "" {
		t.Errorf("found %q", s)
	}
}
