// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// moduleRoot is the root of the product, seen from this module.
const moduleRoot = "../.."

// commandRuns is how many seeds the command gets. It pauses for seconds before
// it tries again, so they are few.
const commandRuns = 8

// programDir is where the command is built.
var programDir string

// program builds the command, once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programDir, "cfs-label")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", path, "./cmd/cfs-label")
	build.Dir = moduleRoot
	if out, err := build.CombinedOutput(); err != nil {
		return path, fmt.Errorf("go build ./cmd/cfs-label: %w\n%s", err, out)
	}
	return path, nil
})

// TestCommand: the same through the command: stdout is one line that names what
// is sealed, or nothing; then stderr ends with the error.
func TestCommand(t *testing.T) {
	if _, err := program(); err != nil {
		t.Fatal(err)
	}
	sum := newSummary()
	t.Run("run", func(t *testing.T) {
		for i := range commandRuns {
			seed := *firstFlag + uint64(i)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				p := newPlan(seed)
				p.budget = commandBudget
				runSeed(t, p, sum, byCommand)
			})
		}
	})
	sum.report(t)
}

func byCommand(ctx context.Context, t *testing.T, s *scene, host string) result {
	t.Helper()
	path, err := program()
	must(t, err)
	home := t.TempDir()
	login := base64.StdEncoding.EncodeToString([]byte(userName + ":" + password))
	auths, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": login}}})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(home, "config.json"), auths, 0o600))
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(ctx, patience-5*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, path, s.job.args(host, s.o, s.plan.budget.retries())...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGQUIT) } // it tells what each goroutine does
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "DOCKER_CONFIG=" + home}
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	if ctx.Err() != nil {
		t.Errorf("%s: it hangs\n%s", s.plan, stderr.String())
	}
	if err == nil {
		repo, _ := s.target()
		digest, ok := strings.CutPrefix(stdout.String(), host+"/"+repo+"@")
		if !ok || strings.Count(digest, "\n") != 1 {
			return result{err: fmt.Errorf("stdout is %q", stdout.String()), byCommand: true}
		}
		return result{digest: strings.TrimSpace(digest), byCommand: true}
	}
	if stdout.Len() > 0 {
		t.Errorf("it failed, and stdout is %q", stdout.String())
	}
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	return result{err: errors.New(lines[len(lines)-1]), byCommand: true}
}
