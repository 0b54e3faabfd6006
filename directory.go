// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"fmt"

	"github.com/cfs-label/cfs-label/composefs/scan"
	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

// DirectoryOptions are Options for a directory on disk, which has no platforms,
// and what is to be known of it besides. Jobs is how many files are hashed at
// once; its default is GOMAXPROCS.
type DirectoryOptions struct {
	Options
	// CrossMounts reads what is mounted below the directory as a part of it.
	// Without it a mount point there is an error.
	CrossMounts bool
	// NoPropagate leaves the directory as it is: hosts give the root directory
	// the metadata of /usr, empty /run and filter extended attributes, and here
	// none of it is done (cfsctl's --no-propagate-usr-to-root). The options'
	// xattr modes do not count then.
	NoPropagate bool
	// WholeSeconds cuts all times to whole seconds, as builders do that write
	// layers: what they show to a stage has more of them than the layers will.
	WholeSeconds bool
	// Hashed, if not nil, is called with the number of bytes that have just been
	// hashed, from several goroutines.
	Hashed func(bytes int)
}

// ComputeDirectory computes the digests of the directory at path, which may be
// a symlink to it, as cfsctl compute-id does of a root file system that is
// mounted there. They are in the order of Image.Digests.
//
// A bootable digest takes the directory's own SELinux policy. Its files are
// read by what was hashed, and links on the way to them are followed as far as
// they stay in the directory, which is told: of an image's layers hosts follow
// none.
//
// What is wrong with a file or directory is a *scan.Error that names it.
func ComputeDirectory(ctx context.Context, path string, o DirectoryOptions) ([]Digest, error) {
	o.fill()
	s, err := o.read(ctx, path)
	if err != nil {
		return nil, err
	}
	digests, err := s.digestsOf(ctx, &o.Options)
	if err != nil {
		return nil, inDirectory(path, err)
	}
	return digests, nil
}

// DirectoryTree returns the tree of the directory at path as a host sees it. Of
// the options' xattr modes the first counts.
func DirectoryTree(ctx context.Context, path string, o DirectoryOptions) (*tree.Checked, error) {
	o.fill()
	s, err := o.read(ctx, path)
	if err != nil {
		return nil, err
	}
	c, err := s.checked(&o.Options)
	if err != nil {
		return nil, inDirectory(path, err)
	}
	return c, nil
}

// inDirectory says what directory an error is of that speaks of an image.
func inDirectory(path string, err error) error { return fmt.Errorf("%q: %w", path, err) }

// read reads the directory, and the policy that is in it.
func (o *DirectoryOptions) read(ctx context.Context, path string) (*system, error) {
	o.Progress.Step("reading " + path)
	t, err := scan.Dir(ctx, path, scan.Options{
		Algorithms:  o.Algorithms,
		Jobs:        o.Jobs,
		CrossMounts: o.CrossMounts,
		Progress:    o.Hashed,
	})
	if err != nil {
		return nil, err
	}
	o.Stats.addDirectory(t)
	if o.WholeSeconds {
		cutTimes(t)
	}
	s := &system{tree: t, asIs: o.NoPropagate}
	if o.Bootable {
		// It is looked for before the transforms, which empty directories: the
		// reference takes it from disk.
		policy, err := (&policyFiles{dir: path, tree: t, warn: o.Warn}).policy()
		s.policy = func(*tree.Tree) (*selinux.Policy, error) { return policy, err }
	}
	return s, nil
}

// cutTimes cuts the times of all inodes to whole seconds, towards the past.
func cutTimes(t *tree.Tree) {
	for ino := range tree.Ino(t.Inodes()) {
		m := t.Meta(ino)
		if m.MtimeNsec != 0 {
			m.MtimeNsec = 0
			t.SetMeta(ino, m)
		}
	}
}
