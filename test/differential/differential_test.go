// SPDX-License-Identifier: Apache-2.0

// Package differential_test compares cfs-label with the reference, cfsctl, on
// random layer stacks.
//
//	go test . -args -stacks 500 -boots 150
//	go test . -run TestStacks -args -seed 1234 -stacks 1   # one again
package differential_test

import (
	"context"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cfs-label/cfs-label/internal/oracle"
	"github.com/cfs-label/cfs-label/test/differential/stackgen"
)

var (
	stacksFlag = flag.Int("stacks", 50, "how many random stacks to compare")
	seedFlag   = flag.Uint64("seed", 20260301, "seed of the first stack; the others count up from it")
	keepFlag   = flag.String("keep", "", "directory to keep the layouts of failed stacks in (default: a new one in the temporary directory)")
	shrinkFlag = flag.Int("shrink", 120, "how many smaller stacks to try for a difference; 0 to not shrink")
)

// maxReports is how many differences are shrunk and shown in full.
const maxReports = 5

// TestStacks asks both programs about random stacks: equal digests, and an
// error where the reference has one.
func TestStacks(t *testing.T) {
	c := newComparison(t, build(t))
	if *stacksFlag < 1 {
		t.Fatal("-stacks must be at least 1")
	}
	seeds := make([]uint64, *stacksFlag)
	for i := range seeds {
		seeds[i] = *seedFlag + uint64(i)
	}
	inParallel(seeds, func(seed uint64) { c.compare(stackgen.Generate(seed)) })
	c.summarize()
}

// TestFaults asks about every kind of fault: both must refuse.
func TestFaults(t *testing.T) {
	c := newComparison(t, build(t))
	inParallel(stackgen.Faults(), func(name string) {
		stack, ok := stackgen.GenerateFault(*seedFlag, name)
		if !ok {
			t.Errorf("no fault %q", name)
			return
		}
		c.compare(stack)
	})
	c.summarize()
}

// TestGeneratorMostlyValid keeps the generator honest: a stack that the
// reference refuses tests nothing but the refusal. It also asks the reference
// twice, as a digest that changes would be no reference.
func TestGeneratorMostlyValid(t *testing.T) {
	cfsctl := reference{program: oracle.Require(t, "cfsctl")}
	const wantPercent = 85
	count := min(max(*stacksFlag/2, 25), 100)
	var mu sync.Mutex
	meant, valid := 0, 0
	reasons := make(map[string][]uint64)
	seeds := make([]uint64, count)
	for i := range seeds {
		seeds[i] = *seedFlag + 1_000_000 + uint64(i)
	}
	inParallel(seeds, func(seed uint64) {
		stack := stackgen.Generate(seed)
		if stack.Fault != "" {
			return
		}
		answers, again, err := askTwice(t, cfsctl, stack)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if difference(answers, again) != nil {
			t.Errorf("seed %d: the reference contradicts itself:\n%v\n%v", seed, answers, again)
		}
		meant++
		if reason := firstError(answers); reason != "" {
			reasons[reason] = append(reasons[reason], seed)
			return
		}
		valid++
	})
	t.Logf("the reference accepts %d of %d stacks without a fault", valid, meant)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		t.Logf("seeds %v: %s", reasons[reason], reason)
	}
	if valid*100 < meant*wantPercent {
		t.Errorf("that is less than %d %%", wantPercent)
	}
}

// TestReferenceRefusesFaults keeps the faults honest: what the reference takes
// is none.
func TestReferenceRefusesFaults(t *testing.T) {
	cfsctl := reference{program: oracle.Require(t, "cfsctl")}
	inParallel(stackgen.Faults(), func(name string) {
		stack, ok := stackgen.GenerateFault(*seedFlag, name)
		if !ok || stack.Fault != name {
			t.Errorf("no stack with the fault %q", name)
			return
		}
		work := workDirectory(t)
		defer os.RemoveAll(work)
		layout := filepath.Join(work, "layout")
		if err := stack.Write(layout); err != nil {
			t.Error(err)
			return
		}
		answers, err := cfsctl.compute(t.Context(), layout, work)
		if err != nil {
			t.Error(err)
			return
		}
		for _, c := range combinations() {
			if answers[c].err == "" {
				t.Errorf("%s: accepted for %s", name, c)
			}
		}
		t.Logf("%s: %s", name, firstError(answers))
	})
}

// askTwice returns the reference's answers, asked for on their own each time.
func askTwice(t *testing.T, cfsctl reference, stack stackgen.Stack) (first, second map[combination]answer, err error) {
	t.Helper()
	work := workDirectory(t)
	defer os.RemoveAll(work)
	layout := filepath.Join(work, "layout")
	if err := stack.Write(layout); err != nil {
		return nil, nil, err
	}
	if first, err = cfsctl.compute(t.Context(), layout, work); err != nil {
		return nil, nil, err
	}
	second, err = cfsctl.compute(t.Context(), layout, work)
	return first, second, err
}

