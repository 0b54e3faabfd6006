// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/scan"
	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Links on the way to a policy.
var (
	errLeaves = errors.New("this path leads out of the directory: cfsctl would take the policy of the machine that computes for that of the image, and hosts that pull the image refuse it; make the policy's files regular files, in directories that are no links")
	errLinks  = errors.New("too many links")
)

// linksMax is how many links Linux follows on one path (MAXSYMLINKS,
// linux/include/linux/namei.h).
const linksMax = 40

// policyFiles reads the SELinux policy of a directory that was read into a tree.
// The reference opens its files by path (composefs-boot, selabel_from_dir), so
// links count; they are followed in the tree, and so never lead to a file of the
// machine that computes.
type policyFiles struct {
	dir  string
	tree *tree.Tree
	warn func(string)

	links int // that were followed on the path
}

// policy returns the policy, and nil if there is none: no /etc/selinux/config, or
// one that names no SELINUXTYPE.
func (p *policyFiles) policy() (*selinux.Policy, error) {
	top, err := p.find(place{{ino: tree.Root}}, "etc/selinux")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	config, found, err := p.file(top, "config")
	if err != nil || !found {
		return nil, err
	}
	name, ok, err := selinux.Type(config)
	if err != nil || !ok {
		return nil, err
	}
	policy, err := selinux.Parse(func(file string) ([]byte, bool, error) {
		return p.file(top, name+"/contexts/files/"+file)
	})
	if err != nil {
		return nil, fmt.Errorf("/etc/selinux/config names the policy %q: %w", name, err)
	}
	return policy, nil
}

// place is an inode, with all the directories above it from the root on.
type place []step

type step struct {
	ino  tree.Ino
	name string
}

func (p place) ino() tree.Ino { return p[len(p)-1].ino }

// String returns the path, without a slash in front.
func (p place) String() string {
	names := make([]string, len(p)-1)
	for i, step := range p[1:] {
		names[i] = step.name
	}
	return strings.Join(names, "/")
}

// find goes a path from a directory, as open does in a directory that is the
// whole world. Its error is fs.ErrNotExist if nothing is there.
func (p *policyFiles) find(from place, path string) (place, error) {
	p.links = 0
	at, err := p.walk(from, path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%q, from /%s on: %w", path, from, err)
	case p.links > 0:
		p.warn(fmt.Sprintf("the SELinux policy is reached by a symbolic link (/%s/%s); hosts that pull the image do not follow it, and refuse the image: put the file in its place", from, path))
	}
	return at, err
}

func (p *policyFiles) walk(at place, path string) (place, error) {
	if strings.HasPrefix(path, "/") {
		return nil, errLeaves
	}
	if path == "" {
		return nil, fs.ErrNotExist // a link to nothing
	}
	for name := range strings.SplitSeq(path, "/") {
		if kind := p.tree.Kind(at.ino()); kind != tree.Directory {
			return nil, fmt.Errorf("/%s is a %s, and a directory is wanted there", at, kind)
		}
		switch name {
		case "", ".":
			continue
		case "..":
			if len(at) == 1 {
				return nil, errLeaves
			}
			at = at[:len(at)-1]
			continue
		}
		ino, ok := p.tree.Lookup(at.ino(), []byte(name))
		if !ok {
			return nil, fs.ErrNotExist
		}
		if p.tree.Kind(ino) == tree.Symlink {
			if p.links++; p.links > linksMax {
				return nil, errLinks
			}
			var err error
			if at, err = p.walk(at, string(p.tree.Data(ino))); err != nil {
				return nil, err
			}
			continue
		}
		at = append(slices.Clip(at), step{ino, name})
	}
	return at, nil
}

// file returns what the file holds, and false if there is none.
func (p *policyFiles) file(dir place, path string) (data []byte, found bool, err error) {
	at, err := p.find(dir, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	ino := at.ino()
	if kind := p.tree.Kind(ino); kind != tree.Regular {
		return nil, false, fmt.Errorf("/%s is a %s, and a regular file is wanted there", at, kind)
	}
	if p.tree.Storage(ino) == tree.Inline {
		return p.tree.Data(ino), true, nil
	}
	if data, err = scan.File(p.dir, at.String(), selinux.MaxFile); err != nil {
		return nil, false, err
	}
	if !p.hashed(ino, data) {
		return nil, false, &scan.Error{Path: strings.TrimRight(p.dir, "/") + "/" + at.String(), Err: scan.ErrChanged}
	}
	return data, true, nil
}

// hashed reports whether data is what the tree has the digests of.
func (p *policyFiles) hashed(ino tree.Ino, data []byte) bool {
	object, ok := p.tree.Object(ino)
	if !ok {
		return false
	}
	for _, alg := range p.tree.Algorithms() {
		sum := fsverity.Sum(alg, data)
		if !bytes.Equal(sum.Bytes(), p.tree.Sum(object, alg)) {
			return false
		}
	}
	return true
}
