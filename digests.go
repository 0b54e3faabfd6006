// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"cmp"
	"context"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/image"
)

// Digest is a composefs digest and what it is of.
type Digest struct {
	Role   image.Role
	Format erofs.Format
	Xattrs transform.Xattrs
	Digest fsverity.Digest
}

// combination is what a digest can be asked for by.
type combination struct {
	role      image.Role
	xattrs    transform.Xattrs
	format    erofs.Format
	algorithm fsverity.Algorithm
}

// combinations lists what is asked for, in the order of roles, xattr modes,
// formats, algorithms. The first is what a label says.
func (o *Options) combinations() []combination {
	var list []combination
	for _, role := range o.roles() {
		for _, mode := range o.Xattrs {
			for _, format := range o.Formats {
				for _, alg := range o.Algorithms {
					list = append(list, combination{role, mode, format, alg})
				}
			}
		}
	}
	return list
}

// roles are those of the digests that are asked for, the plain one first.
func (o *Options) roles() []image.Role {
	if o.Bootable {
		return []image.Role{image.RoleMerged, image.RoleMergedBootable}
	}
	return []image.Role{image.RoleMerged}
}

// system is a root file system of which digests are computed: what an image's
// layers give together, or a directory.
type system struct {
	tree *tree.Tree
	// asIs tells that the OCI transform is not applied.
	asIs bool
	// readPolicy reads what policy needs and is not there yet; nil: nothing is.
	readPolicy func(context.Context) error
	// policy returns the SELinux policy that the tree brings along, nil if none.
	// Its error says why hosts refuse to boot it, or which limit of ours it is over.
	policy func(*tree.Tree) (*selinux.Policy, error)
}

// digestsOf computes what the options ask for.
func (s *system) digestsOf(ctx context.Context, o *Options) ([]Digest, error) {
	o.Progress.Step("computing digests")
	wanted := o.combinations()
	found, unbootable, err := s.compute(ctx, wanted)
	if err == nil && unbootable != nil {
		err = asUnbootable(unbootable)
	}
	if err != nil {
		return nil, err
	}
	return digestList(wanted, found), nil
}

// digestList returns the digests of the combinations that there are.
func digestList(wanted []combination, found map[combination]fsverity.Digest) []Digest {
	var digests []Digest
	for _, c := range wanted {
		if d, ok := found[c]; ok {
			digests = append(digests, Digest{Role: c.role, Format: c.format, Xattrs: c.xattrs, Digest: d})
		}
	}
	return digests
}

// compute computes digests. unbootable is why there are no bootable ones; then
// there are the others. The tree is changed, and is of no use afterwards.
func (s *system) compute(ctx context.Context, wanted []combination) (found map[combination]fsverity.Digest, unbootable, err error) {
	found = map[combination]fsverity.Digest{}
	modes := func(role image.Role) []transform.Xattrs {
		var list []transform.Xattrs
		for _, c := range wanted {
			if c.role == role {
				list = append(list, c.xattrs)
			}
		}
		// A wider mode comes first: what it keeps, a narrower one can still drop.
		slices.SortFunc(list, func(a, b transform.Xattrs) int { return cmp.Compare(b, a) })
		return slices.Compact(list)
	}
	plain, bootable := modes(image.RoleMerged), modes(image.RoleMergedBootable)
	if err := s.oci(slices.Max(append(slices.Clone(plain), bootable...))); err != nil {
		return nil, nil, err
	}
	restore := s.tree.SaveXattrs()
	for _, mode := range plain {
		if err := s.oci(mode); err != nil {
			return nil, nil, err
		}
		if err := s.digest(ctx, image.RoleMerged, mode, wanted, found); err != nil {
			return nil, nil, err
		}
	}
	if len(bootable) == 0 {
		return found, nil, nil
	}
	restore()
	if err := s.ready(ctx); err != nil {
		return nil, nil, err
	}
	if err := s.boot(); err != nil {
		return found, err, nil
	}
	for _, mode := range bootable {
		s.filterBootable(mode)
		if err := s.digest(ctx, image.RoleMergedBootable, mode, wanted, found); err != nil {
			return nil, nil, err
		}
	}
	return found, nil, nil
}

// oci applies the OCI transform.
func (s *system) oci(mode transform.Xattrs) error {
	if s.asIs {
		return nil
	}
	return transform.OCI(s.tree, mode)
}

// ready makes boot possible.
func (s *system) ready(ctx context.Context) error {
	if s.readPolicy == nil {
		return nil
	}
	return s.readPolicy(ctx)
}

// boot applies the boot transform, after ready. Its error says why hosts refuse to boot it.
func (s *system) boot() error {
	policy, err := s.policy(s.tree)
	if err != nil {
		return err
	}
	return transform.Boot(s.tree, policy)
}

// filterBootable narrows the attributes of a tree that was labeled.
func (s *system) filterBootable(mode transform.Xattrs) {
	if !s.asIs {
		s.tree.FilterXattrs(mode.KeepsBootable)
	}
}

// digest computes the wanted digests of a role in an xattr mode, of the tree as
// it is.
func (s *system) digest(ctx context.Context, role image.Role, mode transform.Xattrs, wanted []combination, found map[combination]fsverity.Digest) error {
	checked, err := s.tree.Check()
	if err != nil {
		return err
	}
	defer func() { s.tree = checked.Thaw() }()
	of := slices.DeleteFunc(slices.Clone(wanted), func(c combination) bool { return c.role != role || c.xattrs != mode })
	digests := make([]fsverity.Digest, len(of))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range of {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			var err error
			digests[i], err = erofs.Digest(checked, erofs.Options{Format: c.format, Algorithm: c.algorithm})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, c := range of {
		found[c] = digests[i]
	}
	return nil
}

// checked returns the tree as a host sees it, in the first of the options' xattr
// modes.
func (s *system) checked(o *Options) (*tree.Checked, error) {
	if err := s.oci(o.Xattrs[0]); err != nil {
		return nil, err
	}
	if o.Bootable {
		if err := s.boot(); err != nil {
			return nil, asUnbootable(err)
		}
		s.filterBootable(o.Xattrs[0])
	}
	return s.tree.Check()
}
