// SPDX-License-Identifier: Apache-2.0

package dumpfile_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

func ExampleWrite() {
	t := tree.New(fsverity.SHA256)
	t.SetMeta(tree.Root, tree.Meta{Mode: 0o755})
	etc := t.NewDirectory(tree.Meta{Mode: 0o755})
	t.Link(tree.Root, []byte("etc"), etc)
	issue := t.NewInline(tree.Meta{Mode: 0o644, MtimeSec: 1700000000}, []byte("Hello, world!\n"))
	t.Link(etc, []byte("issue"), issue)
	t.Link(etc, []byte("issue.net"), issue)

	c, err := t.Check()
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := dumpfile.Write(os.Stdout, c, fsverity.SHA256); err != nil {
		fmt.Println(err)
	}
	// Output:
	// / 0 40755 3 0 0 0 0.0 - - -
	// /etc 0 40755 2 0 0 0 0.0 - - -
	// /etc/issue 14 100644 2 0 0 0 1700000000.0 - Hello,\x20world!\n -
	// /etc/issue.net 0 @120000 - - - - 0.0 /etc/issue - -
}

func ExampleRead() {
	const dump = `/ 0 40755 2 0 0 0 0.0 - - -
/motd 3 100644 1 0 0 0 1700000000.0 - Hi\n - user.lang=en
/link 4 120777 1 0 0 0 1700000000.0 motd - -
`
	t, err := dumpfile.Read(strings.NewReader(dump), fsverity.SHA256)
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := t.Check()
	if err != nil {
		fmt.Println(err)
		return
	}
	for step := range c.Walk() {
		fmt.Printf("%s is a %s: %q\n", step.Path(), c.Kind(step.Ino), c.Data(step.Ino))
	}

	_, err = dumpfile.Read(strings.NewReader(dump+"/a/b 0 40755 2 0 0 0 0.0 - - -\n"), fsverity.SHA256)
	fmt.Println(err)
	// Output:
	// /link is a symlink: "motd"
	// /motd is a regular file: "Hi\n"
	// dumpfile: line 4: "/a/b": the parent directory is not listed before
}
