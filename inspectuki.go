// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/remote"
)

// lookInside reads the layers of the images that were found, and adds their UKIs.
// What is wrong with an image is told of it alone.
func (in *inspecting) lookInside(ctx context.Context, ref *remote.Ref, objects []Inspected) error {
	o := *in.options.Layers
	o.Algorithms = []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256}
	o.ukis = true
	o.fill()
	g, err := readGraph(ctx, ref, o.Platforms, true)
	if err != nil {
		return err
	}
	results, err := computeAll(ctx, asked(g.sources()), &o, true)
	if err != nil {
		return err
	}
	for i, r := range results {
		for j := range objects {
			if objects[j].Digest != g.images[i].descriptor.Digest || objects[j].Kind != KindImage {
				continue
			}
			objects[j].UKIErr = r.err
			for _, u := range r.ukis {
				objects[j].UKIs = append(objects[j].UKIs, *u)
			}
		}
	}
	return nil
}
