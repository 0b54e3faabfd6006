// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
)

// slowly sends blobs in pieces, so that there is a rate to be seen.
func slowly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.Contains(req.URL.Path, "/blobs/") || req.Method != http.MethodGet {
			next.ServeHTTP(w, req)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, req)
		body := answer.Body.Bytes()
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		const pieces = 4
		for i := range pieces {
			_, _ = w.Write(body[len(body)*i/pieces : len(body)*(i+1)/pieces])
			_ = http.NewResponseController(w).Flush()
			time.Sleep(100 * time.Millisecond)
		}
	})
}

// slowImage returns the name of the vector typical in a slow registry.
func slowImage(t *testing.T) string {
	t.Helper()
	h := newHub()
	server := httptest.NewServer(slowly(h))
	t.Cleanup(server.Close)
	index, err := layout.ImageIndexFromPath("../../testdata/conformance/typical/oci")
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/app:latest")
	if err != nil {
		t.Fatal(err)
	}
	if err := ggcr.Write(ref, img, ggcr.WithTransport(h)); err != nil {
		t.Fatal(err)
	}
	return ref.Name()
}

// onTerminal runs a command line of the shell on a terminal and returns what
// is to be seen there.
func onTerminal(t *testing.T, commandLine string) string {
	t.Helper()
	program, err := exec.LookPath("script")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("there is no script of util-linux here")
	}
	cmd := exec.CommandContext(t.Context(), program, "-qec", "stty cols 120 rows 40; "+commandLine, "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm", "SHELL=/bin/sh", "DOCKER_CONFIG="+t.TempDir())
	seen, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", commandLine, err, seen)
	}
	return string(seen)
}

// The bars of the layers of the vector typical: bytes of all bytes, and the
// rate.
var wantBars = []*regexp.Regexp{
	regexp.MustCompile(`linux/amd64 +1/2 97b2802275bb +[0-9.]+ \w+ / 5\.2 KiB \[.*\] +([1-9][0-9.]*|0\.[1-9]) \w+/s +done`),
	regexp.MustCompile(`linux/amd64 +2/2 503e5881b324 +[0-9.]+ \w+ / 69\.0 KiB \[.*\] +([1-9][0-9.]*|0\.[1-9]) \w+/s +done`),
}

// TestMeter: the rate is that since the first bytes came, falls while none
// come, and stays when all are there.
func TestMeter(t *testing.T) {
	start := time.Now()
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	m := newMeter(1000, start)
	expect := func(seconds float64, wantRate int64, wantLeft time.Duration) {
		t.Helper()
		if rate, left := m.measure(at(seconds)); rate != wantRate || left != wantLeft {
			t.Errorf("after %g s: %d B/s, %s left; want %d, %s", seconds, rate, left, wantRate, wantLeft)
		}
	}
	expect(0, 0, 0)
	expect(100, 0, 0)
	m.add(100, at(100)) // its turn came late
	expect(100, 1, 900*time.Second)
	m.add(100, at(101))
	expect(101, 100, 8*time.Second)
	m.add(400, at(102))
	expect(102, 250, 1600*time.Millisecond)
	expect(105, 100, 4*time.Second)
	m.add(400, at(109))
	expect(109, 100, 0)
	expect(1000, 100, 0)

	m = newMeter(1000, start)
	m.add(1000, at(2)) // all at once
	expect(10, 500, 0)
}

// TestProgressOnTerminal: on a terminal, every layer has a bar with bytes and
// rate, and then it is told what happens.
func TestProgressOnTerminal(t *testing.T) {
	image := slowImage(t)
	for _, tc := range []struct {
		command string
		steps   []string
	}{
		{"compute " + image, []string{"cfs-label: computing digests"}},
		{image, []string{"cfs-label: computing digests", "cfs-label: pushing"}},
	} {
		seen := onTerminal(t, "cfs-label "+tc.command)
		for _, bar := range wantBars {
			if !bar.MatchString(seen) {
				t.Errorf("%s: no bar is like %s in\n%s", tc.command, bar, seen)
			}
		}
		for _, step := range tc.steps {
			if !strings.Contains(seen, step) {
				t.Errorf("%s: %q is missing in\n%s", tc.command, step, seen)
			}
		}
	}
}

// TestNoProgress: no bars if nobody looks or wants to see them.
func TestNoProgress(t *testing.T) {
	image := slowImage(t)
	file := filepath.Join(t.TempDir(), "stderr")
	for name, commandLine := range map[string]string{
		"--no-progress":      "cfs-label --no-progress compute " + image,
		"-q":                 "cfs-label -q compute " + image,
		"TERM=dumb":          "TERM=dumb cfs-label compute " + image,
		"stderr is a file":   "cfs-label compute " + image + " 2> " + file + "; cat " + file,
		"stderr is a pipe":   "cfs-label compute " + image + " 2>&1 >/dev/null | cat",
		"sealing, to a pipe": "cfs-label " + image + " --dry-run 2>&1 | cat",
	} {
		seen := onTerminal(t, commandLine)
		if strings.ContainsAny(seen, "\x1b[") || strings.Contains(seen, "KiB") || strings.Contains(seen, "1/2") {
			t.Errorf("%s: there is more than the answer:\n%s", name, seen)
		}
	}
	// A terminal behind stdout alone is none for the bars.
	cmd := exec.CommandContext(t.Context(), "cfs-label", "compute", image)
	cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+t.TempDir())
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = io.Discard, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v: stderr has %q", err, stderr.String())
	}
}
