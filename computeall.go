// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/layers"
)

// ErrUnbootable is what an image gives that has no bootable digest, because hosts
// refuse to boot it.
var ErrUnbootable = errors.New("no bootable digest")

// toCompute is an image of which digests are to be computed.
type toCompute struct {
	*Source
	// mayBoot asks for the bootable digests, too, if there are any.
	mayBoot bool
}

// asked is for images of which just what the options say is computed.
func asked(sources []*Source) []toCompute {
	list := make([]toCompute, len(sources))
	for i, s := range sources {
		list[i].Source = s
	}
	return list
}

// result is what came of an image: digests, or an error.
type result struct {
	digests []Digest
	ukis    []*UKI
	// unbootable is why there are no bootable digests though they were asked for
	// by toCompute.mayBoot, or by a UKI: an ErrUnbootable, or a limit of ours.
	unbootable error
	err        error
}

// computeAll computes the digests of several images at once, in which a layer
// that several have is read once. With skip, an image that cannot be sealed gives
// a result that says why; else the first error ends all.
func computeAll(ctx context.Context, images []toCompute, o *Options, skip bool) ([]result, error) {
	if len(images) == 0 {
		return nil, nil
	}
	results := make([]result, len(images))
	lists := make([][]layers.Layer, len(images))
	sources := make([]*Source, len(images))
	take := func(i int, err error) error {
		if skip && isUnsealable(err) {
			results[i] = result{err: err}
			return nil
		}
		return images[i].place(len(images), err)
	}
	for i, s := range images {
		sources[i] = s.Source
		var err error
		if lists[i], err = s.Layers(); err != nil {
			if err := take(i, err); err != nil {
				return nil, err
			}
		}
	}
	defer o.begin(sources, lists)()
	err := layers.FlattenAll(ctx, lists, o.layers(), func(i int, m *layers.Merged, err error) error {
		isRead := results[i].err == nil // else it has no layers here
		if isRead && err == nil {
			results[i], err = computeImage(ctx, images[i], m, o)
			o.Stats.add(m)
		}
		if isRead && err != nil {
			return take(i, err)
		}
		return nil
	})
	return results, err
}

// computeImage computes what is wanted of an image.
func computeImage(ctx context.Context, image toCompute, m *layers.Merged, o *Options) (r result, err error) {
	o.Progress.Step("computing digests")
	asked := *o
	asked.Bootable = o.Bootable || image.mayBoot
	wanted := asked.combinations()
	all := slices.Clone(wanted)
	s := imageSystem(m)
	if o.ukis {
		if err := m.ReadAgain(ctx, isUKI); err != nil {
			return r, err
		}
		if r.ukis, err = ukisOf(m, s); err != nil {
			return r, err
		}
		all = append(all, ukiCombinations(r.ukis, o.Algorithms)...)
	}
	found, unbootable, err := s.compute(ctx, all)
	if err != nil {
		return r, err
	}
	if unbootable != nil {
		r.unbootable = asUnbootable(unbootable)
		if o.Bootable {
			return r, r.unbootable
		}
	}
	r.digests = digestList(wanted, found)
	j := ukiJudge{found: found, unbootable: r.unbootable, algorithms: o.Algorithms}
	for _, texts := range []map[string]string{image.Config.Labels, image.Manifest.Annotations, image.Manifest.Config.Annotations} {
		j.said = slices.AppendSeq(j.said, maps.Values(texts))
	}
	j.judge(r.ukis)
	return r, nil
}

// asUnbootable says of an error of the boot transform that it is an ErrUnbootable,
// unless it says nothing of hosts.
func asUnbootable(err error) error {
	if errors.Is(err, selinux.ErrLimit) || errors.Is(err, errNotCaptured) {
		return fmt.Errorf("the bootable digest cannot be computed: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrUnbootable, err)
}
