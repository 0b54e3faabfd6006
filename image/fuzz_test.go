// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/image"
)

// part is a member of an object, cut out of its text with encoding/json.
type part struct {
	key    string
	before string // from the end of the value before up to the value
	value  string
}

// parts cuts the text of an object into its members and what follows them.
func parts(t *testing.T, text string) (members []part, tail string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	if _, err := d.Token(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	pos := 0
	if i := strings.IndexByte(text, '{'); i >= 0 {
		pos = i + 1
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		end := int(d.InputOffset())
		start := end - len(value)
		members = append(members, part{key.(string), text[pos:start], text[start:end]})
		pos = end
	}
	return members, text[pos:]
}

// within says which members an edit may touch, and how: a nil function allows
// everything.
type within map[string]func(t *testing.T, before, after string)

// same checks the law of every edit: but for what may be touched, members stay
// in their order, byte for byte, with the white space around them; new ones
// come last.
func (w within) same(t *testing.T, before, after string) {
	t.Helper()
	if before == after || before == "null" {
		return
	}
	was, tailWas := parts(t, before)
	is, tailIs := parts(t, after)
	has := func(members []part, key string) bool {
		return slices.ContainsFunc(members, func(m part) bool { return m.key == key })
	}
	kept := slices.DeleteFunc(slices.Clone(was), func(m part) bool { return !has(is, m.key) })
	for _, m := range was {
		if _, may := w[m.key]; !may && !has(kept, m.key) {
			t.Fatalf("%q went: %s became %s", m.key, before, after)
		}
	}
	for i, m := range kept {
		got := is[i]
		touch, may := w[m.key]
		switch {
		case got.key != m.key:
			t.Fatalf("%q stands where %q was: %s became %s", got.key, m.key, before, after)
		case got.before != m.before && kept[0].key == was[0].key && !wasBehindGone(was, is, m.key):
			t.Fatalf("what is before %q changed: %s became %s", m.key, before, after)
		case !may && got.value != m.value:
			t.Fatalf("%q changed: %s became %s", m.key, before, after)
		case touch != nil:
			touch(t, m.value, got.value)
		}
	}
	for _, m := range is[len(kept):] {
		if _, may := w[m.key]; !may {
			t.Fatalf("%q came: %s became %s", m.key, before, after)
		}
	}
	if len(kept) > 0 && tailIs != tailWas {
		t.Fatalf("the end changed from %q to %q", tailWas, tailIs)
	}
}

// wasBehindGone reports whether the member before that of the key went: what
// stood between the two goes with it or stays, either is right.
func wasBehindGone(was, is []part, key string) bool {
	i := slices.IndexFunc(was, func(m part) bool { return m.key == key })
	return i > 0 && !slices.ContainsFunc(is, func(m part) bool { return m.key == was[i-1].key })
}

// model returns what the document says, numbers as they are spelled.
func model(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return m
}

// child returns the object that key names in m, made if need be; nil if there
// is none and need is false.
func child(m map[string]any, key string, need bool) map[string]any {
	if c, ok := m[key].(map[string]any); ok {
		return c
	}
	if !need {
		return nil
	}
	c := map[string]any{}
	m[key] = c
	return c
}

// checkEdit checks what holds of every edit: it says that nothing changed if
// and only if nothing did, and doing it again does nothing.
func checkEdit(t *testing.T, raw, edited []byte, changes []image.Change, again func([]byte) ([]byte, []image.Change, error)) {
	t.Helper()
	if bytes.Equal(raw, edited) != (len(changes) == 0) {
		t.Fatalf("%q became %q by %v", raw, edited, changes)
	}
	twice, more, err := again(edited)
	if err != nil || len(more) > 0 || !bytes.Equal(twice, edited) {
		t.Fatalf("edited again %q became %q by %v, %v", edited, twice, more, err)
	}
}

var configSeeds = []string{
	`{}`, ` {"config":null}`, `{"config":{"Labels":{"a":"1","containers.composefs.x":"2"}}}`,
	"{\r\n\t\"config\": {\r\n\t\t\"Labels\": {\r\n\t\t\t\"k\": \"\\u0041\"\r\n\t\t}\r\n\t},\r\n\t\"n\": 1.50e2\r\n}\r\n",
	"{\n  \"\\u0063onfig\" : { \"User\" : \"\" }\n}", `{"config":{"labels":{},"Labels":{ }}}`,
	`{"architecture":"amd64","os":"linux","config":{"Env":["A=<&>"],"Labels":null},"rootfs":{"type":"layers","diff_ids":[]}}`,
	`{"config":{"Labels":{"s":"1","t":"2","u":"3"}}} `,
}

// FuzzEditConfig: the text stays but for the labels that are set or removed;
// what is read afterwards is what was read before, and the edit; a second edit
// does nothing.
func FuzzEditConfig(f *testing.F) {
	for _, seed := range configSeeds {
		f.Add([]byte(seed), "k", "v", "s", "a")
		f.Add([]byte(seed), "containers.composefs.x", "<\u2028\"\\", "t", "s")
	}
	f.Fuzz(func(t *testing.T, raw []byte, key, value, stale, stale2 string) {
		isStale := func(k string) bool { return k == stale || k == stale2 }
		edit := func(raw []byte) ([]byte, []image.Change, error) {
			return image.EditConfig(raw, []image.KV{{Key: key, Value: value}}, isStale)
		}
		edited, changes, err := edit(raw)
		if err != nil {
			return
		}
		checkEdit(t, raw, edited, changes, edit)

		want := model(t, raw)
		labels := child(child(want, "config", true), "Labels", true)
		delete(labels, stale)
		delete(labels, stale2)
		labels[key] = value
		if got := model(t, edited); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %q, which says\n%v, not\n%v", raw, edited, got, want)
		}
		onLabels := within{key: nil, stale: nil, stale2: nil}
		within{"config": within{"Labels": onLabels.same}.same}.same(t, string(raw), string(edited))
	})
}

