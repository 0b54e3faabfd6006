// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImportsFollowTheTable holds every package of the module, as go list sees
// it, against the table. The kernels of composefs/fsverity have build tags:
// the portable build is checked as well.
func TestImportsFollowTheTable(t *testing.T) {
	for _, tags := range []string{"", "purego"} {
		packages := listPackages(t, tags)
		ours := 0
		for _, p := range packages {
			if _, ok := folderOf(p.ImportPath); ok {
				ours++
			}
		}
		if ours == 0 {
			t.Fatalf("go list -tags %q found no package of %s", tags, module)
		}
		for _, fault := range check(table, packages) {
			t.Errorf("tags %q: %s", tags, fault)
		}
	}
}

// TestTableHasNoCycle walks the table itself: imports point one way.
func TestTableHasNoCycle(t *testing.T) {
	const (
		unseen = iota
		open
		done
	)
	state := make(map[string]int)
	var visit func(r row, path []string)
	visit = func(r row, path []string) {
		path = append(path, r.folder)
		state[r.folder] = open
		for _, next := range table {
			if next.folder == r.folder || !matchesAny(r.ours, table, strings.TrimSuffix(next.folder, "/...")) {
				continue
			}
			switch state[next.folder] {
			case open:
				t.Errorf("a cycle: %s → %s", strings.Join(path, " → "), next.folder)
			case unseen:
				visit(next, slices.Clone(path))
			}
		}
		state[r.folder] = done
	}
	for _, r := range table {
		if state[r.folder] == unseen {
			visit(r, nil)
		}
	}
}

// TestTableNamesAFolderOnce keeps a second row from going unread.
func TestTableNamesAFolderOnce(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range table {
		if seen[r.folder] {
			t.Errorf("two rows for %s", r.folder)
		}
		seen[r.folder] = true
		for _, group := range slices.Concat(r.theirs, r.never) {
			if _, ok := bound[group]; !ok {
				t.Errorf("%s: unknown group %q", r.folder, group)
			}
		}
	}
}

