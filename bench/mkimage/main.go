// SPDX-License-Identifier: Apache-2.0

// Command mkimage makes an image of six layers from what the machine has: its
// programs, documentation, libraries and toolchains. It writes two OCI layouts
// of it, one with gzip layers and one with zstd layers.
//
//	mkimage -out DIR [-max MB]     makes DIR/gzip and DIR/zstd, tag latest
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// A source is a directory of the machine and where its files go in the image.
type source struct {
	from string // may be a glob pattern
	to   string // the directory it goes to, without leading slash; "" is the one it is in
}

// A plan is what goes into a layer.
type plan struct {
	name      string
	sources   []source
	skip      []string // directories left for other layers
	whiteouts []string
}

// plans are the layers, oldest first. The toolchains are optional: a machine
// without one has a smaller image.
func plans() []plan {
	home, _ := os.UserHomeDir()
	rustup := os.Getenv("RUSTUP_HOME")
	if rustup == "" {
		rustup = filepath.Join(home, ".rustup")
	}
	languages := []string{"/usr/lib/gcc", "/usr/lib/python3", "/usr/lib/python3.*", "/usr/lib/node_modules"}
	return []plan{
		{name: "programs", sources: []source{{from: "/usr/bin"}, {from: "/usr/sbin"}}},
		{name: "documentation", sources: []source{{from: "/usr/share"}}},
		{name: "libraries", sources: []source{{from: "/usr/lib"}, {from: "/usr/libexec"}}, skip: languages},
		{name: "Go", sources: []source{{from: runtime.GOROOT(), to: "usr/local"}}}, //nolint:staticcheck // the tree of this machine is what is wanted
		{name: "languages", sources: []source{
			{from: languages[0]},
			{from: languages[1]},
			{from: languages[2]},
			{from: languages[3]},
			{from: filepath.Join(rustup, "toolchains", "*"), to: "usr/local/rust"},
		}},
		{
			name:      "configuration",
			sources:   []source{{from: "/etc/alternatives"}, {from: "/etc/ssl"}, {from: "/usr/include"}},
			whiteouts: []string{"usr/share/doc", "usr/share/man"},
		},
	}
}

func main() {
	out := flag.String("out", "", "directory to make the layouts in")
	maximum := flag.Int64("max", 1800, "size at which the image is large enough, in 1e6 bytes before compression")
	flag.Parse()
	if err := run(*out, *maximum*1e6); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

// run makes the layers, as many at once as there are CPUs.
func run(out string, maximum int64) error {
	if out == "" {
		return errors.New("where to? give -out")
	}
	var images [codecs]layout
	for c := range codec(codecs) {
		images[c].dir = filepath.Join(out, c.String())
		if err := os.MkdirAll(images[c].blobs(), 0o755); err != nil {
			return err
		}
	}
	todo := plans()
	made := make([]layer, len(todo))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range todo {
		group.Go(func() error {
			l, err := makeLayer(p, &images, maximum/5)
			if err != nil {
				return fmt.Errorf("layer %s: %w", p.name, err)
			}
			made[i] = l
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var total, files int64
	for i, l := range made {
		fmt.Fprintf(os.Stderr, "%-14s %6d MB, %6d files\n", todo[i].name, l.size/1e6, l.files)
		total, files = total+l.size, files+l.files
	}
	for c := range images {
		if err := images[c].finish(codec(c), made); err != nil {
			return err
		}
	}
	fmt.Printf("%d %d %d\n", total, files, len(made))
	return nil
}

// matches returns the directories that the pattern names; what is a link there
// is another one's other name.
func (s source) matches() ([]string, error) {
	found, err := filepath.Glob(s.from)
	return slices.DeleteFunc(found, func(path string) bool {
		info, err := os.Lstat(path)
		return err != nil || !info.IsDir()
	}), err
}

// place returns the name that a file below root has in the image.
func (s source) place(root, path string) string {
	if s.to == "" {
		return strings.TrimPrefix(path, "/")
	}
	return s.to + strings.TrimPrefix(path, filepath.Dir(root))
}
