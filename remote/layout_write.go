// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Permissions of what is created in a layout, before the umask.
const (
	filePerm = 0o666
	dirPerm  = 0o777
)

// CheckPush creates a file in the layout and removes it again.
func (l *layout) CheckPush(ctx context.Context) error {
	const op = "ask for permission to write"
	if err := ctx.Err(); err != nil {
		return l.fail(op, err)
	}
	if l.editor == nil {
		return l.fail(op, errNoEditor)
	}
	f, err := createTemp(l.dir, filePerm)
	if err != nil {
		return l.fail(op, err)
	}
	_ = f.Close()
	return l.fail(op, os.Remove(f.Name()))
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
	path := l.blobPath(d.Digest)
	if err := os.MkdirAll(filepath.Dir(path), dirPerm); err != nil {
		return err
	}
	return replaceFile(path, b, filePerm)
}

// Tag edits index.json under a lock: of two runs at once, none loses what the
// other wrote.
func (l *layout) Tag(ctx context.Context, tag string, d v1.Descriptor, raw []byte, was string) error {
	a := asked{what: aTag, name: tag, write: true}
	if l.editor == nil {
		return l.fail(a.String(), errNoEditor)
	}
	if err := l.PushManifest(ctx, d, raw); err != nil {
		return err
	}
	unlock, err := lockFile(ctx, filepath.Join(l.dir, layoutFile))
	if err != nil {
		return l.fail(a.String(), err)
	}
	defer unlock()
	return l.fail(a.String(), l.setTag(tag, d, was))
}

func (l *layout) setTag(tag string, d v1.Descriptor, was string) error {
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
	case err != nil && (tag == "" || !errors.Is(err, ErrNotFound)):
		return err
	}
	if tag == "" {
		tag = now.Annotations[refName]
	}
	edited, err := l.editor.SetTag(index, tag, d)
	if err != nil {
		return err
	}
	if err := checkEdited(edited, tag, d); err != nil {
		return err
	}
	if bytes.Equal(edited, index) {
		return nil
	}
	return replaceFile(filepath.Join(l.dir, indexFile), edited, filePerm)
}

// checkEdited fails if an edited index does not name d.
func checkEdited(index []byte, tag string, d v1.Descriptor) error {
	if len(index) > MaxManifest {
		return fmt.Errorf("%s: %w", indexFile, tooLarge(MaxManifest))
	}
	entries, err := parseIndex(index)
	if err != nil {
		return err
	}
	e, err := find(entries, tag)
	if err != nil {
		return fmt.Errorf("after the edit of %s: %w", indexFile, err)
	}
	if e.Digest != d.Digest.String() || e.Size != d.Size {
		return fmt.Errorf("after the edit of %s the tag names %s, not %s", indexFile, e.Digest, d.Digest)
	}
	return nil
}
