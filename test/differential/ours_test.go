// SPDX-License-Identifier: Apache-2.0

package differential_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/test/differential/stackgen"
)

// moduleRoot is the root of the product, seen from this module.
const moduleRoot = "../.."

// commandPackage is the program under test.
const commandPackage = "./cmd/cfs-label"

// A product is the cfs-label to test.
type product struct{ program string }

// build compiles the command into a directory of the test.
func build(t *testing.T) product {
	t.Helper()
	program := t.TempDir() + "/cfs-label"
	command := exec.CommandContext(t.Context(), "go", "build", "-o", program, commandPackage)
	command.Dir = moduleRoot
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", commandPackage, err, out)
	}
	return product{program}
}

// compute returns our answers for the layout. All combinations are asked for at
// once; where that fails, one by one.
func (p product) compute(ctx context.Context, layout string) map[combination]answer {
	answers, err := p.ask(ctx, layout, formats, algorithms, xattrModes)
	if err == nil {
		return answers
	}
	answers = make(map[combination]answer)
	for _, c := range combinations() {
		one, err := p.ask(ctx, layout, []string{c.format}, []string{c.algorithm}, []string{c.xattrs})
		if err != nil {
			answers[c] = answer{err: err.Error()}
			continue
		}
		answers[c] = one[c]
	}
	return answers
}

// ask runs cfs-label compute once.
func (p product) ask(ctx context.Context, layout string, formats, algorithms, xattrs []string) (map[combination]answer, error) {
	out, err := run(ctx, p.program, "compute", "oci:"+layout+":"+stackgen.Tag,
		"--format", strings.Join(formats, ","),
		"--algorithm", strings.Join(algorithms, ","),
		"--xattrs", strings.Join(xattrs, ","),
		"-o", "json")
	if err != nil {
		return nil, err
	}
	return parseComputed(out)
}

// parseComputed reads what compute -o json prints.
func parseComputed(out string) (map[combination]answer, error) {
	var report struct {
		Images []struct {
			Digests []struct {
				Role, Format, Algorithm, Xattrs, Digest string
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		return nil, fmt.Errorf("%w in %q", err, out)
	}
	if len(report.Images) != 1 {
		return nil, fmt.Errorf("%d images instead of one in %q", len(report.Images), out)
	}
	answers := make(map[combination]answer)
	for _, d := range report.Images[0].Digests {
		if d.Role != "merged" {
			return nil, fmt.Errorf("role %q was not asked for", d.Role)
		}
		answers[combination{d.Format, d.Algorithm, d.Xattrs}] = answer{digest: d.Digest}
	}
	return answers, nil
}

// dump returns the merged tree as we see it.
func (p product) dump(ctx context.Context, c combination, layout string) (string, error) {
	return run(ctx, p.program, "dump", "oci:"+layout+":"+stackgen.Tag,
		"--algorithm", c.algorithm, "--xattrs", c.xattrs)
}
