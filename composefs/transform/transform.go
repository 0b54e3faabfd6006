// SPDX-License-Identifier: Apache-2.0

// Package transform makes of a merged tree what a host makes of it before it
// computes a composefs digest, so that the same digest comes out of layers, of
// a directory, and on every machine.
package transform

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Xattrs says which extended attributes of a container image's files count.
// Build hosts leave others behind: SELinux labels, overlayfs marks.
type Xattrs uint8

const (
	// AllowlistOnly keeps security.capability and nothing else. Hosts do this.
	AllowlistOnly Xattrs = iota
	// KeepUserXattrs keeps the attributes of the user namespace, too.
	KeepUserXattrs
)

var xattrNames = [...]string{AllowlistOnly: "allowlist-only", KeepUserXattrs: "keep-user-xattrs"}

// String returns the mode's name in commands.
func (x Xattrs) String() string {
	if int(x) < len(xattrNames) {
		return xattrNames[x]
	}
	return fmt.Sprintf("Xattrs(%d)", uint8(x))
}

// ParseXattrs returns the mode of that name.
func ParseXattrs(name string) (Xattrs, error) {
	if i := slices.Index(xattrNames[:], name); i >= 0 {
		return Xattrs(i), nil
	}
	return 0, fmt.Errorf("transform: unknown xattr mode %q: use %s", name, strings.Join(xattrNames[:], " or "))
}

// Keeps reports whether the mode keeps attributes of that name.
func (x Xattrs) Keeps(name string) bool {
	return name == "security.capability" || x == KeepUserXattrs && strings.HasPrefix(name, "user.")
}

// The rules that an image can break.
var (
	ErrNoUsr     = errors.New("the image has no directory /usr, from which hosts take the owner, mode and time of the root directory: they refuse it; an image needs a /usr to be sealed")
	ErrRunNotDir = errors.New("/run is not a directory, and hosts refuse an image where it is something else; remove it or make it a directory")
)

// OCI applies the transform of container images:
//
//   - the root directory takes all its metadata from /usr, because a layer
//     need not have an entry for the root, and most runtimes ignore it;
//   - /run, where there is one, is emptied and takes the time of /usr: build
//     tools mount and write there;
//   - extended attributes are filtered.
//
// Applying it again with a narrower mode gives what the narrower mode would
// have given at once. Its errors say which rule the image breaks; the tree is
// then not changed.
func OCI(t *tree.Tree, xattrs Xattrs) error {
	usr, ok := t.Lookup(tree.Root, []byte("usr"))
	if !ok || t.Kind(usr) != tree.Directory {
		return ErrNoUsr
	}
	run, hasRun := t.Lookup(tree.Root, []byte("run"))
	if hasRun && t.Kind(run) != tree.Directory {
		return ErrRunNotDir
	}
	meta := t.Meta(usr)
	t.SetMeta(tree.Root, meta)
	if hasRun {
		m := t.Meta(run)
		m.MtimeSec, m.MtimeNsec = meta.MtimeSec, meta.MtimeNsec
		t.SetMeta(run, m)
		t.Clear(run)
	}
	t.FilterXattrs(xattrs.Keeps)
	return nil
}
