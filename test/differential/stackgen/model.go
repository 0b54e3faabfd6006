// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"maps"
	"slices"
	"strings"
)

// A node is a file of the model: what the generator believes the merged tree to
// be. It need not be exact; it keeps most of what is generated valid.
type node struct {
	children map[string]*node // nil but for a directory
	// whiteout tells a character device 0,0. It must have one name: the
	// reference refuses a second.
	whiteout bool
	regular  bool
}

func newDirectory() *node { return &node{children: make(map[string]*node)} }

func (n *node) isDirectory() bool { return n != nil && n.children != nil }

// lookup returns the node of a path without leading slash; "" is n itself.
func (n *node) lookup(path string) *node {
	for path != "" && n.isDirectory() {
		var name string
		name, path, _ = strings.Cut(path, "/")
		n = n.children[name]
	}
	if path != "" {
		return nil
	}
	return n
}

// split returns the directory of a path and the name in it.
func (n *node) split(path string) (directory *node, name string) {
	parent, name := splitPath(path)
	return n.lookup(parent), name
}

// mkdir makes the directory, or keeps it if it is there.
func (n *node) mkdir(path string) {
	directory, name := n.split(path)
	if directory.isDirectory() && !directory.children[name].isDirectory() {
		directory.children[name] = newDirectory()
	}
}

// put puts what e is at the path, in place of whatever is there.
func (n *node) put(path string, e *Entry) {
	if directory, name := n.split(path); directory.isDirectory() {
		directory.children[name] = &node{whiteout: e.Type == TypeChar && e.Major == 0 && e.Minor == 0, regular: e.hasContent()}
	}
}

// link gives what is at the target a name more, in place of whatever is there.
func (n *node) link(path, target string) {
	if directory, name := n.split(path); directory.isDirectory() {
		directory.children[name] = n.lookup(target)
	}
}

// isRegular reports whether the path is that of a regular file.
func (n *node) isRegular(path string) bool {
	found := n.lookup(path)
	return found != nil && found.regular
}

// remove removes the path.
func (n *node) remove(path string) {
	if directory, name := n.split(path); directory.isDirectory() {
		delete(directory.children, name)
	}
}

// paths returns the paths below n that are directories, or that are not, in
// order. The root, "", is one of the directories.
func (n *node) paths(directories bool) []string {
	var found []string
	var walk func(n *node, path string)
	walk = func(n *node, path string) {
		if n.isDirectory() == directories {
			found = append(found, path)
		}
		for _, name := range slices.Sorted(maps.Keys(n.children)) {
			walk(n.children[name], join(path, name))
		}
	}
	walk(n, "")
	return found
}

// join joins a directory and a name.
func join(directory, name string) string {
	if directory == "" {
		return name
	}
	return directory + "/" + name
}

// splitPath splits off the last name.
func splitPath(path string) (directory, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}
