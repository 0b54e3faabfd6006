// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// TestSetSignature: a signature of one byte up to the limit is set beside the
// digest of its role; one of no bytes, one that is larger, and one of the manifest,
// which cannot be in it, are refused, and nothing is set.
func TestSetSignature(t *testing.T) {
	for name, tc := range map[string]struct {
		role image.Role
		size int
		err  error
	}{
		"merged":     {image.RoleMerged, 1, nil},
		"config":     {image.RoleConfig, 1, nil},
		"largest":    {image.RoleMerged, image.MaxSignatureSize, nil},
		"too large":  {image.RoleMerged, image.MaxSignatureSize + 1, image.ErrTooLarge},
		"no bytes":   {image.RoleMerged, 0, image.ErrSize},
		"a manifest": {image.RoleManifest, 1, image.ErrEdit},
	} {
		t.Run(name, func(t *testing.T) {
			var edit image.ManifestEdit
			der := bytes.Repeat([]byte("S"), tc.size)
			err := edit.SetSignature(tc.role, fsverity.SHA512, der)
			set := slices.Concat(edit.Annotations, edit.ConfigAnnotations)
			if tc.err != nil {
				if !errors.Is(err, tc.err) || !errors.Is(err, image.ErrEdit) || len(set) != 0 {
					t.Errorf("got %v, set is %v", err, set)
				}
				return
			}
			want := image.KV{Key: image.SignatureKey(tc.role, fsverity.SHA512), Value: base64.StdEncoding.EncodeToString(der)}
			if err != nil || len(set) != 1 || set[0] != want {
				t.Errorf("got %v, set is %v", err, set)
			}
			if onConfig := len(edit.ConfigAnnotations) == 1; onConfig != (tc.role == image.RoleConfig) {
				t.Errorf("it is on the config: %t", onConfig)
			}
		})
	}
}
