// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cfs-label/cfs-label/layers"
)

// randomStack makes layers with entries of all kinds, whiteouts and hard links,
// which fit together.
func randomStack(t testing.TB, rng *rand.Rand) [][]byte {
	t.Helper()
	var archives [][]byte
	for range 1 + rng.IntN(6) {
		lines := []string{"dir usr/ mtime=1", "file usr/anchor size=100", "dir a/", "dir a/b/", "dir c/"}
		dirs := []string{"a/", "a/b/", "c/"}
		for i := range rng.IntN(600) {
			name := fmt.Sprintf("%sf%d", dirs[rng.IntN(len(dirs))], rng.IntN(40))
			kind := fmt.Sprintf(" mtime=%d %d:0", i, rng.IntN(9))
			switch rng.IntN(9) {
			case 0:
				lines = append(lines, "symlink "+name+" to=x"+kind)
			case 1:
				lines = append(lines, "link "+name+" to=usr/anchor")
			case 2:
				lines = append(lines, "fifo "+name+kind+" xattr=user.a="+name)
			case 3:
				lines = append(lines, "file a/.wh."+name[len(name)-2:])
			case 4:
				if rng.IntN(20) == 0 {
					lines = append(lines, "file c/.wh..wh..opq")
				}
			case 5:
				lines = append(lines, fmt.Sprintf("file %s size=%d", name, rng.IntN(100_000)))
			default:
				lines = append(lines, fmt.Sprintf("file %s%s size=%d", name, kind, rng.IntN(130)))
			}
		}
		archives = append(archives, archive(t, lines...))
	}
	return archives
}

// slowReader returns pieces of random length after random times.
type slowReader struct {
	mu  sync.Mutex
	rng *rand.Rand
	r   io.Reader
}

func (s *slowReader) Read(p []byte) (int, error) {
	s.mu.Lock()
	n, wait := 1+s.rng.IntN(min(len(p), 64<<10)), s.rng.IntN(12)
	s.mu.Unlock()
	if wait < 3 {
		time.Sleep(time.Duration(wait) * 100 * time.Microsecond)
	}
	return s.r.Read(p[:n])
}

func (s *slowReader) Close() error { return nil }

// slow makes layers of archives whose blobs come in another rhythm for every
// seed, and stored in another way.
func slow(t testing.TB, archives [][]byte, seed uint64) []layers.Layer {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	list := make([]layers.Layer, 0, len(archives))
	for _, tar := range archives {
		c := layers.Compression(rng.IntN(3))
		blob := compress(t, c, tar)
		l := newLayer(tar, blob, c)
		own := rng.Uint64()
		l.Open = func(context.Context) (io.ReadCloser, error) {
			rng := rand.New(rand.NewPCG(own, 8))
			time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
			return &slowReader{rng: rng, r: bytes.NewReader(blob)}, nil
		}
		list = append(list, l)
	}
	return list
}

// TestDeterminism: the tree depends on the layers alone, not on how many are
// read at once, in which rhythm they come, or how they are compressed.
func TestDeterminism(t *testing.T) {
	noLeak(t)
	for stack := range uint64(12) {
		archives := randomStack(t, rand.New(rand.NewPCG(stack, 3)))
		var plain []layers.Layer
		for _, tar := range archives {
			plain = append(plain, plainLayer(tar))
		}
		_, want, err := dumps(t.Context(), plain, layers.Options{Jobs: 1})
		if err != nil || len(want) < 100 {
			t.Fatalf("stack %d: %v\n%s", stack, err, want)
		}
		for _, jobs := range []int{0, 1, 2, 8} {
			for seed := range uint64(3) {
				_, got, err := dumps(t.Context(), slow(t, archives, seed+10*uint64(jobs)), layers.Options{Jobs: jobs})
				if err != nil {
					t.Fatalf("stack %d, jobs %d: %v", stack, jobs, err)
				}
				if got != want {
					t.Fatalf("stack %d, %d jobs: got\n%s\nwith one:\n%s", stack, jobs, got, want)
				}
			}
		}
	}
}

// TestProgress: what is reported adds up to the blobs, layer by layer.
func TestProgress(t *testing.T) {
	archives := randomStack(t, rand.New(rand.NewPCG(5, 3)))
	list := slow(t, archives, 1)
	var mu sync.Mutex
	sizes := make([]int64, len(list))
	_, err := layers.Flatten(t.Context(), list, layers.Options{Progress: func(layer, n int) {
		mu.Lock()
		defer mu.Unlock()
		sizes[layer] += int64(n)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range list {
		if sizes[i] != l.Size {
			t.Errorf("layer %d: %d bytes reported, the blob has %d", i, sizes[i], l.Size)
		}
	}
}

// TestJobs: no more layers are open at once than Jobs says.
func TestJobs(t *testing.T) {
	for _, jobs := range []int{1, 3} {
		var mu sync.Mutex
		open, most := 0, 0
		var list []layers.Layer
		for i := range 12 {
			tar := archive(t, "dir usr/", fmt.Sprintf("dir usr/%d", i))
			l := plainLayer(tar)
			l.Open = func(context.Context) (io.ReadCloser, error) {
				mu.Lock()
				open++
				most = max(most, open)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				return struct {
					io.Reader
					io.Closer
				}{bytes.NewReader(tar), closer(func() {
					mu.Lock()
					defer mu.Unlock()
					open--
				})}, nil
			}
			list = append(list, l)
		}
		if _, err := layers.Flatten(t.Context(), list, layers.Options{Jobs: jobs}); err != nil {
			t.Fatal(err)
		}
		if most > jobs || open != 0 {
			t.Errorf("with %d jobs %d layers were open at once, and %d are still", jobs, most, open)
		}
	}
}

type closer func()

func (c closer) Close() error {
	c()
	return nil
}
