// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/cfs-label/cfs-label/internal/oracle"
)

// A tool is another program that knows images: it returns what it prints.
type tool func(args ...string) (string, error)

// tool returns a program with the credentials of the server; first are its first
// arguments.
func (s server) tool(program string, first ...string) tool {
	s.t.Helper()
	return func(args ...string) (string, error) {
		command := exec.CommandContext(s.t.Context(), program, append(first, args...)...)
		command.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + s.home, "DOCKER_CONFIG=" + s.home,
			"REGISTRY_AUTH_FILE=" + s.configFile(), "TMPDIR=" + os.TempDir(),
			"RUST_BACKTRACE=0", "RUST_LIB_BACKTRACE=0",
		}
		var stdout, stderr bytes.Buffer
		command.Stdout, command.Stderr = &stdout, &stderr
		if err := command.Run(); err != nil {
			return "", fmt.Errorf("%s %q: %w\n%s", filepath.Base(program), args, err, stderr.Bytes())
		}
		return stdout.String(), nil
	}
}

// must returns what a tool printed, which must not have failed.
func (s server) must(out string, err error) string {
	s.t.Helper()
	must(s.t, err)
	return out
}

// skopeo takes any image.
func (s server) skopeo() tool {
	s.t.Helper()
	policy := filepath.Join(s.home, "policy.json")
	must(s.t, os.WriteFile(policy, []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`), 0o600))
	return s.tool(oracle.Require(s.t, "skopeo"), "--policy", policy)
}

// peers are programs of other people that read images, as they are used on one
// that is in the registry. Some go over the images for Linux in it.
type peers struct {
	server
	dir                          string
	skopeo, umoci, crane, cfsctl tool
}

func (s server) peers() *peers {
	s.t.Helper()
	umoci := []string{}
	if os.Geteuid() != 0 {
		umoci = append(umoci, "--rootless")
	}
	return &peers{
		server: s,
		dir:    s.t.TempDir(),
		skopeo: s.skopeo(),
		umoci:  s.tool(oracle.Require(s.t, "umoci"), append([]string{"unpack"}, umoci...)...),
		crane:  s.tool(crane),
		cfsctl: s.tool(oracle.Require(s.t, "cfsctl")),
	}
}

// fresh returns a path at which there is nothing yet.
func (p *peers) fresh() string {
	p.t.Helper()
	dir, err := os.MkdirTemp(p.dir, "")
	must(p.t, err)
	return filepath.Join(dir, "it")
}

// uses are what is done with each image: the columns of the table.
var uses = []struct {
	name string
	do   func(p *peers, repo string, n *node) error
}{
	{"skopeo inspect --raw", (*peers).inspect},
	{"skopeo copy --all, to oci:", (*peers).copyToLayout},
	{"skopeo copy --all, to docker:", (*peers).copyToRegistry},
	{"umoci unpack", (*peers).unpack},
	{"crane validate", (*peers).validate},
	{"cfsctl oci pull", (*peers).pull},
}

func (p *peers) inspect(repo string, n *node) error {
	out, err := p.skopeo("inspect", "--raw", "--tls-verify=false", "docker://"+repo+"@"+n.digest)
	if err == nil && out != string(n.raw) {
		err = fmt.Errorf("skopeo shows %q, not %q", out, n.raw)
	}
	return err
}

func (p *peers) copyToLayout(repo string, n *node) error {
	_, err := p.skopeo("copy", "--all", "--src-tls-verify=false", "docker://"+repo+"@"+n.digest, "oci:"+p.fresh()+":all")
	return err
}

func (p *peers) copyToRegistry(repo string, n *node) error {
	to := repo + "/copy:" + strings.TrimPrefix(n.digest, "sha256:")
	_, err := p.skopeo("copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false",
		"docker://"+repo+"@"+n.digest, "docker://"+to)
	if err == nil {
		p.read(to)
	}
	return err
}

// layout makes an OCI layout of one image, with the tag one. Skopeo leaves
// foreign layers where they are: those that the registry has are added.
func (p *peers) layout(repo string, n *node) (string, error) {
	dir := p.fresh()
	if _, err := p.skopeo("copy", "--src-tls-verify=false", "docker://"+repo+"@"+n.digest, "oci:"+dir+":one"); err != nil {
		return "", err
	}
	for _, l := range n.Layers {
		file := filepath.Join(dir, "blobs", "sha256", l.Digest.Hex)
		if _, err := os.Stat(file); err == nil || len(l.URLs) == 0 {
			continue
		}
		out, err := p.crane("blob", repo+"@"+l.Digest.String())
		if err != nil {
			return "", err
		}
		must(p.t, os.WriteFile(file, []byte(out), 0o600))
	}
	return dir, nil
}

func (p *peers) unpack(repo string, n *node) error {
	return p.each(repo, n, func(_ *node, layout string) error {
		bundle := p.fresh()
		if _, err := p.umoci("--image", layout+":one", bundle); err != nil {
			return err
		}
		entries, err := os.ReadDir(filepath.Join(bundle, "rootfs", "usr"))
		if err == nil && len(entries) == 0 {
			err = fmt.Errorf("umoci unpacked nothing of %s", n.digest)
		}
		return err
	})
}

func (p *peers) validate(repo string, n *node) error {
	_, err := p.crane("validate", "--remote", repo+"@"+n.digest)
	return err
}

// pull has cfsctl compute what a host would, which is what a label has to say.
// It takes no image for another architecture than its own.
func (p *peers) pull(repo string, n *node) error {
	return p.each(repo, n, func(n *node, layout string) error {
		if _, architecture := n.runsOn(); architecture != runtime.GOARCH {
			return nil
		}
		digest, err := p.reference(layout)
		if err != nil {
			return err
		}
		if label := n.labels(p.t)[labelKey]; label != "" && label != digest {
			p.t.Errorf("%s: the label is %s, cfsctl says %s", n.digest, label, digest)
		}
		return nil
	})
}

// reference returns the digest of the image in a layout by the reference.
func (p *peers) reference(layout string) (string, error) {
	repository := p.fresh()
	for _, args := range [][]string{
		{"init", "--insecure", "--algorithm", "fsverity-sha512-12"},
		{"oci", "pull", "oci:" + layout + ":one", "image"},
	} {
		if _, err := p.cfsctl(append([]string{"--repo", repository}, args...)...); err != nil {
			return "", err
		}
	}
	out, err := p.cfsctl("--repo", repository, "--erofs-version", "1", "oci", "compute-id", "image")
	return strings.TrimSpace(out), err
}

// each does it with every image for Linux, in a layout of its own.
func (p *peers) each(repo string, n *node, do func(n *node, layout string) error) error {
	for _, img := range n.images() {
		layout, err := p.layout(repo, img)
		if err != nil {
			return err
		}
		if err := do(img, layout); err != nil {
			return err
		}
	}
	return nil
}
