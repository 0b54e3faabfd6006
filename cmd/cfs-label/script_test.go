// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cfs-label": main, "spy": spy, "sigstore-kms-spy": spy})
}

// hubKey is where a script's environment has its *hub.
type hubKey struct{}

// TestScript runs the program itself against registries in memory. Every file
// opens with the rule that it shows.
func TestScript(t *testing.T) {
	vectors, err := filepath.Abs("../../testdata/conformance")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(vectors, "minimal", "oci", "index.json")); err != nil {
		t.Fatalf("the vectors are not there: %v", err)
	}
	keys, err := filepath.Abs("testdata/keys")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup:               func(e *testscript.Env) error { return setup(e, vectors, keys) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"discreet":  positive(cmdDiscreet),
			"expand":    positive(cmdExpand),
			"fileenv":   positive(cmdFileenv),
			"files":     positive(cmdFiles),
			"hsm":       positive(cmdHSM),
			"index":     positive(cmdIndex),
			"keep":      positive(cmdKeep),
			"labels":    positive(cmdLabels),
			"layout":    positive(cmdLayout),
			"login":     positive(cmdLogin),
			"manifest":  positive(cmdManifest),
			"pack":      positive(cmdPack),
			"push":      positive(cmdPush),
			"pushed":    positive(cmdPushed),
			"put":       positive(cmdPut),
			"reference": positive(cmdReference),
			"requests":  positive(cmdRequests),
			"sarif":     positive(cmdSarif),
			"spoil":     positive(cmdSpoil),
			"status":    positive(cmdStatus),
			"tag":       positive(cmdTag),
			"tags":      positive(cmdTags),
			"uki":       positive(cmdUKI),
		},
	})
}

// positive is a command that has no meaning behind an exclamation mark.
func positive(f func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("! is not understood here")
		}
		f(ts, args)
	}
}

// setup gives a script an empty registry with two doors: REGISTRY lets
// everybody in, AUTHREGISTRY those who have a password. What belongs to the
// user who runs the tests stays out of sight.
func setup(e *testscript.Env, vectors, keys string) error {
	h := newHub()
	open, guarded := httptest.NewServer(h), httptest.NewServer(guard(h))
	e.Defer(open.Close)
	e.Defer(guarded.Close)
	e.Values[hubKey{}] = h
	echoes := httptest.NewServer(http.HandlerFunc(echo))
	e.Defer(echoes.Close)

	inherited := e.Vars
	e.Vars = nil
	for _, v := range inherited {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "HOME", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "HTTP_PROXY", "http_proxy",
			"COSIGN_PASSWORD", "COSIGN_REPOSITORY", "SIGSTORE_ID_TOKEN":
			continue
		}
		if !strings.HasPrefix(name, "ACTIONS_") { // who runs the tests may have an identity there
			e.Vars = append(e.Vars, v)
		}
	}
	e.Vars = append(e.Vars,
		"HOME="+e.WorkDir,
		"DOCKER_CONFIG="+e.WorkDir,
		"REGISTRY="+strings.TrimPrefix(open.URL, "http://"),
		"AUTHREGISTRY="+strings.TrimPrefix(guarded.URL, "http://"),
		"ECHO="+strings.TrimPrefix(echoes.URL, "http://"),
		"VECTORS="+vectors,
		"KEYS="+keys,
		"GORACE=atexit_sleep_ms=0", // else every run under the race detector takes a second
	)
	return nil
}
