// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

// exampleDigest is what ExampleDigest prints; TestExample has cfsctl confirm
// it.
const exampleDigest = "4338f753acacc2c2ec136ad48a29ef787b195f28510e2d666c96f3eaea1ae4e2"

// exampleTree has a directory with a file that the image holds, and one of
// which it holds the digest.
func exampleTree() *tree.Tree {
	t := tree.New(fsverity.SHA256)
	t.SetMeta(tree.Root, tree.Meta{Mode: 0o755})
	etc := t.NewDirectory(tree.Meta{Mode: 0o755})
	t.Link(tree.Root, []byte("etc"), etc)
	t.Link(etc, []byte("hostname"), t.NewInline(tree.Meta{Mode: 0o644}, []byte("example\n")))
	content := []byte(strings.Repeat("127.0.0.1 localhost\n", 10))
	sum := fsverity.Sum(fsverity.SHA256, content)
	t.Link(etc, []byte("hosts"), t.NewExternal(tree.Meta{Mode: 0o644}, uint64(len(content)), sum.Bytes()))
	return t
}

func ExampleDigest() {
	c, err := exampleTree().Check()
	if err != nil {
		fmt.Println(err)
		return
	}
	digest, err := erofs.Digest(c, erofs.Options{Format: erofs.V1, Algorithm: fsverity.SHA256})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(digest)
	// Output:
	// 4338f753acacc2c2ec136ad48a29ef787b195f28510e2d666c96f3eaea1ae4e2
}

// TestExample: cfsctl computes the digest that the example prints.
func TestExample(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	dump := writeDump(t, check(t, exampleTree()), fsverity.SHA256)
	got := run(t, dump, cfsctl, "mkcomposefs", "--from-file", "--min-version=1", "--print-digest-only", "-")
	if strings.TrimSpace(got) != exampleDigest {
		t.Errorf("cfsctl says %s, the example %s", got, exampleDigest)
	}
}
