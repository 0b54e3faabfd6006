// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// CheckPush creates a file where the layout is and removes it again.
func (l *layout) CheckPush(ctx context.Context) error {
	err := ctx.Err()
	if err == nil && l.editor == nil {
		err = errNoEditor
	}
	if err == nil {
		err = l.files.checkWrite()
	}
	return l.fail("ask for permission to write", err)
}

var errNoEditor = errors.New("there is no editor for index.json: set Options.Layout")

func (l *layout) PushBlob(ctx context.Context, d v1.Descriptor, data []byte) error {
	a := asked{what: aBlob, name: d.Digest.String(), write: true}
	err := check(d, data)
	if err == nil {
		err = l.write(ctx, d, data)
	}
	return l.fail(a.String(), err)
}

func (l *layout) PushManifest(ctx context.Context, d v1.Descriptor, raw []byte) error {
	a := asked{what: aManifest, name: d.Digest.String(), write: true}
	err := checkManifest(d, raw)
	if err == nil {
		err = l.write(ctx, d, raw)
	}
	return l.fail(a.String(), err)
}

// write stores b, which has the digest of d, unless it is there and sound.
func (l *layout) write(ctx context.Context, d v1.Descriptor, b []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := wellFormed(d.Digest); err != nil {
		return err
	}
	if _, err := l.read(d, d.Size); err == nil {
		return nil
	}
	return l.files.put(ctx, blobName(d.Digest), b)
}

// Tag edits index.json under a lock: of two runs at once, none loses what the
// other wrote.
func (l *layout) Tag(ctx context.Context, tag string, d v1.Descriptor, raw []byte, was string) error {
	a := asked{what: aTag, name: tag, write: true}
	return l.list(ctx, a, d, raw, func() error { return l.setTag(ctx, tag, d, was) })
}

// list stores a manifest and edits index.json, which is locked meanwhile.
func (l *layout) list(ctx context.Context, a asked, d v1.Descriptor, raw []byte, edit func() error) error {
	if l.editor == nil {
		return l.fail(a.String(), errNoEditor)
	}
	if err := l.PushManifest(ctx, d, raw); err != nil {
		return err
	}
	unlock, err := l.files.lock(ctx)
	if err != nil {
		return l.fail(a.String(), err)
	}
	defer unlock()
	return l.fail(a.String(), edit())
}

func (l *layout) setTag(ctx context.Context, tag string, d v1.Descriptor, was string) error {
	index, entries, err := l.readIndex()
	if err != nil {
		return err
	}
	now, err := find(entries, tag)
	switch {
	case err == nil && was != "" && now.Digest != was && now.Digest != d.Digest.String():
		return moved(was, now.Digest)
	case errors.Is(err, ErrNotFound) && was != "":
		return kinded(ErrTagMoved, fmt.Errorf("the tag named %s when it was read and is gone now", was))
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	case err == nil && now.Digest == d.Digest.String() && now.Size == d.Size && now.MediaType == d.MediaType:
		return nil
	}
	if tag == "" {
		tag = now.Annotations[refName]
	}
	edited, err := l.editor.SetTag(index, tag, d)
	if err != nil {
		return err
	}
	if err := checkTagged(entries, edited, tag, d); err != nil {
		return fmt.Errorf("after the edit of %s: %w", indexFile, err)
	}
	return l.putIndex(ctx, index, edited)
}

// putIndex stores an edited index, if the edit changed it.
func (l *layout) putIndex(ctx context.Context, index, edited []byte) error {
	if bytes.Equal(edited, index) {
		return nil
	}
	return l.files.put(ctx, indexFile, edited)
}

// checkTagged fails if an edited index does not name d, or lost anything else.
func checkTagged(before []entry, index []byte, tag string, d v1.Descriptor) error {
	after, err := parseEdited(index)
	if err != nil {
		return err
	}
	e, err := find(after, tag)
	if err != nil {
		return err
	}
	if e.Digest != d.Digest.String() || e.Size != d.Size {
		return fmt.Errorf("the tag names %s, not %s", e.Digest, d.Digest)
	}
	return checkOthers(before, after, func(e entry) bool {
		if tag == "" {
			return e.isImage()
		}
		return e.Annotations[refName] == tag
	})
}

func parseEdited(index []byte) ([]entry, error) {
	if len(index) > MaxManifest {
		return nil, tooLarge(MaxManifest)
	}
	return parseIndex(index)
}

// checkOthers fails unless the entries that were not to be edited are the same
// before and after.
func checkOthers(before, after []entry, edited func(entry) bool) error {
	same := slices.EqualFunc(
		slices.DeleteFunc(slices.Clone(before), edited),
		slices.DeleteFunc(slices.Clone(after), edited),
		func(a, b entry) bool {
			return a.Digest == b.Digest && a.Annotations[refName] == b.Annotations[refName]
		})
	if !same {
		return errors.New("other entries are not what they were")
	}
	return nil
}
