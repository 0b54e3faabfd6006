// SPDX-License-Identifier: Apache-2.0

// Package faults_test seals images in registries that fail, in every way that
// registries and networks do, and reads back what became of them.
//
//	go test .                                     # 200 seeds, and the cut-off test
//	go test . -run TestSeeds -v -args -seed 17    # one again
package faults_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"
)

const (
	defaultRuns = 200
	// patience is how long a run may take, with all its retries and pauses.
	patience = time.Minute
	// atOnce is how many runs go on at the same time. They wait, mostly.
	atOnce = 8
)

var (
	seedFlag  = flag.Uint64("seed", 0, "the one seed to run; 0 is all")
	runsFlag  = flag.Int("runs", defaultRuns, "how many seeds to run")
	firstFlag = flag.Uint64("first", 1, "the first of them; the others count up from it")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "cfs-label-faults-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	programDir = dir
	m.Run()
}

// TestSeeds: each run ends sealed right, or with a clear error and the tag where
// it was. Only where the answer to the tag's own PUT was lost, the tag may be at
// the new image, which is whole.
func TestSeeds(t *testing.T) {
	sum := newSummary()
	t.Run("run", func(t *testing.T) {
		for _, seed := range seeds() {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				runSeed(t, newPlan(seed), sum, inProcess)
			})
		}
	})
	sum.report(t)
	sum.write(t)
	if *seedFlag == 0 && *runsFlag >= defaultRuns {
		sum.complete(t)
	}
}

// TestQuietlyBad: what a tag names has no digest in the reference; a bit that is
// wrong in it is found all the same, by the digest that the registry sends along.
func TestQuietlyBad(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			p := newPlan(seed)
			p.mood, p.hopeless = hopeless, quietlyBad
			runSeed(t, p, newSummary(), inProcess)
		})
	}
}

func seeds() []uint64 {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	list := make([]uint64, *runsFlag)
	for i := range list {
		list[i] = *firstFlag + uint64(i)
	}
	return list
}

// runner runs the product against a host.
type runner func(ctx context.Context, t *testing.T, s *scene, host string) result

func inProcess(ctx context.Context, _ *testing.T, s *scene, host string) result {
	return s.job.seal(ctx, host, s.o, s.plan.budget.retries())
}

func runSeed(t *testing.T, p *plan, sum *summary, run runner) {
	t.Helper()
	o := newOriginal(t, rand.New(rand.NewPCG(p.seed, 2)), p.shape) //nolint:gosec // the same each time is what is wanted
	s := newScene(t, o, p)
	proxy := startProxy(t, p, s.b, o)
	r := watch(t, p.String(), func(ctx context.Context) result { return run(ctx, t, s, proxy.host) })
	counts, mayMove := proxy.result()
	end, err := s.judge(r, mayMove)
	if err == nil {
		err = r.toldOnce(p, counts)
	}
	if err != nil {
		t.Errorf("%s: %v\nfaults: %v\nthe product said: %v", p, err, counts, r.err)
		return
	}
	if err := p.expect(end, counts[hopelessCount] > 0); err != nil {
		t.Errorf("%s: %v\nfaults: %v\nthe product said: %v", p, err, counts, r.err)
	}
	t.Logf("%s: %s; %v", p, end, counts)
	if r.err != nil {
		t.Log(r.err)
	}
	sum.add(p, end, counts)
}

// expect fails for an end that the plan does not allow.
func (p *plan) expect(end ending, hit bool) error {
	if p.mood == mild && end != sealedEnd {
		return fmt.Errorf("%s: nothing happened that does not pass", end)
	}
	if p.mood == hopeless && hit && end == sealedEnd {
		return fmt.Errorf("%s: that cannot be", end)
	}
	return nil
}

// watch calls f and fails, with what every goroutine does, if it hangs.
func watch(t *testing.T, what string, f func(context.Context) result) result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan result, 1)
	go func() { done <- f(ctx) }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case r := <-done:
		return r
	case <-timer.C:
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		t.Fatalf("%s: it hangs\n%s", what, stacks)
		return result{}
	}
}
