// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cfs-label/cfs-label/layers"
)

// TestImageFaults: what is wrong with an image, or with a layer, is told to the
// images that have it, each with the layer's place in it, and to no other.
func TestImageFaults(t *testing.T) {
	tar := storedArchive(t)
	base := plainLayer(archive(t, "dir usr/"))
	more := plainLayer(archive(t, `file usr/more "m"`))
	damagedLayer := blobOf(plainLayer(tar), damaged(tar))
	noDir := plainLayer(archive(t, `file etc/a "a"`))
	etc := plainLayer(archive(t, "dir etc/"))
	wrongDiff := newLayer(tar, gzipMember(t, tar), layers.Gzip)
	wrongDiff.DiffID = hashOf(nil)
	type fault struct {
		layer int
		path  string
		err   error // nil if the image is right
	}
	cases := []struct {
		image []layers.Layer
		want  fault
	}{
		{[]layers.Layer{base, more}, fault{}},
		{[]layers.Layer{base, damagedLayer}, fault{layer: 1, err: layers.ErrDigest}},
		{[]layers.Layer{base, more, more, damagedLayer, damagedLayer, base}, fault{layer: 3, err: layers.ErrDigest}},
		{[]layers.Layer{base, etc, noDir, more}, fault{}},
		{[]layers.Layer{base, noDir, etc, more}, fault{layer: 1, path: "etc/a", err: layers.ErrNoParent}},
		{[]layers.Layer{wrongDiff}, fault{layer: 0, err: layers.ErrDiffID}},
		{[]layers.Layer{base, openError(etc, true)}, fault{layer: 1, err: layers.ErrForeign}},
		{[]layers.Layer{etc, base, etc}, fault{}},
		{nil, fault{}},
	}
	for _, jobs := range []int{1, 2, 8} {
		var images [][]layers.Layer
		for _, c := range cases {
			images = append(images, c.image)
		}
		noLeak(t)
		for i, got := range flattenAll(t, images, layers.Options{Jobs: jobs}) {
			c := cases[i]
			if c.want.err != nil {
				checkPlaced(t, got.err, c.want.layer, c.image, c.want.path)
				if !errors.Is(got.err, c.want.err) {
					t.Errorf("%d jobs, image %d: error %v, want %v", jobs, i, got.err, c.want.err)
				}
				continue
			}
			merged, _, err := dumps(t.Context(), c.image, layers.Options{})
			if got.merged != merged || got.err != nil != (err != nil) {
				t.Errorf("%d jobs, image %d: error %v, got\n%s\nalone: error %v\n%s", jobs, i, got.err, got.merged, err, merged)
			}
		}
	}
}

