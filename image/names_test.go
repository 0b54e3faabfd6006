// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// TestAnnotationKeys are those of the sealing specification: EROFS images name
// their format, JSON texts have none, a signature's key is its digest's and
// ".sig".
func TestAnnotationKeys(t *testing.T) {
	for _, tc := range []struct {
		role image.Role
		alg  fsverity.Algorithm
		want string
	}{
		{image.RoleMerged, fsverity.SHA512, "composefs.merged.erofs.v1.fsverity-sha512-12"},
		{image.RoleMerged, fsverity.SHA256, "composefs.merged.erofs.v1.fsverity-sha256-12"},
		{image.RoleMergedBootable, fsverity.SHA512, "composefs.merged.bootable.erofs.v1.fsverity-sha512-12"},
		{image.RoleConfig, fsverity.SHA512, "composefs.config.fsverity-sha512-12"},
		{image.RoleManifest, fsverity.SHA256, "composefs.manifest.fsverity-sha256-12"},
	} {
		if got := image.AnnotationKey(tc.role, tc.alg); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
		if got := image.SignatureKey(tc.role, tc.alg); got != tc.want+".sig" {
			t.Errorf("got %s, want %s.sig", got, tc.want)
		}
		if !image.StaleAnnotation(tc.want) || !image.StaleAnnotation(tc.want+".sig") {
			t.Errorf("%s is not stale", tc.want)
		}
	}
}

// TestRoles are in the order of the sealing specification, and their names go
// both ways.
func TestRoles(t *testing.T) {
	var names []string
	for _, r := range image.Roles() {
		names = append(names, r.String())
		if back, err := image.ParseRole(r.String()); err != nil || back != r {
			t.Errorf("ParseRole(%s) = %s, %v", r, back, err)
		}
	}
	if want := []string{"manifest", "config", "merged", "merged.bootable"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	for _, bad := range []string{"", "layer", "Merged", "Role(9)"} {
		if _, err := image.ParseRole(bad); err == nil || !strings.Contains(err.Error(), "merged.bootable") {
			t.Errorf("ParseRole(%q): %v", bad, err)
		}
	}
	for _, r := range []image.Role{0, 9} {
		if !strings.HasPrefix(r.String(), "Role(") {
			t.Errorf("the name of no role is %s", r)
		}
	}
}

// TestStale: what a seal writes is stale in the next image, and nothing else is.
func TestStale(t *testing.T) {
	for key, want := range map[string]bool{
		image.LabelKey:              true,
		"containers.composefs.":     true,
		"containers.composefs.x":    true,
		"containers.composefs":      false,
		"containers.composefsx":     false,
		"Containers.composefs.x":    false,
		"io.containers.composefs.x": false,
		"composefs.merged.x":        false,
	} {
		if got := image.StaleLabel(key); got != want {
			t.Errorf("StaleLabel(%s) = %t", key, got)
		}
	}
	for key, want := range map[string]bool{
		"composefs.":                                   true,
		"composefs.config.fsverity-sha512-12":          true,
		"composefs.config.fsverity-sha512-16.sig":      true,
		"composefs.merged.erofs.v2.fsverity-sha512-12": true,
		"composefs.layers":                             true,
		"composefs.layer.erofs.v1.fsverity-sha512-12":  false,
		"composefs.layer.":                             false,
		"composefs":                                    false,
		"org.composefs.merged":                         false,
		image.LabelKey:                                 false,
		image.InputKey:                                 false,
		"COMPOSEFS.merged.erofs.v1.fsverity-sha512-12": false,
	} {
		if got := image.StaleAnnotation(key); got != want {
			t.Errorf("StaleAnnotation(%s) = %t", key, got)
		}
	}
}

// TestLayerType: each media type of a layer says how it is compressed, and
// whether the registry must have it.
func TestLayerType(t *testing.T) {
	for mediaType, want := range map[string]image.Layer{
		"application/vnd.oci.image.layer.v1.tar":                       {Compression: image.Uncompressed},
		"application/vnd.oci.image.layer.v1.tar+gzip":                  {Compression: image.Gzip},
		"application/vnd.oci.image.layer.v1.tar+zstd":                  {Compression: image.Zstd},
		"application/vnd.oci.image.layer.nondistributable.v1.tar":      {Compression: image.Uncompressed, Foreign: true},
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": {Compression: image.Gzip, Foreign: true},
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": {Compression: image.Zstd, Foreign: true},
		"application/vnd.docker.image.rootfs.diff.tar":                 {Compression: image.Uncompressed},
		"application/vnd.docker.image.rootfs.diff.tar.gzip":            {Compression: image.Gzip},
		"application/vnd.docker.image.rootfs.diff.tar.zstd":            {Compression: image.Zstd},
		"application/vnd.docker.image.rootfs.foreign.diff.tar":         {Compression: image.Uncompressed, Foreign: true},
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    {Compression: image.Gzip, Foreign: true},
	} {
		if got, err := image.LayerType(mediaType); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", mediaType, got, err)
		}
	}
	for mediaType, want := range map[string]error{
		"application/vnd.oci.image.layer.v1.tar+gzip+encrypted": image.ErrEncrypted,
		"application/vnd.oci.image.layer.v1.tar+encrypted":      image.ErrEncrypted,
		"application/vnd.oci.image.layer.v1.tar+xz":             image.ErrUnknownLayer,
		"application/vnd.in-toto+json":                          image.ErrUnknownLayer,
		"APPLICATION/VND.OCI.IMAGE.LAYER.V1.TAR":                image.ErrUnknownLayer,
		"":                                                      image.ErrUnknownLayer,
	} {
		got, err := image.LayerType(mediaType)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), `"`+mediaType+`"`) || got != (image.Layer{}) {
			t.Errorf("%s: got %+v, %v, want %v", mediaType, got, err, want)
		}
	}
}

// TestNamesOfValues: what is printed of each constant.
func TestNamesOfValues(t *testing.T) {
	for got, want := range map[string]string{
		image.Uncompressed.String():           "none",
		image.Gzip.String():                   "gzip",
		image.Zstd.String():                   "zstd",
		image.Compression(0).String():         "Compression(0)",
		image.Added.String():                  "added",
		image.Replaced.String():               "replaced",
		image.Removed.String():                "removed",
		image.Action(0).String():              "Action(0)",
		image.OCIManifest.String():            "OCI image manifest",
		image.OCIIndex.String():               "OCI image index",
		image.DockerManifest.String():         "Docker image manifest",
		image.DockerList.String():             "Docker manifest list",
		image.Kind(0).String():                "Kind(0)",
		string(image.Kind(0).MediaType()):     "",
		string(image.DockerList.MediaType()):  "application/vnd.docker.distribution.manifest.list.v2+json",
		string(image.OCIManifest.MediaType()): "application/vnd.oci.image.manifest.v1+json",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
