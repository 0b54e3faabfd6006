// SPDX-License-Identifier: Apache-2.0

// Package archtest holds the import table of docs/design.md as a test: which
// folder may import which, and where the modules that bind us may appear.
//
// The table binds the packages of this module and the modules in bound. Small
// libraries are free where they serve.
package archtest

// module is the path of the root module.
const module = "github.com/cfs-label/cfs-label"

// A row says what one folder may import.
type row struct {
	// folder below the module root; "." is the root package. A folder that
	// ends in "/..." stands for itself and all folders below it that have no
	// row of their own.
	folder string
	// ours lists the folders of this module that it may import. "…/..."
	// stands for the folders below as well.
	ours []string
	// theirs lists the groups of bound that it may import.
	theirs []string
	// never lists the groups of bound that may not even be linked, that is,
	// imported by something that it imports.
	never []string
}

// oci are the groups that a package of the composefs library never links.
var oci = []string{"ggcr", "ggcr v1", "ggcr registry", "oci", "cosign", "nats"}

// heavy are the groups that nothing links: keys in a cloud are reached by
// Sigstore's plug-in programs.
var heavy = []string{"cloud"}

// belowRoot are the folders that the root package joins together.
var belowRoot = []string{
	"composefs/...", "layers/...", "boot", "lint", "image", "remote", "sign", "sign/pkcs7",
}

// table is the import table of docs/design.md, in its order. A row whose
// package does not exist yet is fine; a package without a row is not.
var table = []row{
	{folder: "composefs/fsverity", ours: []string{"composefs/fsverity/internal/..."}, never: oci},
	{folder: "composefs/fsverity/internal/...", never: oci},
	{folder: "composefs/tree", ours: []string{"composefs/fsverity"}, never: oci},
	{folder: "composefs/dumpfile", ours: []string{"composefs/tree", "composefs/fsverity"}, never: oci},
	{folder: "composefs/erofs", ours: []string{"composefs/tree", "composefs/fsverity", "composefs/erofs/internal/..."}, never: oci},
	{folder: "composefs/erofs/internal/...", never: oci},
	{folder: "composefs/selinux", never: oci},
	{folder: "composefs/transform", ours: []string{"composefs/tree", "composefs/selinux"}, never: oci},
	{folder: "composefs/scan", ours: []string{"composefs/tree", "composefs/fsverity"}, never: oci},
	{folder: "composefs/diff", ours: []string{"composefs/tree", "composefs/fsverity"}, never: oci},

	{folder: "layers", ours: []string{"composefs/tree", "composefs/fsverity", "layers/internal/..."}, theirs: []string{"ggcr v1"}},
	{folder: "layers/internal/...", ours: []string{"composefs/tree", "composefs/fsverity"}, theirs: []string{"ggcr v1"}},
	{folder: "layers/cache", ours: []string{"composefs/tree", "composefs/fsverity", "layers"}, theirs: []string{"ggcr v1"}},
	{folder: "boot", ours: []string{"composefs/fsverity"}, never: oci},
	{folder: "lint", ours: []string{"composefs/tree", "composefs/transform", "layers", "boot"}},
	{folder: "image", ours: []string{"composefs/fsverity"}, theirs: []string{"ggcr v1"}},
	{folder: "remote", theirs: []string{"ggcr", "ggcr v1"}},
	{folder: "sign", ours: []string{"image", "remote"}, theirs: []string{"ggcr", "ggcr v1"}, never: []string{"cosign", "cloud"}},
	{folder: "sign/pkcs7", ours: []string{"sign", "image", "remote", "composefs/fsverity"}, theirs: []string{"ggcr", "ggcr v1"}, never: []string{"cosign", "cloud"}},
	{folder: "sign/cosign", ours: []string{"sign", "image", "remote"}, theirs: []string{"ggcr", "ggcr v1", "oci", "cosign"}, never: heavy},
	{folder: "sign/program", ours: []string{"sign"}, never: []string{"cosign", "cloud"}},
	{folder: ".", ours: belowRoot, theirs: []string{"ggcr", "ggcr v1"}, never: []string{"cosign", "nats", "cloud"}},
	{folder: "hook", ours: []string{".", "image", "remote", "sign", "sign/cosign", "sign/pkcs7"}, theirs: []string{"ggcr", "ggcr v1", "nats"}},
	{folder: "cmd/cfs-label", ours: append([]string{".", "hook", "sign/cosign", "sign/program", "cmd/cfs-label/internal/..."}, belowRoot...), theirs: []string{"ggcr", "ggcr v1", "ggcr registry"}, never: heavy},
	{folder: "cmd/cfs-label/internal/...", ours: append([]string{".", "hook", "sign/cosign", "sign/program", "cmd/cfs-label/internal/..."}, belowRoot...), theirs: []string{"ggcr", "ggcr v1", "ggcr registry"}, never: heavy},

	// The test kit. Nothing above lists it, so no code that ships imports it.
	{folder: "internal/...", ours: append([]string{".", "internal/..."}, belowRoot...), theirs: []string{"ggcr", "ggcr v1", "ggcr registry", "oci", "testing"}},
}

// bound are the import paths that rows allow by the name of their group. The
// longest prefix that matches decides. "!" in front stands for a path alone,
// without what is below it.
var bound = map[string][]string{
	// The types and interfaces, without transports.
	"ggcr v1": {
		"!github.com/google/go-containerregistry/pkg/v1",
		"github.com/google/go-containerregistry/pkg/v1/types",
		"github.com/google/go-containerregistry/pkg/v1/partial",
	},
	"ggcr": {
		"github.com/google/go-containerregistry",
	},
	// A registry in memory: for tests, and for the demo.
	"ggcr registry": {
		"github.com/google/go-containerregistry/pkg/registry",
	},
	"oci": {
		"github.com/opencontainers",
	},
	"cosign": {
		"github.com/sigstore",
	},
	// SDKs of clouds and key stores, and those packages of Sigstore's that bring
	// them along.
	"cloud": {
		"cloud.google.com",
		"google.golang.org/api",
		"github.com/aws",
		"github.com/Azure/azure-sdk-for-go",
		"github.com/Azure/go-autorest",
		"github.com/AzureAD",
		"github.com/aliyun",
		"github.com/alibabacloud-go",
		"github.com/tencentcloud",
		"github.com/hashicorp/vault",
		"github.com/openbao",
		"github.com/spiffe",
		"github.com/google/go-github",
		"github.com/xanzy/go-gitlab",
		"gitlab.com/gitlab-org",
		"k8s.io",
		"sigs.k8s.io",
		"github.com/sigstore/cosign/v2/cmd",
		"github.com/sigstore/cosign/v2/pkg/providers/all",
		"github.com/sigstore/cosign/v2/pkg/signature",
		"github.com/sigstore/sigstore/pkg/signature/kms/aws",
		"github.com/sigstore/sigstore/pkg/signature/kms/azure",
		"github.com/sigstore/sigstore/pkg/signature/kms/gcp",
		"github.com/sigstore/sigstore/pkg/signature/kms/hashivault",
	},
	"nats": {
		"github.com/nats-io",
	},
	// Helpers of tests, which no code that ships may import.
	"testing": {
		"testing",
		"net/http/httptest",
		"github.com/google/go-cmp",
		"github.com/rogpeppe/go-internal",
		"github.com/google/go-containerregistry/pkg/v1/random",
		"github.com/google/go-containerregistry/pkg/v1/validate",
		"github.com/erofs/go-erofs",
	},
	// It marshals typed structs again and drops what they do not know.
	"ggcr mutate": {
		"github.com/google/go-containerregistry/pkg/v1/mutate",
	},
}
