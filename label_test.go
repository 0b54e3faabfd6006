// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/image"
)

// odd is an image with all that an edit could spoil: unknown fields, odd orders
// and spellings, and what seals of other images left.
var odd = handmade{
	config: `{ "x-first": {"n": 1.0, "e": 1e3, "u": "\u00e9\/"},
  "os" : "linux", "architecture":"amd64",
  "config": {"Labels": {"z": "1", "containers.composefs.other": "inherited", "a": "2"}, "Cmd":null, "X": [ ]},
  "rootfs": {"diff_ids":["DIFFID"], "type":"layers"}, "history": [{"created_by": "<&>"}] }
`,
	manifest: `{
   "subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "LAYERDIGEST", "size": 10, "z": 1e1},
   "layers": [ {"size": LAYERSIZE, "digest": "LAYERDIGEST", "annotations": {"composefs.merged.x": "of a layer"}, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"} ],
   "config": {"x": 1, "size": CONFIGSIZE, "digest": "CONFIGDIGEST", "mediaType": "application/vnd.oci.image.config.v1+json", "annotations": {"composefs.config.fsverity-sha256-12": "00", "k": "v"}},
   "annotations": {
      "composefs.merged.erofs.v1.fsverity-sha512-12": "00",
      "composefs.merged.erofs.v1.fsverity-sha512-12.sig": "00",
      "composefs.merged.bootable.erofs.v1.fsverity-sha512-12": "00",
      "composefs.layer.0.erofs.v1.fsverity-sha512-12": "stays",
      "org.example": "stays"
   },
   "schemaVersion": 2, "unknown": [1.50, null]
}`,
}

// TestLabelKeepsBytes: outside of what is written or removed, config and
// manifest stay as they are, byte for byte; what is stale is removed and named.
func TestLabelKeepsBytes(t *testing.T) {
	s := newStore(t)
	before := s.push(t, "a:v1", odd)
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})

	d, config, manifest := s.pull(t, "a:v1")
	if !sealed.Changed || d.Digest != sealed.Digest || sealed.Source != before.Digest {
		t.Errorf("the tag names %s, sealed is %+v", d.Digest, sealed)
	}
	want := odd
	want.config = strings.Replace(odd.config,
		`"containers.composefs.other": "inherited", "a": "2"`,
		`"a": "2", "containers.composefs.fsverity": "`+minimal+`"`, 1)
	configSum := fsverity.Sum(fsverity.SHA512, config).String()
	want.manifest = strings.NewReplacer(
		`"composefs.config.fsverity-sha256-12": "00", "k": "v"`,
		`"k": "v", "composefs.config.fsverity-sha512-12": "`+configSum+`"`,
		`"composefs.merged.erofs.v1.fsverity-sha512-12": "00",`,
		`"composefs.merged.erofs.v1.fsverity-sha512-12": "`+minimal+`",`,
		`      "composefs.merged.erofs.v1.fsverity-sha512-12.sig": "00",`+"\n", "",
		`      "composefs.merged.bootable.erofs.v1.fsverity-sha512-12": "00",`+"\n", "",
		`"org.example": "stays"`, `"org.example": "stays",`+"\n"+`      "io.github.cfs-label.input": "`+minimalInput+`"`,
	).Replace(odd.manifest)
	wantConfig, wantManifest := want.texts()
	wantText(t, "config", config, string(wantConfig))
	wantText(t, "manifest", manifest, string(wantManifest))

	wantChanges(t, sealed.Images[0].Changes,
		`removed config.Labels["containers.composefs.other"]: "inherited"`,
		`added config.Labels["containers.composefs.fsverity"]`,
		`replaced config.digest`,
		`replaced config.size`,
		`removed config.annotations["composefs.config.fsverity-sha256-12"]`,
		`added config.annotations["composefs.config.fsverity-sha512-12"]`,
		`replaced annotations["composefs.merged.erofs.v1.fsverity-sha512-12"]`,
		`removed annotations["composefs.merged.erofs.v1.fsverity-sha512-12.sig"]`,
		`removed annotations["composefs.merged.bootable.erofs.v1.fsverity-sha512-12"]`,
		`added annotations["io.github.cfs-label.input"]: "`+minimalInput+`"`,
	)

	again := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{})
	if again.Changed || again.Digest != sealed.Digest || len(again.Images[0].Changes) > 0 || len(again.Tags) > 0 {
		t.Errorf("the second run did something: %+v", again)
	}
}

