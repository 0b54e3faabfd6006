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

// program is the path of the cfs-label to test.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "cfs-label-registry-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "cfs-label")
	build := exec.Command("go", "build", "-o", program, "./cmd/cfs-label")
	build.Dir = moduleRoot
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build ./cmd/cfs-label: %v\n%s", err, out))
	}
	m.Run()
}

// registries are what the checks run against.
var registries = []struct {
	name    string
	guarded bool // by a password
	start   func(*testing.T) server
}{
	{name: "ggcr", start: startGGCR},
	{name: "ggcr-referrers", start: startGGCRWithReferrers},
	{name: "distribution", start: startDistribution},
	{name: "distribution-htpasswd", guarded: true, start: startGuardedDistribution},
	{name: "docker-registry", start: startDockerRegistry},
	{name: "docker-registry-htpasswd", guarded: true, start: startGuardedDockerRegistry},
}

// checks are what must hold with every registry. Each has a repository of its
// own, which is empty.
var checks = []struct {
	name    string
	guarded bool // only where there is a password
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
	{name: "credentials", guarded: true, run: checkCredentials},
}

func TestRegistries(t *testing.T) {
	for _, registry := range registries {
		t.Run(registry.name, func(t *testing.T) {
			s := registry.start(t)
			for _, check := range checks {
				if check.guarded && !registry.guarded {
					continue
				}
				t.Run(check.name, func(t *testing.T) { check.run(s.in(t), s.host+"/checks/"+check.name) })
			}
		})
	}
}
