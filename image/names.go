// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

const (
	// LabelKey is the config label that holds the composefs digest of an
	// image, in bare lowercase hexadecimal.
	LabelKey = "containers.composefs.fsverity"
	// InputKey is the manifest annotation that says what the digests of a seal
	// were computed from, so that a later run can tell whether they still hold.
	InputKey = "io.github.cfs-label.input"
	// ArtifactType is the artifactType of a manifest that carries the digests
	// of another image, its subject (sealing_spec.rs, "Media Types").
	ArtifactType = "application/vnd.composefs.metadata.v1"
	// SignatureType is the media type of such a manifest's layers: a PKCS#7
	// signature each (sealing_spec.rs, "Media Types").
	SignatureType = "application/vnd.composefs.signature.v1+pkcs7"
)

const (
	labelPrefix      = "containers.composefs."
	annotationPrefix = "composefs."
	layerPrefix      = "composefs.layer."
	signatureSuffix  = ".sig"
)

// Role is an object of an image that has a digest of its own in the composefs
// sealing specification.
type Role uint8

// The roles, in the order in which an artifact lists them.
const (
	// RoleManifest is the manifest's text.
	RoleManifest Role = iota + 1
	// RoleConfig is the config's text.
	RoleConfig
	// RoleMerged is the EROFS image of all layers' merged tree.
	RoleMerged
	// RoleMergedBootable is the EROFS image of that tree after the boot
	// transform.
	RoleMergedBootable
)

// Where is the place of a role's annotation within an image.
type Where uint8

// The places.
const (
	// Nowhere: an annotation of the manifest would change what it is the
	// digest of. The role appears in artifacts only.
	Nowhere Where = iota
	// OnManifest is the annotations of the manifest.
	OnManifest
	// OnConfig is the annotations of the manifest's config descriptor.
	OnConfig
)

// roleTable holds what is known of each role (sealing_spec.rs, "Annotation key
// scheme").
var roleTable = [...]struct {
	name  string
	where Where
	erofs bool // the digest is of an EROFS image, so its format is named
}{
	RoleManifest:       {"manifest", Nowhere, false},
	RoleConfig:         {"config", OnConfig, false},
	RoleMerged:         {"merged", OnManifest, true},
	RoleMergedBootable: {"merged.bootable", OnManifest, true},
}

// Roles returns all roles, in the order in which an artifact lists them.
func Roles() []Role { return []Role{RoleManifest, RoleConfig, RoleMerged, RoleMergedBootable} }

// ParseRole returns the role of that name.
func ParseRole(name string) (Role, error) {
	names := make([]string, 0, len(roleTable))
	for _, r := range Roles() {
		if r.String() == name {
			return r, nil
		}
		names = append(names, r.String())
	}
	return 0, fmt.Errorf("image: unknown role %q: use one of %s", name, strings.Join(names, ", "))
}

func (r Role) valid() bool { return r > 0 && int(r) < len(roleTable) }

// String returns the role's name in annotation keys.
func (r Role) String() string {
	if !r.valid() {
		return fmt.Sprintf("Role(%d)", uint8(r))
	}
	return roleTable[r].name
}

// Where returns where an image carries the role's annotation. It panics for a
// value that is none of the constants.
func (r Role) Where() Where {
	if !r.valid() {
		panic("image: invalid " + r.String())
	}
	return roleTable[r].where
}

// AnnotationKey returns the key of the annotation that holds the role's digest,
// for EROFS images that of format V1: composefs.merged.erofs.v1.fsverity-sha512-12.
// It panics for a role that is none of the constants.
func AnnotationKey(role Role, alg fsverity.Algorithm) string {
	if !role.valid() {
		panic("image: invalid " + role.String())
	}
	format := ""
	if roleTable[role].erofs {
		format = "erofs.v1."
	}
	return annotationPrefix + role.String() + "." + format + alg.Label()
}

// SignatureKey returns the key of the annotation that holds the signature of
// the role's digest.
func SignatureKey(role Role, alg fsverity.Algorithm) string {
	return AnnotationKey(role, alg) + signatureSuffix
}

// StaleLabel reports whether a config label that was found in an image is part
// of a seal, so that it must go unless it was computed anew: it may come from
// the image that this one was built from.
func StaleLabel(key string) bool { return strings.HasPrefix(key, labelPrefix) }

// StaleAnnotation reports the same of an annotation of a manifest or of its
// config descriptor. The digests of single layers are no part of the seal: a
// layer stays what it is.
func StaleAnnotation(key string) bool {
	return strings.HasPrefix(key, annotationPrefix) && !strings.HasPrefix(key, layerPrefix)
}

// signedKey returns the key of the digest whose signature key holds; ok is
// false if key is not that of a signature.
func signedKey(key string) (digestKey string, ok bool) {
	if !strings.HasPrefix(key, annotationPrefix) {
		return "", false
	}
	return strings.CutSuffix(key, signatureSuffix)
}