// TestCheck feeds made-up packages: each rule must catch its breach, and let
// what is allowed pass.
func TestCheck(t *testing.T) {
	const (
		ggcr   = "github.com/google/go-containerregistry"
		cosign = "github.com/sigstore/cosign/v2/pkg/cosign"
	)
	tests := []struct {
		name string
		pkg  goPackage
		want string // part of the only fault; "" for none
	}{
		{
			name: "downwards",
			pkg:  goPackage{ImportPath: module + "/composefs/tree", Imports: []string{module + "/composefs/fsverity", "slices"}},
		},
		{
			name: "upwards",
			pkg:  goPackage{ImportPath: module + "/composefs/tree", Imports: []string{module + "/composefs/erofs"}},
			want: "composefs/tree imports composefs/erofs",
		},
		{
			name: "root from below",
			pkg:  goPackage{ImportPath: module + "/layers", Imports: []string{module}},
			want: "layers imports .",
		},
		{
			name: "composefs imports OCI",
			pkg:  goPackage{ImportPath: module + "/composefs/erofs", Imports: []string{ggcr + "/pkg/v1"}},
			want: `(group "ggcr v1"), which its row does not allow`,
		},
		{
			name: "composefs links OCI through a library",
			pkg:  goPackage{ImportPath: module + "/composefs/erofs", Deps: []string{"github.com/opencontainers/go-digest"}},
			want: "composefs/erofs links github.com/opencontainers/go-digest",
		},
		{
			name: "composefs' tests import OCI",
			pkg:  goPackage{ImportPath: module + "/composefs/erofs", XTestImports: []string{ggcr + "/pkg/v1/remote"}},
			want: "composefs/erofs imports in its tests",
		},
		{
			name: "layers imports v1",
			pkg:  goPackage{ImportPath: module + "/layers", Imports: []string{ggcr + "/pkg/v1", ggcr + "/pkg/v1/types"}},
		},
		{
			name: "layers imports a transport",
			pkg:  goPackage{ImportPath: module + "/layers", Imports: []string{ggcr + "/pkg/v1/remote"}},
			want: `(group "ggcr")`,
		},
		{
			name: "cosign in its leaf",
			pkg:  goPackage{ImportPath: module + "/sign/cosign", Imports: []string{cosign}, Deps: []string{cosign}},
		},
		{
			name: "cosign elsewhere",
			pkg:  goPackage{ImportPath: module + "/cmd/cfs-label", Imports: []string{cosign}, Deps: []string{cosign}},
			want: "cmd/cfs-label imports " + cosign,
		},
		{
			name: "cosign linked by the root",
			pkg:  goPackage{ImportPath: module, Deps: []string{cosign}},
			want: ". links " + cosign,
		},
		{
			name: "a cloud linked through cosign",
			pkg:  goPackage{ImportPath: module + "/sign/cosign", Deps: []string{cosign, "github.com/aws/aws-sdk-go-v2/service/kms"}},
			want: "sign/cosign links github.com/aws/aws-sdk-go-v2/service/kms",
		},
		{
			name: "a cloud linked by the command",
			pkg:  goPackage{ImportPath: module + "/cmd/cfs-label", Deps: []string{cosign, "cloud.google.com/go/kms/apiv1"}},
			want: "cmd/cfs-label links cloud.google.com/go/kms/apiv1",
		},
		{
			name: "a key store imported",
			pkg:  goPackage{ImportPath: module + "/sign/cosign", Imports: []string{"github.com/sigstore/sigstore/pkg/signature/kms/hashivault"}},
			want: `(group "cloud"), which its row does not allow`,
		},
		{
			name: "the protocol of key stores",
			pkg:  goPackage{ImportPath: module + "/sign/cosign", Imports: []string{"github.com/sigstore/sigstore/pkg/signature/kms"}},
		},
		{
			name: "the demo's registry",
			pkg:  goPackage{ImportPath: module + "/cmd/cfs-label", Imports: []string{ggcr + "/pkg/registry"}},
		},
		{
			name: "a registry in remote",
			pkg:  goPackage{ImportPath: module + "/remote", Imports: []string{ggcr + "/pkg/registry"}},
			want: `(group "ggcr registry")`,
		},
		{
			name: "a registry in remote's tests",
			pkg:  goPackage{ImportPath: module + "/remote", TestImports: []string{ggcr + "/pkg/registry", "testing"}},
		},
		{
			name: "a registry in the root's tests",
			pkg:  goPackage{ImportPath: module, XTestImports: []string{ggcr + "/pkg/registry"}},
		},
		{
			name: "testing in code that ships",
			pkg:  goPackage{ImportPath: module + "/image", Imports: []string{"net/http/httptest"}},
			want: `(group "testing")`,
		},
		{
			name: "the test kit in code that ships",
			pkg:  goPackage{ImportPath: module + "/image", Imports: []string{module + "/internal/oracle"}},
			want: "image imports internal/oracle",
		},
		{
			name: "mutate",
			pkg:  goPackage{ImportPath: module + "/remote", Imports: []string{ggcr + "/pkg/v1/mutate"}},
			want: `(group "ggcr mutate")`,
		},
		{
			name: "unknown folder",
			pkg:  goPackage{ImportPath: module + "/helpers"},
			want: "helpers: no row",
		},
		{
			name: "unknown folder below a known one",
			pkg:  goPackage{ImportPath: module + "/image/helpers"},
			want: "image/helpers: no row",
		},
		{
			name: "another module with our prefix",
			pkg:  goPackage{ImportPath: module + "-other/x", Imports: []string{cosign}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			faults := check(table, []goPackage{test.pkg})
			switch {
			case test.want == "" && len(faults) != 0:
				t.Errorf("unexpected faults: %q", faults)
			case test.want != "" && (len(faults) != 1 || !strings.Contains(faults[0], test.want)):
				t.Errorf("faults %q, want one with %q", faults, test.want)
			}
		})
	}
}

// listPackages returns what go list says of the module's packages and all that
// they import.
func listPackages(t *testing.T, tags string) []goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tags,
		"-json=ImportPath,Imports,TestImports,XTestImports,Deps", module+"/...")
	command.Dir = "../.."
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []goPackage
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var p goPackage
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages
		case err != nil:
			t.Fatalf("go list's output: %v", err)
		}
		packages = append(packages, p)
	}
}
