// SPDX-License-Identifier: Apache-2.0

package image

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Config is what of an image's config matters to a seal.
type Config struct {
	OS           string
	Architecture string
	Variant      string
	OSVersion    string
	// DiffIDs are the digests of the layers' uncompressed tar streams, lowest
	// layer first.
	DiffIDs []v1.Hash
	// HasRootFSType tells that rootfs.type is given, whatever it says.
	HasRootFSType bool
	Labels        map[string]string
}

// ParseConfig reads a config. What it does not have is zero: whether that is an
// image, the layers tell. The error is an *Error.
func ParseConfig(raw []byte) (*Config, error) {
	_, c, err := parseConfig(raw)
	return c, err
}

func parseConfig(raw []byte) (*document, *Config, error) {
	doc, err := parse("config", raw, MaxConfigSize)
	if err != nil {
		return nil, nil, err
	}
	root, err := doc.root().object()
	if err != nil {
		return nil, nil, err
	}
	r := &reader{}
	c := &Config{
		OS:           r.word(root, "os"),
		Architecture: r.word(root, "architecture"),
		Variant:      r.word(root, "variant"),
		OSVersion:    r.str(root, "os.version"),

		HasRootFSType: r.object(root.get("rootfs")).get("type").given(),
		Labels:        r.stringMap(r.object(root.get("config")).get("Labels")),
	}
	for _, n := range r.array(r.object(root.get("rootfs")).get("diff_ids")) {
		c.DiffIDs = append(c.DiffIDs, r.digest(n))
	}
	if r.err != nil {
		return nil, nil, r.err
	}
	return doc, c, nil
}

// EditConfig sets labels in a config and removes those that are stale (nil:
// none are) and not set. New labels come last, in their order; objects that
// hold none yet are made. It returns the new text, which is raw itself if
// nothing changes, and what changed. The error is an *Error, or ErrEdit.
func EditConfig(raw []byte, set []KV, stale func(key string) bool) ([]byte, []Change, error) {
	m := mapEdit{set: set, stale: stale}
	if err := m.check(); err != nil {
		return nil, nil, err
	}
	doc, _, err := parseConfig(raw)
	if err != nil {
		return nil, nil, err
	}
	e := &editor{doc: doc}
	err = e.root(func(root *objectEdit) error { return root.editMap(m, "config", "Labels") })
	if err != nil {
		return nil, nil, err
	}
	return e.finish(MaxConfigSize)
}

// root edits the object that the document is.
func (e *editor) root(edit func(*objectEdit) error) error {
	o, err := e.doc.root().object()
	if err != nil {
		return err
	}
	root := e.edit(o, compact)
	defer root.flush()
	return edit(root)
}
