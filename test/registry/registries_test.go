// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"

	"github.com/cfs-label/cfs-label/internal/oracle"
)

// Who may come in where there is a password.
const (
	user     = "alice"
	password = "open sesame"
)

func startGGCR(t *testing.T) server {
	t.Helper()
	return serve(t, ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
}

func startGGCRWithReferrers(t *testing.T) server {
	t.Helper()
	return serve(t, ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(true)))
}

func startDistribution(t *testing.T) server {
	t.Helper()
	return serve(t, distribution(t, anonymousConfig(t.TempDir())))
}

func startGuardedDistribution(t *testing.T) server {
	t.Helper()
	return serve(t, distribution(t, guardedConfig(t, t.TempDir()))).as(user, password)
}

func startDockerRegistry(t *testing.T) server {
	t.Helper()
	return dockerRegistry(t, anonymousConfig(t.TempDir()))
}

func startGuardedDockerRegistry(t *testing.T) server {
	t.Helper()
	return dockerRegistry(t, guardedConfig(t, t.TempDir())).as(user, password)
}

// serve serves a registry of this process, in which nobody has logged in yet.
func serve(t *testing.T, registry http.Handler) server {
	t.Helper()
	s := httptest.NewServer(registry)
	t.Cleanup(s.Close)
	return server{t: t, host: strings.TrimPrefix(s.URL, "http://")}.as("", "")
}

// anonymousConfig is a configuration of distribution, in the syntax that
// versions 2 and 3 share: everything below dir, on a port that is free.
func anonymousConfig(dir string) string {
	return fmt.Sprintf(`version: 0.1
storage:
  filesystem: {rootdirectory: %s}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
validation: {manifests: {urls: {allow: ['^https://layers\.example\.com/']}}}
http:
  addr: 127.0.0.1:0
`, filepath.Join(dir, "storage"))
}

// guardedConfig lets in who knows the password.
func guardedConfig(t *testing.T, dir string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	must(t, err)
	file := filepath.Join(dir, "htpasswd")
	must(t, os.WriteFile(file, fmt.Appendf(nil, "%s:%s\n", user, hash), 0o600))
	return anonymousConfig(dir) + fmt.Sprintf("auth:\n  htpasswd: {realm: checks, path: %s}\n", file)
}

// distribution is version 3 of it, in this process.
func distribution(t *testing.T, config string) http.Handler {
	t.Helper()
	c, err := configuration.Parse(strings.NewReader(config))
	must(t, err)
	logrus.SetOutput(io.Discard) // it logs there whatever its configuration says
	app := handlers.NewApp(t.Context(), c)
	t.Cleanup(func() {
		if err := app.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	return app
}

// listening is how docker-registry says which port it has got.
var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// dockerRegistry is what Debian has, version 2 of distribution, in a process of
// its own that ends with the test.
func dockerRegistry(t *testing.T, config string) server {
	t.Helper()
	path := oracle.Require(t, "docker-registry")
	file := filepath.Join(t.TempDir(), "config.yml")
	must(t, os.WriteFile(file, []byte(config), 0o600))
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
			return server{t: t, host: m[1]}.as("", "")
		}
	}
	t.Fatalf("%s does not listen:\n%s", path, said.String())
	return server{}
}
