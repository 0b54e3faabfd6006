// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// SELinuxXattr is the attribute that Boot sets or removes.
const SELinuxXattr = "security.selinux"

// KeepsBootable is Keeps for a tree that Boot has labeled.
func (x Xattrs) KeepsBootable(name string) bool { return name == SELinuxXattr || x.Keeps(name) }

// Content returns what a regular file holds whose content is not in the tree.
// The path is one that the file is read by.
type Content func(path string, file tree.Ino) ([]byte, error)

// emptied are the directories that a bootable image needs and that hosts see
// empty: what holds the digest cannot be in what it is a digest of.
var emptied = [...]string{"boot", "sysroot"}

// Boot applies the transform of bootable images, after OCI or without it:
//
//   - /boot and /sysroot are emptied and take the time of /usr;
//   - every inode gets the label that the policy has for it, and loses its own
//     where the policy has none. Names of one inode that get different labels
//     become inodes of their own;
//   - without a policy (nil) every inode loses its label.
//
// The policy is the image's own: what Policy returns, or what selinux.Parse
// reads of a directory on disk. What stands in /boot and /sysroot is lost, so
// BootEntries comes before.
//
// With an error the tree is as it was, but for /boot and /sysroot if it was
// the work of finding labels that got too much.
//
// To narrow the xattr mode afterwards, filter with KeepsBootable: OCI would
// take the labels away.
func Boot(t *tree.Tree, policy *selinux.Policy) error {
	usr, err := topDirectory(t, "usr")
	if err != nil {
		return ErrNoUsr
	}
	var dirs []tree.Ino
	for _, name := range emptied {
		dir, err := topDirectory(t, name)
		if err != nil {
			return err
		}
		dirs = append(dirs, dir)
	}
	meta := t.Meta(usr)
	for _, dir := range dirs {
		m := t.Meta(dir)
		m.MtimeSec, m.MtimeNsec = meta.MtimeSec, meta.MtimeNsec
		t.SetMeta(dir, m)
		t.Clear(dir)
	}
	if policy == nil {
		t.FilterXattrs(func(name string) bool { return name != SELinuxXattr })
		return nil
	}
	return label(t, policy)
}

func topDirectory(t *tree.Tree, name string) (tree.Ino, error) {
	dir, ok := t.Lookup(tree.Root, []byte(name))
	switch {
	case !ok:
		return 0, fmt.Errorf("the image has no directory /%s, and hosts refuse to boot it then; add an empty one", name)
	case t.Kind(dir) != tree.Directory:
		return 0, fmt.Errorf("/%s is a %s, and hosts refuse to boot an image where it is not a directory; make it one", name, t.Kind(dir))
	}
	return dir, nil
}

// Policy reads the SELinux policy that a container image brings along, and
// returns nil if it has none: no /etc/selinux/config, or one that names no
// SELINUXTYPE. Symbolic links on the way to its files are errors, as for hosts;
// of a directory on disk hosts read the policy otherwise, and follow them.
func Policy(t *tree.Tree, content Content) (*selinux.Policy, error) {
	r := fileReader{t, content}
	dir, found, err := lookupDir(t, tree.Root, "etc/selinux")
	if err != nil || !found {
		return nil, err
	}
	config, found, err := r.file(dir, "/etc/selinux", "config")
	if err != nil || !found {
		return nil, err
	}
	name, ok, err := selinux.Type(config)
	if err != nil || !ok {
		return nil, err
	}
	// Hosts look for the name and then for what is in it: each is a path of its
	// own, and an empty name is /etc/selinux itself.
	path := "/etc/selinux/" + name
	for _, part := range []string{name, "contexts/files"} {
		if dir, found, err = lookupDir(t, dir, part); err != nil {
			return nil, fmt.Errorf("/etc/selinux/config names the policy %q: %w", name, err)
		} else if !found {
			return nil, fmt.Errorf("/etc/selinux/config names the policy %q, but there is no directory %q, and hosts refuse to boot the image; install the policy, or remove the line SELINUXTYPE", name, path+"/contexts/files")
		}
	}
	return selinux.Parse(func(name string) ([]byte, bool, error) {
		return r.file(dir, path+"/contexts/files", name)
	})
}

var errDots = errors.New(`a path cannot begin with "." or have a ".." in it here`)

// lookupDir finds a directory as hosts do in their tree: no links are
// followed, and a slash at the beginning means nothing.
func lookupDir(t files, dir tree.Ino, path string) (tree.Ino, bool, error) {
	for i, name := range strings.Split(path, "/") {
		if name == "" || name == "." && i > 0 {
			continue
		}
		if name == "." || name == ".." {
			return 0, false, errDots
		}
		var ok bool
		if dir, ok = t.Lookup(dir, []byte(name)); !ok {
			return 0, false, nil
		}
		if t.Kind(dir) != tree.Directory {
			return 0, false, fmt.Errorf("%q of %q is a %s, and hosts want a directory there", name, path, t.Kind(dir))
		}
	}
	return dir, true, nil
}

// files is what a Tree and a Checked have in common, as far as it is needed.
type files interface {
	Lookup(dir tree.Ino, name []byte) (tree.Ino, bool)
	Kind(ino tree.Ino) tree.Kind
	Storage(ino tree.Ino) tree.Storage
	Data(ino tree.Ino) []byte
}

type fileReader struct {
	files   files
	content Content
}

// file returns what the file in the directory holds, and false if there is
// none.
func (r fileReader) file(dir tree.Ino, at, name string) (data []byte, found bool, err error) {
	ino, ok := r.files.Lookup(dir, []byte(name))
	if !ok {
		return nil, false, nil
	}
	path := at + "/" + name
	if kind := r.files.Kind(ino); kind != tree.Regular {
		return nil, false, fmt.Errorf("%q is a %s, and hosts want a regular file there", path, kind)
	}
	return r.read(path, ino)
}

// read returns what a regular file holds, and false for a sparse one.
func (r fileReader) read(path string, ino tree.Ino) (data []byte, found bool, err error) {
	switch r.files.Storage(ino) {
	case tree.Inline:
		return r.files.Data(ino), true, nil
	case tree.Sparse:
		return nil, false, nil
	default:
		if data, err = r.content(path, ino); err != nil {
			return nil, false, fmt.Errorf("%q: %w", path, err)
		}
		return data, true, nil
	}
}
