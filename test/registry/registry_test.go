// SPDX-License-Identifier: Apache-2.0

// Package registry_test runs the program against registries that people use:
// every check of one table against every registry of another.
//
//	go test . -run TestRegistries/docker-registry/seal
package registry_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// moduleRoot is the root of the product, seen from this module.
const moduleRoot = "../.."

// program is the path of the cfs-label to test, crane that of a crane, of the
// version that go.mod has.
var program, crane string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "cfs-label-registry-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program, crane = filepath.Join(dir, "cfs-label"), filepath.Join(dir, "crane")
	build(moduleRoot, program, "./cmd/cfs-label")
	build(".", crane, "github.com/google/go-containerregistry/cmd/crane")
	m.Run()
}

// build builds a package of the module in dir.
func build(dir, to, what string) {
	command := exec.Command("go", "build", "-o", to, what)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build %s: %v\n%s", what, err, out))
	}
}

// registries are what the checks run against.
var registries = []struct {
	name    string
	guarded bool // by a password
	tokens  bool // by tokens that it is exchanged for
	start   func(*testing.T) server
}{
	{name: "ggcr", start: startGGCR},
	{name: "ggcr-referrers", start: startGGCRWithReferrers},
	{name: "distribution", start: startDistribution},
	{name: "distribution-htpasswd", guarded: true, start: startGuardedDistribution},
	{name: "distribution-token", guarded: true, tokens: true, start: startTokenDistribution},
	{name: "docker-registry", start: startDockerRegistry},
	{name: "docker-registry-htpasswd", guarded: true, start: startGuardedDockerRegistry},
	{name: "docker-registry-token", guarded: true, tokens: true, start: startTokenDockerRegistry},
}

// checks are what must hold with every registry. Each has a repository of its
// own, which is empty.
var checks = []struct {
	name    string
	guarded bool // only where there is a password
	tokens  bool // only where there are tokens
	run     func(s server, repo string)
}{
	{name: "compute", run: checkCompute},
	{name: "seal", run: checkSeal},
	{name: "seal-again", run: checkSealAgain},
	{name: "seal-tag", run: checkSealTag},
	{name: "seal-digest", run: checkSealDigest},
	{name: "not-found", run: checkNotFound},
	{name: "missing-blob", run: checkMissingBlob},
	{name: "skopeo", run: checkSkopeo},
	{name: "index", run: checkIndex},
	{name: "if-needed", run: checkIfNeeded},
	{name: "check", run: checkCheck},
	{name: "moved", run: checkMoved},
	{name: "to", run: checkTo},
	{name: "tags", run: checkTags},
	{name: "archives", run: checkArchives},
	{name: "artifact", run: checkArtifact},
	{name: "old-signatures", run: checkOldSignatures},
	{name: "inherited", run: checkInherited},
	{name: "docker", run: checkDocker},
	{name: "odd", run: checkOdd},
	{name: "schema1", run: checkSchema1},
	{name: "credentials", guarded: true, run: checkCredentials},
	{name: "expiry", tokens: true, run: checkExpiry},
}

func TestRegistries(t *testing.T) {
	for _, registry := range registries {
		t.Run(registry.name, func(t *testing.T) {
			t.Parallel() // most of the time is spent on disks
			s := registry.start(t)
			for _, check := range checks {
				if check.guarded && !registry.guarded || check.tokens && !registry.tokens {
					continue
				}
				t.Run(check.name, func(t *testing.T) { check.run(s.in(t), s.host+"/checks/"+check.name) })
			}
		})
	}
}
