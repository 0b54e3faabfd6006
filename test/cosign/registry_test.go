// SPDX-License-Identifier: Apache-2.0

package cosign_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cfs-label/cfs-label/internal/oracle"
	"github.com/cfs-label/cfs-label/sign"
)

// registries start a registry and return its host.
var registries = map[string]func(t *testing.T) string{
	"with-referrers":    func(t *testing.T) string { t.Helper(); return startGGCR(t, true) },
	"without-referrers": func(t *testing.T) string { t.Helper(); return startGGCR(t, false) },
	"docker-registry":   startDockerRegistry,
}

func startGGCR(t *testing.T, referrers bool) string {
	t.Helper()
	s := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(referrers)))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// listening is how docker-registry says which port it has got.
var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// startDockerRegistry starts what Debian has, version 2 of distribution, in a
// process that ends with the test.
func startDockerRegistry(t *testing.T) string {
	t.Helper()
	path, dir := oracle.Require(t, "docker-registry"), t.TempDir()
	file := filepath.Join(dir, "config.yml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `version: 0.1
storage:
  filesystem: {rootdirectory: %s}
  maintenance: {uploadpurging: {enabled: false}}
http:
  addr: 127.0.0.1:0
`, filepath.Join(dir, "storage")), 0o600))
	process := exec.CommandContext(t.Context(), path, "serve", file)
	stderr, err := process.StderrPipe()
	must(t, err)
	must(t, process.Start())
	t.Cleanup(func() { _ = process.Wait() }) // the context has ended: it was killed
	var said strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, stderr) }() // ends with the process
			return m[1]
		}
	}
	t.Fatalf("%s does not listen:\n%s", path, said.String())
	return ""
}

// push pushes an image.
func push(t *testing.T, host string) sign.Image {
	t.Helper()
	image, err := random.Image(64, 1)
	must(t, err)
	d, err := image.Digest()
	must(t, err)
	ref, err := name.NewDigest(host + "/os/image@" + d.String())
	must(t, err)
	must(t, remote.Write(ref, image))
	return sign.Image{Name: ref}
}