// TestLabelConfigAnnotation: the annotation of the config descriptor is the
// digest of the config as it was pushed, label and all.
func TestLabelConfigAnnotation(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Options: cfslabel.Options{
		Formats:    []erofs.Format{erofs.V2, erofs.V1, erofs.V0},
		Algorithms: []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512},
	}})
	_, config, manifest := s.pull(t, "a:v1")
	m, err := image.ParseManifest(manifest, types.OCIManifestSchema1)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Config.Annotations) != 2 || len(m.Annotations) != 3 {
		t.Errorf("there are %v and %v", m.Config.Annotations, m.Annotations)
	}
	images, err := cfslabel.Compute(t.Context(), s.open(t, "a:v1"), cfslabel.Options{
		Algorithms: []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, alg := range []fsverity.Algorithm{fsverity.SHA256, fsverity.SHA512} {
		if got, want := m.Config.Annotations[image.AnnotationKey(image.RoleConfig, alg)], fsverity.Sum(alg, config).String(); got != want {
			t.Errorf("config %s: %s, want %s", alg, got, want)
		}
		if got, want := m.Annotations[image.AnnotationKey(image.RoleMerged, alg)], images[0].Digests[i].Digest.String(); got != want {
			t.Errorf("merged %s: %s, want %s", alg, got, want)
		}
	}
	c, err := image.ParseConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	v2, err := cfslabel.Compute(t.Context(), s.open(t, "a:v1"), cfslabel.Options{
		Formats: []erofs.Format{erofs.V2}, Algorithms: []fsverity.Algorithm{fsverity.SHA256},
	})
	if err != nil || c.Labels[image.LabelKey] != v2[0].Digests[0].Digest.String() {
		t.Errorf("the label is %s, not the first of format and algorithm (%v)", c.Labels[image.LabelKey], err)
	}
}

// docker is plain in Docker's format.
var docker = handmade{
	config: plain.config,
	manifest: `{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
 "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": CONFIGSIZE, "digest": "CONFIGDIGEST"},
 "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": LAYERSIZE, "digest": "LAYERDIGEST"}]}`,
	mediaType: types.DockerManifestSchema2,
}

// TestLabelDocker: Docker's manifests know no annotations. They take the label,
// and lose annotations that somebody forced upon them.
func TestLabelDocker(t *testing.T) {
	s := newStore(t)
	h := docker
	h.manifest = strings.TrimSuffix(h.manifest, "}") + "ANNOTATIONS}"
	for name, annotations := range map[string]string{
		"a": "",
		"b": `, "annotations": {"composefs.merged.erofs.v1.fsverity-sha512-12": "00", "k": "v"}`,
	} {
		pushed := h
		pushed.manifest = strings.Replace(h.manifest, "ANNOTATIONS", annotations, 1)
		s.push(t, name+":v1", pushed)
		sealed := label(t, s.open(t, name+":v1"), cfslabel.LabelOptions{})
		if !slices.Equal(sealed.Written, []cfslabel.Place{cfslabel.InLabel}) {
			t.Errorf("%s: written are %q", name, sealed.Written)
		}
		d, config, manifest := s.pull(t, name+":v1")
		if d.MediaType != types.DockerManifestSchema2 {
			t.Errorf("%s: it is %s now", name, d.MediaType)
		}
		want := pushed
		want.config = strings.Replace(plain.config, `}}`, `},"config":{"Labels":{"containers.composefs.fsverity":"`+minimal+`"}}}`, 1)
		want.manifest = strings.Replace(want.manifest, `"composefs.merged.erofs.v1.fsverity-sha512-12": "00", `, "", 1)
		wantConfig, wantManifest := want.texts()
		wantText(t, name+": config", config, string(wantConfig))
		wantText(t, name+": manifest", manifest, string(wantManifest))
	}
}

// TestLabelTags: the tags take the place of the one that was read, and each is
// named once.
func TestLabelTags(t *testing.T) {
	s := newStore(t)
	before := s.push(t, "a:v1", plain)
	sealed := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Tags: []string{"y", "x", "y"}})
	if !slices.Equal(sealed.Tags, []string{"x", "y"}) {
		t.Errorf("tags are %q", sealed.Tags)
	}
	s.wantTag(t, "a:v1", before.Digest)
	s.wantTag(t, "a:x", sealed.Digest)
	s.wantTag(t, "a:y", sealed.Digest)
}

// TestIncompleteConfig: what hosts refuse is refused, and the field named.
func TestIncompleteConfig(t *testing.T) {
	for field, config := range map[string]string{
		"os":           `{"architecture":"amd64","rootfs":{"type":"layers","diff_ids":["DIFFID"]}}`,
		"architecture": `{"os":"linux","rootfs":{"type":"layers","diff_ids":["DIFFID"]}}`,
		"rootfs.type":  `{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["DIFFID"]}}`,
	} {
		s := newStore(t)
		h := plain
		h.config = config
		d := s.push(t, "a:v1", h)
		_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{})
		if !errors.Is(err, cfslabel.ErrIncomplete) || !strings.Contains(err.Error(), "no "+field) {
			t.Errorf("without %s: %v", field, err)
		}
		s.wantTag(t, "a:v1", d.Digest)
	}
}
