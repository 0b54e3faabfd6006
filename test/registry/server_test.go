// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// A server is a registry that runs, as somebody sees it who uses cfs-label.
type server struct {
	t    *testing.T // fails where the registry or cfs-label does
	host string
	user authn.AuthConfig // whom the checks' own requests come from
	home string           // with the config.json of docker login
	// expired is a token that the registry takes for too old; "" where it takes
	// none at all.
	expired string
}

// configFile has the credentials of as, for all programs.
func (s server) configFile() string { return filepath.Join(s.home, "config.json") }

// in returns the server for another test.
func (s server) in(t *testing.T) server {
	t.Helper()
	s.t = t
	return s
}

// as returns the server for somebody else, "" being nobody.
func (s server) as(user, password string) server {
	s.t.Helper()
	s.home = s.t.TempDir()
	s.user = authn.AuthConfig{Username: user, Password: password}
	auths := map[string]any{}
	if user != "" {
		auths[s.host] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}
	}
	data, err := json.Marshal(map[string]any{"auths": auths})
	must(s.t, err)
	must(s.t, os.WriteFile(s.configFile(), data, 0o600))
	return s
}

// result is how a program ended.
type result struct {
	status         int
	stdout, stderr string
}

// run runs cfs-label, which sees no credentials but the server's.
func (s server) run(args ...string) result {
	s.t.Helper()
	command := exec.CommandContext(s.t.Context(), program, args...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.home, "DOCKER_CONFIG=" + s.home}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if command.ProcessState == nil {
		s.t.Fatal(err)
	}
	return result{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ok runs cfs-label, which must not fail, and returns the one line that it
// prints.
func (s server) ok(args ...string) string {
	s.t.Helper()
	r := s.run(args...)
	if line, ended := strings.CutSuffix(r.stdout, "\n"); ended && r.status == 0 && line != "" && !strings.Contains(line, "\n") {
		return line
	}
	s.t.Fatalf("cfs-label %q: exit status %d\nstdout: %s\nstderr: %s", args, r.status, r.stdout, r.stderr)
	return ""
}

// fails runs cfs-label, which must end with the exit status, print nothing on
// stdout, and name the thing on stderr.
func (s server) fails(status int, named string, args ...string) {
	s.t.Helper()
	r := s.run(args...)
	if r.status != status || r.stdout != "" || !strings.Contains(r.stderr, named) {
		s.t.Errorf("cfs-label %q: exit status %d, want %d and %q\nstdout: %s\nstderr: %s",
			args, r.status, status, named, r.stdout, r.stderr)
	}
}

// client is how the checks themselves talk to the registry.
func (s server) client() []remote.Option {
	s.t.Helper()
	return []remote.Option{remote.WithContext(s.t.Context()), remote.WithAuth(authn.FromConfig(s.user))}
}

// push pushes the image of a conformance vector and returns its digest.
func (s server) push(vector, to string) string {
	s.t.Helper()
	index, err := layout.ImageIndexFromPath(filepath.Join(vectors, vector, "oci"))
	must(s.t, err)
	m, err := index.IndexManifest()
	must(s.t, err)
	img, err := index.Image(m.Manifests[0].Digest)
	must(s.t, err)
	must(s.t, remote.Write(reference(s.t, to), img, s.client()...))
	return m.Manifests[0].Digest.String()
}

// tags returns the digest of each tag of the repository.
func (s server) tags(repo string) map[string]string {
	s.t.Helper()
	r, err := name.NewRepository(repo)
	must(s.t, err)
	list, err := remote.List(r, s.client()...)
	must(s.t, err)
	digests := make(map[string]string)
	for _, tag := range list {
		d, err := remote.Get(r.Tag(tag), s.client()...)
		must(s.t, err)
		digests[tag] = d.Digest.String()
	}
	return digests
}

// image returns what a reference names.
func (s server) image(ref string) image {
	s.t.Helper()
	img, err := remote.Image(reference(s.t, ref), s.client()...)
	must(s.t, err)
	m, err := img.Manifest()
	must(s.t, err)
	config, err := img.RawConfigFile()
	must(s.t, err)
	var c struct {
		Config struct{ Labels map[string]string }
	}
	must(s.t, json.Unmarshal(config, &c))
	return image{manifest: m, config: config, labels: c.Config.Labels}
}

// image is what the checks look at in one.
type image struct {
	manifest *v1.Manifest
	config   []byte
	labels   map[string]string
}

func reference(t *testing.T, text string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(text)
	must(t, err)
	return ref
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
