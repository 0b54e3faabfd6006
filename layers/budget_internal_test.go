// SPDX-License-Identifier: Apache-2.0

package layers

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// filesOf makes a layer of so many empty files, with names of 5 bytes.
func filesOf(t *testing.T, layer byte, files int) Layer {
	t.Helper()
	var list []tar.Header
	for i := range files {
		list = append(list, tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("%c%04d", layer, i)})
	}
	return layerOf(t, list...)
}

// TestLimitsTogether: of several images counts what is in memory at once: a
// layer once, from when it is read until the last image has it, and a tree until
// done returns. Archives count once, and the trees of a run have a limit of
// their own. The least limits are taken, and one less is ErrTooMany in a layer.
func TestLimitsTogether(t *testing.T) {
	const lots = 1 << 40
	a, b := filesOf(t, 'a', 300), filesOf(t, 'b', 300)
	shared := slices.Repeat([][]Layer{{a}}, 50)
	for _, c := range []struct {
		rule   string
		images [][]Layer
		least  limits
	}{
		{"a layer that many images share, and one tree", shared, limits{600, lots, lots}},
		{"its names", shared, limits{lots, 3000, lots}},
		{"its archive", shared, limits{lots, lots, a.Size}},
		{"layers that only one image has", [][]Layer{{a}, {b}}, limits{lots, lots, a.Size + b.Size}},
		{"a layer that waits for the last image", [][]Layer{{a}, {b}, {a, b}}, limits{900, lots, lots}},
		{"trees of the whole run", slices.Repeat([][]Layer{{filesOf(t, 'a', 1)}}, 10*mergedTimes), limits{10, lots, lots}},
		{"names of the whole run", slices.Repeat([][]Layer{{filesOf(t, 'a', 1)}}, 10*mergedTimes), limits{lots, 50, lots}},
	} {
		if err := flattenAllWithin(t, c.least, c.images, 1); err != nil {
			t.Errorf("%s: %v within the limits", c.rule, err)
		}
		less := c.least
		switch {
		case less.entries < lots:
			less.entries--
		case less.text < lots:
			less.text--
		default:
			less.content--
		}
		err := flattenAllWithin(t, less, c.images, 1)
		var placed *Error
		if !errors.Is(err, ErrTooMany) || !errors.As(err, &placed) || !strings.Contains(err.Error(), "images together") {
			t.Errorf("%s: error %v, want ErrTooMany in a layer of images together", c.rule, err)
		}
	}
}

// TestRoom: over its part of the limits, only what the oldest image needs goes
// on; the others do when there is room, when they are the oldest, or with the
// context's error when it ends.
func TestRoom(t *testing.T) {
	for _, c := range []struct {
		rule string
		free func(b *budget, cancel context.CancelCauseFunc)
		want error
	}{
		{"room", func(b *budget, _ context.CancelCauseFunc) { b.give(amount{entries: 20}) }, nil},
		{"oldest", func(b *budget, _ context.CancelCauseFunc) { b.end(0, amount{}) }, nil},
		{"context", func(_ *budget, cancel context.CancelCauseFunc) { cancel(io.EOF) }, io.EOF},
	} {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				b := newBudget(limits{40, 40, 40}, 3, 1)
				for range 2 {
					if err := b.take(ctx, 0, amount{entries: 10}, 1); err != nil {
						t.Fatalf("the oldest: %v", err)
					}
				}
				took, began := make(chan error, 1), make(chan error, 1)
				go func() { took <- b.take(ctx, 1, amount{entries: 1}, 1) }()
				go func() { began <- b.begin(ctx, 1) }()
				synctest.Wait()
				if len(took)+len(began) > 0 {
					t.Error("the second image does not wait")
				}
				c.free(b, cancel)
				for _, got := range []error{<-took, <-began} {
					if !errors.Is(got, c.want) {
						t.Errorf("error %v, want %v", got, c.want)
					}
				}
			})
		})
	}
}

// TestReadAhead: layers are read for twice as many images as there are jobs, and
// for others only when some of these are done.
func TestReadAhead(t *testing.T) {
	for _, jobs := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var opened []int
			images := make([][]Layer, 20)
			for i := range images {
				l := filesOf(t, byte('a'+i), 1)
				open := l.Open
				l.Open = func(ctx context.Context) (io.ReadCloser, error) {
					mu.Lock()
					defer mu.Unlock()
					opened = append(opened, i)
					return open(ctx)
				}
				images[i] = []Layer{l}
			}
			next, ended := make(chan struct{}), make(chan error)
			go func() {
				ended <- FlattenAll(t.Context(), images, Options{Jobs: jobs}, func(int, *Merged, error) error {
					<-next
					return nil
				})
			}()
			for done := range images {
				synctest.Wait()
				mu.Lock()
				if want := min(done+aheadImages*jobs, len(images)); len(opened) != want || slices.Max(opened) != want-1 {
					t.Errorf("%d jobs: of %d layers %v are opened when %d images are done, want the first %d", jobs, len(images), opened, done, want)
				}
				mu.Unlock()
				next <- struct{}{}
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNoStandstill: with room for hardly more than one image, images that share
// layers in any way are all read, and all is given back but what nobody merged.
func TestNoStandstill(t *testing.T) {
	var pool []Layer
	for i := range 10 {
		pool = append(pool, filesOf(t, byte('a'+i), 600))
	}
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 9))
		images := make([][]Layer, 12)
		for i := range images {
			for range rng.IntN(5) {
				images[i] = append(images[i], pool[rng.IntN(len(pool))])
			}
		}
		jobs := 1 + int(seed%4)
		o := Options{Jobs: jobs}
		o.fill()
		r := newRun(images, &o)
		// All layers, the largest tree, and what each job may be over the part.
		r.budget = newBudget(limits{entries: int64(6000 + 2400 + jobs*2*600), text: 1 << 40, content: 1 << 40}, len(images), jobs)
		if err := r.flatten(t.Context(), jobs, func(_ int, _ *Merged, err error) error { return err }); err != nil {
			t.Errorf("seed %d, %d jobs: %v", seed, jobs, err)
		}
		if r.budget.held != (amount{}) {
			t.Errorf("seed %d, %d jobs: %v is not given back", seed, jobs, r.budget.held)
		}
	}
}

// TestFailedGivesBack: what was read of a layer or an image that is wrong is
// given back, too.
func TestFailedGivesBack(t *testing.T) {
	good := filesOf(t, 'a', 600)
	noParent := layerOf(t, tar.Header{Typeflag: tar.TypeDir, Name: "b/"}, tar.Header{Typeflag: tar.TypeReg, Name: "absent/a"})
	wrongDiff, device := good, layerOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "a"}, tar.Header{Typeflag: 'V', Name: "v"})
	wrongDiff.DiffID = noParent.DiffID
	images := [][]Layer{{good, wrongDiff}, {noParent, good}, {good, device}, {device, device}, {wrongDiff, noParent}}
	o := Options{Jobs: 2}
	o.fill()
	r := newRun(images, &o)
	err := r.flatten(t.Context(), o.Jobs, func(i int, _ *Merged, err error) error {
		if err == nil {
			t.Errorf("image %d is right", i)
		}
		return nil
	})
	if err != nil || r.budget.held != (amount{}) {
		t.Errorf("error %v, %v is not given back", err, r.budget.held)
	}
}
