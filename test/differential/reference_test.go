// SPDX-License-Identifier: Apache-2.0

package differential_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cfs-label/cfs-label/test/differential/stackgen"
)

// The combinations that are compared.
var (
	formats    = []string{"v0", "v1", "v2"}
	algorithms = []string{"sha512", "sha256"}
	xattrModes = []string{"allowlist-only", "keep-user-xattrs"}
)

// repositoryAlgorithm is what cfsctl calls an algorithm with its block size.
var repositoryAlgorithm = map[string]string{"sha512": "fsverity-sha512-12", "sha256": "fsverity-sha256-12"}

// A combination is what a digest depends on, besides the image.
type combination struct{ format, algorithm, xattrs string }

func (c combination) String() string { return c.format + " " + c.algorithm + " " + c.xattrs }

// combinations returns all of them, in a fixed order.
func combinations() []combination {
	var all []combination
	for _, algorithm := range algorithms {
		for _, format := range formats {
			for _, xattrs := range xattrModes {
				all = append(all, combination{format, algorithm, xattrs})
			}
		}
	}
	return all
}

// mayBoot reports whether hosts boot images of the format.
func (c combination) mayBoot() bool { return c.format != "v0" }

// An answer is a digest or an error.
type answer struct{ digest, err string }

func (a answer) String() string {
	if a.err != "" {
		return "error: " + a.err
	}
	return a.digest
}

// agrees reports whether both are the same digest, or both are errors.
func (a answer) agrees(b answer) bool { return a.digest == b.digest && (a.err == "") == (b.err == "") }

// commandTimeout is for one command on one small image; a hang is a finding.
const commandTimeout = 2 * time.Minute

// run runs a command and returns what it printed, or its error with what it
// said.
func run(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(os.Environ(), "RUST_BACKTRACE=0", "RUST_LIB_BACKTRACE=0", "NO_COLOR=1")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		said := strings.TrimSpace(stderr.String())
		if said == "" {
			return "", fmt.Errorf("%w, without a message", err)
		}
		return "", fmt.Errorf("%w: %s", err, said)
	}
	return stdout.String(), nil
}

// A reference is the cfsctl to compare with. Its digests are those of the merged
// tree, or with bootable of what it makes of that for booting.
type reference struct {
	program  string
	bootable bool
}

// how returns the arguments that say which tree is asked for.
func (r reference) how(c combination) []string {
	args := []string{"--xattrs", c.xattrs}
	if r.bootable {
		args = append(args, "--bootable")
	}
	return args
}

// image is the name of the image in the repositories.
const image = "c"

// compute returns cfsctl's answers for the layout. The error is not cfsctl's
// opinion of the image but a failure to ask for it.
func (r reference) compute(ctx context.Context, layout, work string) (map[combination]answer, error) {
	answers := make(map[combination]answer)
	for _, algorithm := range algorithms {
		repository, refused, err := r.pull(ctx, algorithm, layout, work)
		if err != nil {
			return nil, err
		}
		for _, c := range combinations() {
			if c.algorithm != algorithm || r.bootable && !c.mayBoot() {
				continue
			}
			if refused != nil {
				answers[c] = answer{err: refused.Error()}
				continue
			}
			answers[c] = r.computeID(ctx, repository, c)
		}
		if err := os.RemoveAll(repository); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// pull makes a repository with the image. Where cfsctl refuses the image the
// reason is in refused.
func (r reference) pull(ctx context.Context, algorithm, layout, work string) (repository string, refused, err error) {
	repository = filepath.Join(work, "repository-"+algorithm)
	if err := os.RemoveAll(repository); err != nil {
		return "", nil, err
	}
	if _, err := run(ctx, r.program, "--repo", repository, "init", "--insecure", "--algorithm", repositoryAlgorithm[algorithm]); err != nil {
		return "", nil, err
	}
	_, refused = run(ctx, r.program, "--repo", repository, "oci", "pull", "oci:"+layout+":"+stackgen.Tag, image)
	return repository, refused, nil
}

func (r reference) computeID(ctx context.Context, repository string, c combination) answer {
	args := []string{"--repo", repository, "--erofs-version", strings.TrimPrefix(c.format, "v"), "oci", "compute-id", image}
	out, err := run(ctx, r.program, append(args, r.how(c)...)...)
	if err != nil {
		return answer{err: err.Error()}
	}
	digest := strings.TrimSpace(out)
	if digest == "" {
		return answer{err: "printed nothing"}
	}
	return answer{digest: digest}
}

// dump returns the tree as cfsctl sees it.
func (r reference) dump(ctx context.Context, c combination, layout, work string) (string, error) {
	repository, refused, err := r.pull(ctx, c.algorithm, layout, work)
	if err := errors.Join(err, refused); err != nil {
		return "", err
	}
	return run(ctx, r.program, append([]string{"--repo", repository, "oci", "dump", image}, r.how(c)...)...)
}
