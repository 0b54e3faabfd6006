// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"fmt"
	"strings"
)

// oddImages are images as builders, and people, make them.
var oddImages = []struct {
	name string
	make func() *content
	many bool // requests: once is enough
	// refused names what makes that the image cannot be sealed; "" if it can.
	refused func() string
}{
	{name: "plain", make: plainImage},
	{name: "index", make: plainIndex},
	{name: "index in an index", make: nestedIndex},
	{name: "buildx attestations", make: attestedIndex},
	{name: "Windows child", make: windowsIndex},
	{name: "artifact child", make: artifactIndex},
	{name: "unknown fields and white space", make: oddText},
	{name: "data fields", make: dataFields},
	{name: "no Labels, config null", make: nullConfig},
	{name: "zstd and gzip", make: zstdAndGzip},
	{name: "foreign layer", make: foreignLayer},
	{name: "foreign layer, not there", make: absentForeignLayer, refused: func() string { return absentLayer().digest() }},
	{name: "empty layer", make: emptyLayer},
	{name: "127 layers", make: manyLayers, many: true},
	{name: "the same layer twice", make: sameLayerTwice},
	{name: "Docker schema 2", make: dockerImage},
	{name: "Docker list", make: dockerIndex},
}

func plainImage() *content {
	return imageOf(layerOf(ociGzip, "usr/bin/one"), layerOf(ociGzip, "usr/lib/two", "etc/three"))
}

// armImage shares its lower layer with plainImage.
func armImage() *content {
	layers := []*content{layerOf(ociGzip, "usr/bin/one"), layerOf(ociGzip, "usr/lib/arm")}
	return manifestOf(ociManifest, configOf(ociConfig, "linux", "arm64", layers...), layers)
}

// windowsVersion is the os.version of windowsImage.
const windowsVersion = "10.0.20348.2113"

func windowsImage() *content {
	layers := []*content{layerOf(ociGzip, "Files/Windows/one", "Hives/two")}
	config := configOf(ociConfig, "windows", "amd64", layers...)
	config.data = bytes.Replace(config.data, []byte("{"), []byte(`{"os.version":"`+windowsVersion+`",`), 1)
	return manifestOf(ociManifest, config, layers)
}

func windows(c *content) child {
	return child{c, []string{`"platform":{"architecture":"amd64","os":"windows","os.version":"` + windowsVersion + `"}`}}
}

// attestationOf returns what buildx adds about an image: an in-toto statement in
// a manifest for the platform unknown/unknown.
func attestationOf(img *content) child {
	statement := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://slsa.dev/provenance/v0.2",`+
		`"subject":[{"name":"pkg:docker/odd","digest":{"sha256":%q}}],"predicate":{}}`, strings.TrimPrefix(img.digest(), "sha256:"))
	layer := &content{mediaType: "application/vnd.in-toto+json", data: []byte(statement), diffID: digestOf([]byte(statement))}
	config := &content{mediaType: ociConfig, data: fmt.Appendf(nil,
		`{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[%q]}}`, layer.diffID)}
	annotations := `"annotations":{"vnd.docker.reference.digest":"` + img.digest() + `","vnd.docker.reference.type":"attestation-manifest"}`
	return child{manifestOf(ociManifest, config, []*content{layer}), []string{annotations, platform("unknown", "unknown")}}
}

func amd64(c *content) child { return child{c, []string{platform("linux", "amd64")}} }

func arm64(c *content) child { return child{c, []string{platform("linux", "arm64")}} }

func plainIndex() *content {
	return indexOf(ociIndex, amd64(plainImage()), arm64(armImage()))
}

func nestedIndex() *content {
	inner := indexOf(ociIndex, arm64(armImage()), attestationOf(armImage()))
	return indexOf(ociIndex, amd64(plainImage()), child{content: inner})
}

func attestedIndex() *content {
	a, b := plainImage(), armImage()
	return indexOf(ociIndex, amd64(a), arm64(b), attestationOf(a), attestationOf(b))
}

func windowsIndex() *content {
	return indexOf(ociIndex, windows(windowsImage()), amd64(plainImage()))
}

func artifactOf(text string) *content {
	empty := &content{mediaType: "application/vnd.oci.empty.v1+json", data: []byte("{}")}
	layer := &content{mediaType: "text/plain", data: []byte(text)}
	return manifestOf(ociManifest, empty, []*content{layer}, `"artifactType":"application/vnd.example.note"`)
}

func artifactIndex() *content {
	note := child{artifactOf("a note"), []string{`"artifactType":"application/vnd.example.note"`}}
	return indexOf(ociIndex, amd64(plainImage()), note)
}

// wholeIndex has everything that an index can have at once.
func wholeIndex() *content {
	a := plainImage()
	inner := indexOf(ociIndex, arm64(armImage()), attestationOf(armImage()))
	return indexOf(ociIndex, amd64(a), windows(windowsImage()),
		attestationOf(a), child{content: inner, more: []string{`"annotations":{"org.example.note":"kept"}`}})
}

