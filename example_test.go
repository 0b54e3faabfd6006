// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"context"
	"fmt"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/remote"
)

func ExampleCompute() {
	ctx := context.Background()
	ref, err := remote.Open(ctx, "oci:testdata/conformance/minimal/oci:latest", remote.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	images, err := cfslabel.Compute(ctx, ref, cfslabel.Options{
		Formats:    []erofs.Format{erofs.V1, erofs.V2},
		Algorithms: []fsverity.Algorithm{fsverity.SHA256},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, img := range images {
		for _, d := range img.Digests {
			fmt.Println(img.Platform, d.Role, d.Format, d.Digest)
		}
	}
	// Output:
	// linux/amd64 merged v1 5e84a5851ac732c32f8edd6f7c7ddfc739735e9b23456e823250da04a8e15ff0
	// linux/amd64 merged v2 8e951c46fb76c5c31f47557c16baf75c0b17ee5bf6cf92f355340b04ff191806
}
