// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/layers"
)

// outcome is what an image gives.
type outcome struct {
	merged, final string
	err           error // of the reading, or of the transform
	told          int   // how often
}

// flattenAll returns what each image gives, and fails the test unless each is
// told once.
func flattenAll(t testing.TB, images [][]layers.Layer, o layers.Options) []outcome {
	t.Helper()
	o.Algorithms = []fsverity.Algorithm{fsverity.SHA256}
	all := make([]outcome, len(images))
	var mu sync.Mutex
	err := layers.FlattenAll(t.Context(), images, o, func(i int, merged *layers.Merged, err error) error {
		if (merged == nil) != (err != nil) {
			t.Errorf("image %d: tree %v, error %v; want one of them", i, merged, err)
		}
		got := outcome{err: err}
		if err == nil {
			got.merged, got.final, got.err = dumpsOf(merged.Tree)
		}
		mu.Lock()
		defer mu.Unlock()
		got.told = all[i].told + 1
		all[i] = got
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range all {
		if got.told != 1 {
			t.Fatalf("image %d is told %d times", i, got.told)
		}
	}
	return all
}

// opens counts how often each layer of a list is opened.
type opens struct {
	mu    sync.Mutex
	count []int
}

// watch counts the openings of the layer at position i.
func (o *opens) watch(i int, l layers.Layer) layers.Layer {
	o.count = append(o.count, make([]int, max(0, i+1-len(o.count)))...)
	open := l.Open
	l.Open = func(ctx context.Context) (io.ReadCloser, error) {
		o.mu.Lock()
		o.count[i]++
		o.mu.Unlock()
		return open(ctx)
	}
	return l
}

// TestDistinct: layers are in the order in which they first come, each with all
// its places; what differs in anything but how it is opened is another layer.
func TestDistinct(t *testing.T) {
	a := plainLayer(archive(t, "dir a/"))
	list := []layers.Layer{a}
	for _, change := range []func(l *layers.Layer){
		func(l *layers.Layer) { l.Digest.Hex = "other" },
		func(l *layers.Layer) { l.Digest.Algorithm = "other" },
		func(l *layers.Layer) { l.Size++ },
		func(l *layers.Layer) { l.DiffID.Hex = "other" },
		func(l *layers.Layer) { l.Compression = layers.Zstd },
		func(l *layers.Layer) { l.Foreign = true },
	} {
		l := a
		change(&l)
		list = append(list, l)
	}
	again := a
	again.Open = openError(a, false).Open
	images := [][]layers.Layer{{list[1], again, list[1]}, {}, list}
	want := [][]layers.Use{
		{{Image: 0, Layer: 0}, {Image: 0, Layer: 2}, {Image: 2, Layer: 1}},
		{{Image: 0, Layer: 1}, {Image: 2, Layer: 0}},
	}
	for i := range list[2:] {
		want = append(want, []layers.Use{{Image: 2, Layer: i + 2}})
	}
	var got [][]layers.Use
	for _, l := range layers.Distinct(images) {
		got = append(got, l.Uses)
		if first := images[l.Uses[0].Image][l.Uses[0].Layer]; l.Digest != first.Digest || l.DiffID != first.DiffID {
			t.Errorf("the layer of %v is %v, want %v", l.Uses, l.Digest, first.Digest)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places: -want +got:\n%s", diff)
	}
}

// randomImages puts images together of layers that they share, some of them
// twice in an image.
func randomImages(rng *rand.Rand, pool []layers.Layer) [][]layers.Layer {
	images := make([][]layers.Layer, 2+rng.IntN(8))
	for i := range images {
		for range rng.IntN(8) {
			images[i] = append(images[i], pool[rng.IntN(len(pool))])
		}
	}
	return images
}

// TestFlattenAll: each image gives what it gives alone, and each layer is opened
// once, however many are read at once and in whatever rhythm they come.
func TestFlattenAll(t *testing.T) {
	noLeak(t)
	for stack := range uint64(8) {
		rng := rand.New(rand.NewPCG(stack, 4))
		archives := append(randomStack(t, rng), randomStack(t, rng)...)
		for _, jobs := range []int{1, 2, 8} {
			var used opens
			alone := slow(t, archives, stack+10*uint64(jobs))
			var pool []layers.Layer
			for i, l := range alone {
				pool = append(pool, used.watch(i, l))
			}
			seed := rng.Uint64()
			images := randomImages(rand.New(rand.NewPCG(seed, 5)), pool)
			got := flattenAll(t, images, layers.Options{Jobs: jobs})
			for i, image := range randomImages(rand.New(rand.NewPCG(seed, 5)), alone) {
				merged, final, err := dumps(t.Context(), image, layers.Options{})
				want := outcome{merged: merged, final: final, told: 1}
				if (err == nil) != (got[i].err == nil) || err != nil && err.Error() != got[i].err.Error() {
					t.Fatalf("stack %d, %d jobs, image %d: error %v, alone %v", stack, jobs, i, got[i].err, err)
				}
				if got[i].err = nil; got[i] != want {
					t.Fatalf("stack %d, %d jobs, image %d: got\n%s\nalone\n%s", stack, jobs, i, got[i].final, want.final)
				}
			}
			checkOpens(t, images, pool, used.count)
		}
	}
}

// checkOpens checks that each layer of the pool was opened once if an image has
// it, and else not at all.
func checkOpens(t *testing.T, images [][]layers.Layer, pool []layers.Layer, count []int) {
	t.Helper()
	distinct := layers.Distinct(images)
	for i, n := range count {
		want := 0
		if slices.ContainsFunc(distinct, func(s layers.Shared) bool { return s.Digest == pool[i].Digest }) {
			want = 1
		}
		if n != want {
			t.Errorf("layer %d of %d was opened %d times, want %d", i, len(pool), n, want)
		}
	}
}

// TestFlattenAllCases: all the images of testdata/merge in one run give what
// their files say, though most of them are wrong.
func TestFlattenAllCases(t *testing.T) {
	cases := readCases(t)
	rand.New(rand.NewPCG(1, 6)).Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
	for _, jobs := range []int{1, 2, 8} {
		var images [][]layers.Layer
		for _, c := range cases {
			images = append(images, c.layers())
		}
		for i, got := range flattenAll(t, images, layers.Options{Jobs: jobs}) {
			t.Run(fmt.Sprintf("%d jobs/%s", jobs, cases[i].name), func(t *testing.T) {
				want := cases[i].want
				if wantErr, ok := want["want.err"]; ok {
					checkError(t, got.err, wantErr)
					return
				}
				if got.err != nil {
					t.Fatal(got.err)
				}
				for name, text := range map[string]string{"want.dump": got.final, "want.merged": got.merged} {
					if diff := cmp.Diff(want[name], text); want[name] != "" && diff != "" {
						t.Errorf("%s: -want +got:\n%s", name, diff)
					}
				}
			})
		}
	}
}

// TestLayerTwice: a layer that an image has twice is folded twice, in order, and
// read once for all images.
func TestLayerTwice(t *testing.T) {
	var used opens
	base := used.watch(0, plainLayer(archive(t, "dir usr/", `file usr/base "b"`)))
	one := used.watch(1, plainLayer(archive(t, `file usr/a "one"`, `file usr/one "1"`)))
	two := used.watch(2, plainLayer(archive(t, `file usr/a "two"`, "file usr/.wh.one", "file usr/.wh.base")))
	images := [][]layers.Layer{{base, one, two, one}, {base, one, two}, {base, two, one, base}, {base, one, one}}
	want := []string{"a=one one", "a=two", "a=one base one", "a=one base one"}
	for i, got := range flattenAll(t, images, layers.Options{}) {
		if got.err != nil {
			t.Fatal(got.err)
		}
		var names []string
		for line := range strings.Lines(got.final) {
			words := strings.Fields(line)
			name, ok := strings.CutPrefix(words[0], "/usr/")
			if name == "a" {
				name += "=" + words[9] // the content (dump format, field 10)
			}
			if ok {
				names = append(names, name)
			}
		}
		if text := strings.Join(names, " "); text != want[i] {
			t.Errorf("image %d has %s, want %s", i, text, want[i])
		}
	}
	if !slices.Equal(used.count, []int{1, 1, 1}) {
		t.Errorf("the layers were opened %v times, want once each", used.count)
	}
}

// TestFlattenAllProgress: what is reported adds up to the blobs, by the places
// of Distinct, for Flatten too, though a layer be there twice.
func TestFlattenAllProgress(t *testing.T) {
	archives := randomStack(t, rand.New(rand.NewPCG(5, 3)))
	list := slow(t, append(archives, archive(t, "dir usr/")), 2)
	n := len(list)
	images := [][]layers.Layer{{list[n-1], list[0], list[n-1]}, list}
	var mu sync.Mutex
	var sizes []int64
	o := layers.Options{Progress: func(layer, n int) {
		mu.Lock()
		defer mu.Unlock()
		sizes[layer] += int64(n)
	}}
	check := func(i int, want int64) {
		if sizes[i] != want {
			t.Errorf("layer %d: %d bytes reported, the blob has %d", i, sizes[i], want)
		}
	}
	distinct := layers.Distinct(images)
	sizes = make([]int64, len(distinct))
	flattenAll(t, images, o)
	for i, l := range distinct {
		check(i, l.Size)
	}
	twice := []layers.Layer{list[0], list[0], list[n-1]}
	sizes = make([]int64, len(twice))
	if _, err := layers.Flatten(t.Context(), twice, o); err != nil {
		t.Fatal(err)
	}
	check(0, list[0].Size)
	check(1, list[n-1].Size)
	check(2, 0)
}

// TestFlattenAllJobs: no more images than Jobs says are merged and told at once.
func TestFlattenAllJobs(t *testing.T) {
	images := make([][]layers.Layer, 20)
	for _, jobs := range []int{1, 3} {
		var mu sync.Mutex
		now, most := 0, 0
		add := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			now += n
			most = max(most, now)
		}
		err := layers.FlattenAll(t.Context(), images, layers.Options{Jobs: jobs}, func(int, *layers.Merged, error) error {
			add(1)
			defer add(-1)
			_, err := io.Copy(io.Discard, io.LimitReader(zeroReader{}, 1<<20)) // a while
			return err
		})
		if err != nil || most > jobs {
			t.Errorf("with %d jobs %d images were told at once, error %v", jobs, most, err)
		}
	}
}