// FuzzEditManifest: the same of a manifest's config descriptor and its
// annotations.
func FuzzEditManifest(f *testing.F) {
	const key = "composefs.merged.erofs.v1.fsverity-sha512-12"
	for _, seed := range []string{
		spell(ociManifest), manifestOf(`{"a":"1"}`, `{"`+key+`":"x","`+key+`.sig":"y"}`), manifestOf(`null`, `{}`),
		"{\n  \"layers\": null, \"schemaVersion\":2,\r\n\"config\": { \"size\":2, \"data\": \"e30=\",\"digest\" :\"" + sumEmpty + "\",\n\"mediaType\":\"m\"},\n \"subject\":null}",
	} {
		f.Add([]byte(seed), key, "v", "a", []byte("{}"))
		f.Add([]byte(seed), "k", "v", key, []byte(`{"a":1}`))
	}
	f.Fuzz(func(t *testing.T, raw []byte, key, value, stale string, content []byte) {
		isStale := func(k string) bool { return k == stale }
		set := []image.KV{{Key: key, Value: value}}
		change := image.Describe(content)
		edit := func(raw []byte) ([]byte, []image.Change, error) {
			return image.EditManifest(raw, image.ManifestEdit{
				Config: change, ConfigAnnotations: set, Annotations: set, StaleAnnotations: isStale,
			})
		}
		edited, changes, err := edit(raw)
		if err != nil {
			if errors.Is(err, image.ErrEdit) && !errors.Is(err, image.ErrEncoding) {
				t.Fatalf("the edit is fine: %v", err)
			}
			return
		}
		checkEdit(t, raw, edited, changes, edit)

		want := model(t, raw)
		config := child(want, "config", false)
		if data, _ := config["data"].(string); data != "" && config["digest"] != change.Digest.String() {
			config["data"] = base64.StdEncoding.EncodeToString(content)
			if content == nil || len(content) > image.MaxDataSize {
				delete(config, "data")
			}
		}
		config["digest"] = change.Digest.String()
		config["size"] = json.Number(strconv.FormatInt(change.Size, 10))
		modelAnnotations(want, key, value, stale)
		modelAnnotations(config, key, value, stale)
		if got := model(t, edited); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %q, which says\n%v, not\n%v", raw, edited, got, want)
		}
		annotations := within{key: nil, stale: nil, key + ".sig": nil, stale + ".sig": nil}.same
		within{
			"annotations": annotations,
			"config":      within{"digest": nil, "size": nil, "data": nil, "annotations": annotations}.same,
		}.same(t, string(raw), string(edited))
	})
}

// modelAnnotations edits the annotations that m holds.
func modelAnnotations(m map[string]any, key, value, stale string) {
	annotations := child(m, "annotations", true)
	was := map[string]any{}
	maps.Copy(was, annotations)
	if stale != key {
		delete(annotations, stale)
	}
	annotations[key] = value
	for k, v := range was {
		digestKey, isSignature := strings.CutSuffix(k, ".sig")
		if !isSignature || !strings.HasPrefix(k, "composefs.") || k == key {
			continue
		}
		before, had := was[digestKey]
		after, has := annotations[digestKey]
		switch {
		case had && has && before == after:
			annotations[k] = v
		case had || has:
			delete(annotations, k)
		}
	}
}

// FuzzIndex: a descriptor that was appended, moved and replaced is the only one
// that changes.
func FuzzIndex(f *testing.F) {
	descriptor := spell(`{"mediaType":"m","size":1,"digest":"$A"}`)
	for _, seed := range []string{
		spell(ociIndex), `{"schemaVersion":2,"manifests":null}`, "{\r\n \"schemaVersion\":2,\r\n \"manifests\" : [ ]}",
		`{"schemaVersion": 2, "manifests": [` + descriptor + ` , ` + descriptor + `]}`,
	} {
		f.Add([]byte(seed), []byte(descriptor), "k")
		f.Add([]byte(seed), []byte("{ \"x\":[1.0],\n\"size\":1,\"mediaType\":\"m\",\"annotations\":{},\"digest\":\""+sumB+"\"}"), "v")
	}
	f.Fuzz(func(t *testing.T, raw, descriptor []byte, text string) {
		appended, _, err := image.AppendManifest(raw, descriptor)
		if err != nil {
			return
		}
		want := model(t, raw)
		list, _ := want["manifests"].([]any)
		want["manifests"] = append(list, any(model(t, descriptor)))
		if got := model(t, appended); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %q", raw, appended)
		}
		within{"manifests": nil}.same(t, string(raw), string(appended))

		edits := []image.ChildEdit{{Position: len(list), Change: image.Describe(nil), Annotations: []image.KV{{Key: text, Value: text}}}}
		edit := func(raw []byte) ([]byte, []image.Change, error) { return image.EditIndex(raw, edits) }
		edited, changes, err := edit(appended)
		if err != nil {
			return
		}
		checkEdit(t, appended, edited, changes, edit)
		back, _, err := image.ReplaceManifest(edited, len(list), descriptor)
		if err != nil || !reflect.DeepEqual(model(t, back), want) {
			t.Fatalf("%q became %q, %v", edited, back, err)
		}
	})
}