// oddText has what only an edit of text leaves alone: fields that nobody knows,
// numbers that no float holds, escapes, tabs, carriage returns, and a newline
// behind it all.
func oddText() *content {
	layer := layerOf(ociGzip, "usr/bin/one")
	config := &content{mediaType: ociConfig, data: fmt.Appendf(nil, "{\r\n\t\"rootfs\" : {\"diff_ids\":[ %q ],\"type\" :\"layers\"},\r\n"+
		"\t\"x-big\":123456789012345678901234567890, \"x-small\" : 1.50E-7 ,\"x-zero\":-0.0,\r\n"+
		"\t\"config\": {\"Volumes\": {\"/v\" :{}}, \"Labels\": {\"b\\u002Fc\": \"\\u00e9 \\/ <&>\",\t\"a\":\"\"}, \"Cmd\":null},\r\n"+
		"\t\"os\": \"linux\",\"architecture\":\"amd64\", \"history\":[ ], \"x-nested\":[[],{},[{\"y\":null}]]\r\n} \n\n", layer.diffID)}
	manifest := fmt.Sprintf("\n{ \"layers\" :[\n\n%s ],\"x-first\": {\"Config\":1e2},\t\"config\":  %s ,\n"+
		"  \"annotations\":{ },\"schemaVersion\":2 , \"mediaType\"\t:%q, \"x-last\":[true ,false]  }\n",
		layer.descriptor(`"x-layer":0.10`), config.descriptor(`"x-config":[1, 2]`), ociManifest)
	return &content{mediaType: ociManifest, data: []byte(manifest), refs: []*content{config, layer}}
}

// dataFields has the content of config, layer and manifest embedded in their
// descriptors (image-spec, descriptor.md).
func dataFields() *content {
	layer := layerOf(ociGzip, "usr/bin/one")
	config := configOf(ociConfig, "linux", "amd64", layer)
	manifest := &content{
		mediaType: ociManifest,
		data: fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, ociManifest,
			config.descriptor(config.embedded()), layer.descriptor(layer.embedded())),
		refs: []*content{config, layer},
	}
	return indexOf(ociIndex, child{manifest, []string{manifest.embedded(), platform("linux", "amd64")}})
}

func nullConfig() *content {
	layer := layerOf(ociGzip, "usr/bin/one")
	config := configOf(ociConfig, "linux", "amd64", layer)
	start := bytes.Index(config.data, []byte(`{"Env"`))
	end := bytes.Index(config.data, []byte(`,"rootfs"`))
	config.data = append(append(bytes.Clone(config.data[:start]), "null"...), config.data[end:]...)
	return manifestOf(ociManifest, config, []*content{layer})
}

func zstdAndGzip() *content {
	return imageOf(layerOf(ociGzip, "usr/bin/one"), layerOf(ociZstd, "usr/bin/two"),
		layerOf("application/vnd.oci.image.layer.v1.tar", "usr/bin/three"))
}

func foreignLayer() *content {
	return imageOf(layerOf(ociForeign, "usr/bin/foreign"), layerOf(ociGzip, "usr/bin/one"))
}

// absentLayer is a foreign layer that no registry has.
func absentLayer() *content {
	layer := layerOf(ociForeign, "usr/bin/absent")
	layer.absent = true
	return layer
}

func absentForeignLayer() *content {
	return imageOf(absentLayer(), layerOf(ociGzip, "usr/bin/one"))
}

// emptyLayer has the layer that Docker wrote for every step that changed
// nothing: 1024 bytes of zero, a tar stream without an entry.
func emptyLayer() *content {
	empty := &content{
		mediaType: ociGzip,
		data: []byte{
			0x1f, 0x8b, 0x08, 0x00, 0x00, 0x09, 0x6e, 0x88, 0x00, 0xff, 0x62, 0x18, 0x05, 0xa3, 0x60, 0x14,
			0x8c, 0x58, 0x00, 0x08, 0x00, 0x00, 0xff, 0xff, 0x2e, 0xaf, 0xb5, 0xef, 0x00, 0x04, 0x00, 0x00,
		},
		diffID: digestOf(make([]byte, 1024)),
	}
	return imageOf(layerOf(ociGzip, "usr/bin/one"), empty)
}

// manyLayers has as many layers as Docker allows.
func manyLayers() *content {
	layers := make([]*content, 127)
	for i := range layers {
		layers[i] = layerOf(ociGzip, fmt.Sprintf("usr/lib/%03d", i))
	}
	return imageOf(layers...)
}

func sameLayerTwice() *content {
	one := layerOf(ociGzip, "usr/bin/one")
	return imageOf(one, layerOf(ociGzip, "usr/bin/two"), one)
}

func dockerPlatform(arch string) *content {
	layers := []*content{layerOf(dockerGzip, "usr/bin/one"), layerOf(dockerGzip, "usr/lib/"+arch)}
	return manifestOf(dockerManifest, configOf(dockerConfig, "linux", arch, layers...), layers)
}

func dockerImage() *content { return dockerPlatform("amd64") }

func dockerIndex() *content {
	return indexOf(dockerList, amd64(dockerPlatform("amd64")), arm64(dockerPlatform("arm64")))
}