// TestUnwantedHang: what hangs is called off when all the images that have it
// have failed, whether a layer or the merge is wrong; the others come out.
func TestUnwantedHang(t *testing.T) {
	base := plainLayer(archive(t, "dir usr/"))
	good := plainLayer(archive(t, "dir usr/", "dir usr/good"))
	for name, slow := range hanging(t) {
		for _, c := range []struct {
			rule, line, path string
			// second makes an image of the layers that hangs and that is wrong.
			second func(slow, bad layers.Layer) []layers.Layer
			at     int // where it is wrong
		}{
			{
				rule: "layer", line: "file usr/x field.checksum=1", at: 3,
				second: func(slow, bad layers.Layer) []layers.Layer { return []layers.Layer{base, slow, slow, bad} },
			},
			{ // the merge does not get past what hangs
				rule: "merge", line: "file absent/a", path: "absent/a",
				second: func(slow, bad layers.Layer) []layers.Layer { return []layers.Layer{bad, slow} },
			},
		} {
			t.Run(name+"/"+c.rule, func(t *testing.T) {
				noLeak(t)
				begun := make(chan struct{})
				slow, bad := slow, plainLayer(archive(t, c.line))
				openSlow, openBad := slow.Open, bad.Open
				slow.Open = func(ctx context.Context) (io.ReadCloser, error) {
					close(begun)
					return openSlow(ctx)
				}
				bad.Open = func(ctx context.Context) (io.ReadCloser, error) {
					<-begun // so that there is something to call off
					return openBad(ctx)
				}
				images := [][]layers.Layer{{base, bad, slow}, c.second(slow, bad), {base, good}}
				start := time.Now()
				got := flattenAll(t, images, layers.Options{Jobs: 8})
				checkPlaced(t, got[0].err, 1, images[0], c.path)
				checkPlaced(t, got[1].err, c.at, images[1], c.path)
				if got[2].err != nil {
					t.Errorf("the good image: %v", got[2].err)
				}
				if took := time.Since(start); took > promptly {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}

// TestUnwantedNotOpened: a layer that only failed images have is not opened; one
// that another has is.
func TestUnwantedNotOpened(t *testing.T) {
	tar := storedArchive(t)
	bad := blobOf(plainLayer(tar), damaged(tar)) // the largest, so the first
	var used opens
	alone := used.watch(0, plainLayer(archive(t, "dir usr/")))
	shared := used.watch(1, plainLayer(archive(t, "dir usr/", "dir usr/a")))
	images := [][]layers.Layer{{alone, bad, shared}, {bad, alone, alone}, {shared}}
	got := flattenAll(t, images, layers.Options{Jobs: 1})
	checkPlaced(t, got[0].err, 1, images[0], "")
	checkPlaced(t, got[1].err, 0, images[1], "")
	if got[2].err != nil {
		t.Error(got[2].err)
	}
	if !slices.Equal(used.count, []int{0, 1}) {
		t.Errorf("opened %v times, want [0 1]", used.count)
	}
}

// TestFlattenAllCalledOff: the end of the context ends all at once with its
// error, and so does an error of done; what hangs is told to nobody.
func TestFlattenAllCalledOff(t *testing.T) {
	base := plainLayer(archive(t, "dir usr/"))
	for name, slow := range hanging(t) {
		for _, jobs := range []int{1, 2, 8} {
			images := [][]layers.Layer{{base}, {base, slow}, {slow, base, slow}, {base, slow, base}}
			for rule, end := range map[string]func(cancel context.CancelCauseFunc) error{
				"context": func(cancel context.CancelCauseFunc) error { cancel(errMine); return nil },
				"done":    func(context.CancelCauseFunc) error { return errMine },
			} {
				t.Run(name+"/"+rule, func(t *testing.T) {
					noLeak(t)
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					start := time.Now()
					err := layers.FlattenAll(ctx, images, layers.Options{Jobs: jobs}, func(i int, _ *layers.Merged, err error) error {
						if i != 0 || err != nil {
							t.Errorf("image %d is told, error %v", i, err)
						}
						return end(cancel)
					})
					if !errors.Is(err, errMine) {
						t.Errorf("error %v, want %v", err, errMine)
					}
					if took := time.Since(start); took > promptly {
						t.Errorf("it took %v", took)
					}
				})
			}
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errMine)
	err := layers.FlattenAll(ctx, [][]layers.Layer{{base}, nil}, layers.Options{}, func(i int, _ *layers.Merged, err error) error {
		t.Errorf("image %d is told, error %v", i, err)
		return nil
	})
	if !errors.Is(err, errMine) {
		t.Errorf("error %v, want the cause of calling off", err)
	}
}

// TestImagesInOrder: an image is told as soon as its own layers are read. Here
// the layers of each can only be read once the image before was told.
func TestImagesInOrder(t *testing.T) {
	noLeak(t)
	base := archive(t, "dir usr/")
	for _, jobs := range []int{1, 3} {
		var images [][]layers.Layer
		told := []chan struct{}{make(chan struct{})}
		close(told[0])
		for i := range 6 {
			told = append(told, make(chan struct{}))
			tar := archive(t, "dir usr/", `file usr/a "`+strings.Repeat("a", 1000*i)+`"`)
			own := plainLayer(tar)
			own.Open = func(context.Context) (io.ReadCloser, error) {
				select {
				case <-told[i]:
					return io.NopCloser(bytes.NewReader(tar)), nil
				case <-time.After(promptly):
					return nil, errMine
				}
			}
			images = append(images, []layers.Layer{plainLayer(base), own})
		}
		err := layers.FlattenAll(t.Context(), images, layers.Options{Jobs: jobs}, func(i int, _ *layers.Merged, err error) error {
			close(told[i+1])
			return err
		})
		if err != nil {
			t.Errorf("%d jobs: %v", jobs, err)
		}
	}
}
