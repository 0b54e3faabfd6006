// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/image"
)

// TestEditConfigShapes: in configs as builders write them, the labels of the
// image are edited and nothing else. Docker's container_config, which is of the
// build and not of the image, keeps even a label of a seal.
func TestEditConfigShapes(t *testing.T) {
	const inherited = `"Labels":{"containers.composefs.fsverity":"old"}`
	for _, tc := range []struct{ name, raw, old, want string }{
		{
			"Docker",
			`{"architecture":"amd64","config":{"Hostname":"","Cmd":["sh"],` + inherited + `},"container":"0123",` +
				`"container_config":{"Hostname":"0123","Cmd":["sh"],` + inherited + `},"created":"2026-01-02T03:04:05.000000006Z","docker_version":"18.09.7",` +
				`"history":[{"created_by":"/bin/sh -c #(nop)  LABEL containers.composefs.fsverity=old"}],"os":"linux","rootfs":{"type":"layers","diff_ids":["$A"]}}`,
			`"containers.composefs.fsverity":"old"`, `"containers.composefs.fsverity":"ab12"`,
		},
		{
			"Docker, no labels of the image's own",
			`{"config":{"Labels":null,"OnBuild":null},"container_config":{` + inherited + `},"rootfs":{"type":"layers","diff_ids":["$A"]}}` + "\n",
			`"Labels":null`, `"Labels":{"containers.composefs.fsverity":"ab12"}`,
		},
		{
			"Docker, config null",
			`{"config":null,"container_config":{` + inherited + `},"rootfs":{"type":"layers","diff_ids":["$A"]}}`,
			`"config":null`, `"config":{"Labels":{"containers.composefs.fsverity":"ab12"}}`,
		},
		{
			"OCI",
			`{"created":"2026-01-02T03:04:05Z","architecture":"arm64","os":"linux","variant":"v8","config":{"Env":["PATH=/bin"],"Entrypoint":["/x"],"ArgsEscaped":true,"ExposedPorts":{"80/tcp":{}}},` +
				`"rootfs":{"type":"layers","diff_ids":["$A"]},"history":[{"empty_layer":true,"created_by":"a \u003c b"}],"moby.buildkit.cache.v0":"e30="}`,
			`{}}}`, `{}},"Labels":{"containers.composefs.fsverity":"ab12"}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw := spell(tc.raw)
			got, changes, err := image.EditConfig([]byte(raw), label, image.StaleLabel)
			if want := strings.Replace(raw, tc.old, tc.want, 1); err != nil || string(got) != want || len(changes) != 1 {
				t.Errorf("got  %s, %v, %v\nwant %s", got, changes, err, want)
			}
			unchangedTwice(t, got, label)
		})
	}
}

// TestEditConfigOtherKeys: labels for other consumers have other keys and
// values; a label of a seal under the usual key, if it is not set again, goes.
func TestEditConfigOtherKeys(t *testing.T) {
	raw := []byte(`{"config":{"Labels":{"org.example.composefs":"sha512:00","containers.composefs.fsverity":"old","org.example.x":"y"}}}`)
	set := []image.KV{{Key: "org.example.composefs", Value: "sha512:ab"}, {Key: "containers.composefs.other", Value: "ab"}}
	got, _, err := image.EditConfig(raw, set, image.StaleLabel)
	want := `{"config":{"Labels":{"org.example.composefs":"sha512:ab","org.example.x":"y","containers.composefs.other":"ab"}}}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	unchangedTwice(t, got, set)
}

// TestEditManifestKeeps: outside of the config descriptor and the annotations
// that are set, every byte stays: subject, other annotations, data of layers,
// unknown fields, escapes, how numbers are spelled, and the end of the text.
func TestEditManifestKeeps(t *testing.T) {
	for _, end := range []string{"", "\n", "\r\n\r\n", " "} {
		raw := spell(`{"schemaVersion" :2,"annotations":{"\u0061":"\/","c":"d"},"n":[1.50e+02,-0,1E5,0.10],`+
			`"subject":{"data":"e30=","size":2,"digest":"$E","mediaType":"$manifest","annotations":{"composefs.x":"y"}},"artifactType":"a/b",`+
			`"config":{"digest":"$A","size":3,"mediaType":"$config","platform":{"os":"linux","architecture":"amd64"},"x":0.0},`+
			`"layers":[{"mediaType":"$layer","data":"e30=","size":2,"digest":"$E","urls":null,"annotations":{"composefs.x":"y"}}]}`) + end
		got, changes := edited(t, raw, image.ManifestEdit{
			Config:           &image.DescriptorChange{Digest: hash(t, sumB), Size: 30},
			Annotations:      []image.KV{{Key: "c", Value: "e"}},
			StaleAnnotations: image.StaleAnnotation,
		})
		want := strings.NewReplacer(sumA, sumB, `"size":3,`, `"size":30,`, `"c":"d"`, `"c":"e"`).Replace(raw)
		if got != want || len(changes) != 3 {
			t.Errorf("got  %q, %v\nwant %q", got, changes, want)
		}
	}
}

// TestEditIndexData: a child's manifest that its descriptor embeds follows it,
// or goes if it is too large.
func TestEditIndexData(t *testing.T) {
	raw := func(c *image.DescriptorChange, data string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":"m","digest":%q%s,"size":%d}]}`, c.Digest, data, c.Size)
	}
	embedded := func(c *image.DescriptorChange) string {
		return `,"data":"` + base64.StdEncoding.EncodeToString(c.Content) + `"`
	}
	before := image.Describe([]byte("{}"))
	full := image.Describe(bytes.Repeat([]byte("x"), image.MaxDataSize))
	large := image.Describe(bytes.Repeat([]byte("x"), image.MaxDataSize+1))
	for name, tc := range map[string]struct {
		change *image.DescriptorChange
		want   string
	}{
		"follows": {full, raw(full, embedded(full))},
		"goes":    {large, raw(large, "")},
	} {
		got, _, err := image.EditIndex([]byte(raw(before, embedded(before))), []image.ChildEdit{{Change: tc.change}})
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: got  %s, %v\nwant %s", name, got, err, tc.want)
		}
	}
}

// TestEditDockerList: an annotation that is in a list of Docker's can be
// replaced and removed, but none can be added.
func TestEditDockerList(t *testing.T) {
	const key = "vnd.docker.reference.digest"
	raw := strings.Replace(spell(ociIndex), "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json", 1)
	set := []image.KV{{Key: key, Value: sumC}}
	follow := []image.ChildEdit{{Position: 1, Annotations: set}}
	got, changes, err := image.EditIndex([]byte(raw), follow)
	want := strings.Replace(raw, `"`+key+`": "`+sumA, `"`+key+`": "`+sumC, 1)
	if err != nil || string(got) != want || len(changes) != 1 || changes[0].Action != image.Replaced || changes[0].Old != sumA {
		t.Errorf("got  %s, %v, %v\nwant %s", got, changes, err, want)
	}
	again, changes, err := image.EditIndex(got, follow)
	if err != nil || len(changes) > 0 || &again[0] != &got[0] {
		t.Errorf("the second edit changes %v, %v", changes, err)
	}
	if _, _, err := image.EditIndex([]byte(raw), []image.ChildEdit{{Position: 0, Annotations: set}}); !errors.Is(err, image.ErrNoAnnotations) {
		t.Errorf("one is added: %v", err)
	}
	isKey := func(k string) bool { return k == key }
	got, _, err = image.EditIndex([]byte(raw), []image.ChildEdit{{Position: 1, StaleAnnotations: isKey}})
	if want := strings.Replace(raw, `"`+key+`": "`+sumA+"\",\n        ", "", 1); err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

// TestEditsRefuseDuplicates: a key twice is an error wherever it stands.
func TestEditsRefuseDuplicates(t *testing.T) {
	index := spell(ociIndex)
	child := []byte(spell(`{"mediaType":"m","size":1,"digest":"$A"}`))
	for _, raw := range []string{
		strings.Replace(index, `"variant": "v7"`, `"variant": "v7", "v\u0061riant": "v8"`, 1),
		strings.Replace(index, `"manifests"`, `"manifests": [], "manifests"`, 1),
		strings.Replace(index, `"vnd.docker.reference.type"`, `"vnd.docker.reference.digest": "", "vnd.docker.reference.type"`, 1),
	} {
		_, _, edit := image.EditIndex([]byte(raw), nil)
		_, _, add := image.AppendManifest([]byte(raw), child)
		_, _, replace := image.ReplaceManifest([]byte(raw), 0, child)
		_, _, convert := image.ToOCI([]byte(raw))
		for name, err := range map[string]error{"edit": edit, "append": add, "replace": replace, "convert": convert} {
			if !errors.Is(err, image.ErrDuplicateKey) {
				t.Errorf("%s: %s: got %v", name, raw, err)
			}
		}
	}
}