// firstError returns the first of the errors, without the digests in it.
func firstError(answers map[combination]answer) string {
	for _, c := range combinations() {
		if err := answers[c].err; err != "" {
			lines := strings.Split(err, "\n")
			return strings.TrimSpace(lines[len(lines)-1])
		}
	}
	return ""
}

// inParallel calls do for all values, as many at once as there are CPUs. It
// calls t.Fatal-free code: do reports by its own means.
func inParallel[T any](values []T, do func(T)) {
	queue := make(chan T)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for v := range queue {
				do(v)
			}
		})
	}
	for _, v := range values {
		queue <- v
	}
	close(queue)
	workers.Wait()
}

// A contender computes what the reference does.
type contender interface {
	// compute returns the digests of the layout's image.
	compute(ctx context.Context, layout string) map[combination]answer
	// dump returns the tree that a digest is of.
	dump(ctx context.Context, c combination, layout string) (string, error)
}

// A comparison holds the two programs against each other.
type comparison struct {
	t         *testing.T
	reference reference
	ours      contender
	// excuse says why the answers may differ; nil or "": they may not.
	excuse func(theirs, ours map[combination]answer) string

	mu               sync.Mutex
	digests, refused int
	faults           int
	excused          map[string]int // by excuse
	refusals         map[string]int // by what the reference says, without a deliberate fault
	different        []uint64
	kept             string
}

func newComparison(t *testing.T, ours contender) *comparison {
	t.Helper()
	return &comparison{
		t: t, reference: reference{program: oracle.Require(t, "cfsctl")}, ours: ours,
		excused: make(map[string]int), refusals: make(map[string]int), kept: *keepFlag,
	}
}

// compare asks both programs about a stack, and reports what differs.
func (c *comparison) compare(stack stackgen.Stack) {
	work := workDirectory(c.t)
	defer os.RemoveAll(work)
	theirs, ours, err := c.ask(stack, work)
	if err != nil {
		c.t.Errorf("seed %d: %v", stack.Seed, err)
		return
	}
	differs, excuse := c.difference(theirs, ours)

	c.mu.Lock()
	if excuse != "" {
		c.excused[excuse]++
	}
	refusal := firstError(theirs)
	c.digests += len(theirs)
	if refusal != "" {
		c.refused++
	}
	if refusal != "" && stack.Fault == "" {
		c.refusals[refusal]++
	}
	if stack.Fault != "" {
		c.faults++
		if refusal == "" {
			c.t.Errorf("seed %d: the reference accepts the fault %q: the generator is wrong", stack.Seed, stack.Fault)
		}
	}
	report := len(c.different) < maxReports
	if differs != nil {
		c.different = append(c.different, stack.Seed)
	}
	c.mu.Unlock()

	switch {
	case differs == nil:
	case report:
		c.report(stack, *differs, work)
	default:
		c.t.Errorf("seed %d differs in %s: cfsctl %s, cfs-label %s", stack.Seed, differs, theirs[*differs], ours[*differs])
	}
}

// ask writes the layout and returns both answers.
func (c *comparison) ask(stack stackgen.Stack, work string) (theirs, ours map[combination]answer, err error) {
	layout := filepath.Join(work, "layout")
	if err := os.RemoveAll(layout); err != nil {
		return nil, nil, err
	}
	if err := stack.Write(layout); err != nil {
		return nil, nil, err
	}
	theirs, err = c.reference.compute(c.t.Context(), layout, work)
	if err != nil {
		return nil, nil, err
	}
	return theirs, c.ours.compute(c.t.Context(), layout), nil
}

// difference returns the first combination for which the answers disagree, or why
// they may.
func (c *comparison) difference(theirs, ours map[combination]answer) (differs *combination, excuse string) {
	differs = difference(theirs, ours)
	if differs != nil && c.excuse != nil {
		if excuse = c.excuse(theirs, ours); excuse != "" {
			return nil, excuse
		}
	}
	return differs, ""
}

// difference returns the first combination for which the answers disagree.
func difference(theirs, ours map[combination]answer) *combination {
	for _, c := range combinations() {
		if !theirs[c].agrees(ours[c]) {
			return &c
		}
	}
	return nil
}

// summarize says what was compared.
func (c *comparison) summarize() {
	c.t.Logf("%d digests or refusals compared; the reference refuses %d stacks, %d of them with a deliberate fault; %d stacks differ",
		c.digests, c.refused, c.faults, len(c.different))
	for _, excuse := range slices.Sorted(maps.Keys(c.excused)) {
		c.t.Logf("%d stacks differ as is known: %s", c.excused[excuse], excuse)
	}
	if len(c.different) > 0 {
		slices.Sort(c.different)
		c.t.Errorf("these seeds differ: %v", c.different)
	}
}

// workDirectory returns a directory for one stack, which the caller removes.
func workDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp(t.TempDir(), "stack-") //nolint:usetesting // thousands must not live until the test's end
	if err != nil {
		panic(err) // no space left, or no right to write: nothing to compare
	}
	return directory
}
