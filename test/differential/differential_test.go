// SPDX-License-Identifier: Apache-2.0

// Package differential_test compares cfs-label with the reference, cfsctl, on
// random layer stacks.
//
//	go test . -args -stacks 500
//	go test . -run TestStacks -args -seed 1234 -stacks 1   # one again
package differential_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
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
	c := newComparison(t)
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
	c := newComparison(t)
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
	cfsctl := reference{oracle.Require(t, "cfsctl")}
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
	cfsctl := reference{oracle.Require(t, "cfsctl")}
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

// A comparison holds the two programs against each other.
type comparison struct {
	t         *testing.T
	reference reference
	ours      product

	mu               sync.Mutex
	digests, refused int
	faults           int
	different        []uint64
	kept             string
}

func newComparison(t *testing.T) *comparison {
	t.Helper()
	return &comparison{t: t, reference: reference{oracle.Require(t, "cfsctl")}, ours: build(t), kept: *keepFlag}
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
	differs := difference(theirs, ours)

	c.mu.Lock()
	refusal := firstError(theirs)
	c.digests += len(combinations())
	if refusal != "" {
		c.refused++
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

// difference returns the first combination for which the answers disagree.
func difference(theirs, ours map[combination]answer) *combination {
	for _, c := range combinations() {
		if !theirs[c].agrees(ours[c]) {
			return &c
		}
	}
	return nil
}

// report makes the stack smaller, keeps its layout, and shows the difference:
// first of the dumps, then of the digests.
func (c *comparison) report(stack stackgen.Stack, differs combination, work string) {
	small := stackgen.Shrink(stack, *shrinkFlag, func(s stackgen.Stack) bool {
		theirs, ours, err := c.ask(s, work)
		d := difference(theirs, ours)
		// The same kind of difference: another one may be found on the way.
		return err == nil && d != nil && *d == differs
	})
	layout := c.keep(stack, small)
	theirs, ours, err := c.ask(small, work)
	if err != nil {
		c.t.Errorf("seed %d: %v", stack.Seed, err)
		return
	}
	c.t.Errorf("seed %d differs in %s; layout kept in %s\n%s\nentries left:\n%s\ncfsctl:    %s\ncfs-label: %s",
		stack.Seed, differs, layout,
		c.dumpDifference(small, differs, work), describe(small), theirs[differs], ours[differs])
}

// keep writes the layouts of a stack that differs, whole and small, to where
// they stay.
func (c *comparison) keep(stack, small stackgen.Stack) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == "" {
		directory, err := os.MkdirTemp("", "cfs-label-differential-")
		if err != nil {
			c.t.Errorf("keep: %v", err)
			return ""
		}
		c.kept = directory
	}
	directory := filepath.Join(c.kept, fmt.Sprintf("seed-%d", stack.Seed))
	for name, s := range map[string]stackgen.Stack{"whole": stack, "small": small} {
		if err := s.Write(filepath.Join(directory, name)); err != nil {
			c.t.Errorf("keep: %v", err)
		}
	}
	return directory
}

// dumpDifference returns the lines that differ between the dumps.
func (c *comparison) dumpDifference(stack stackgen.Stack, differs combination, work string) string {
	layout := filepath.Join(work, "layout")
	if err := stack.Write(layout); err != nil {
		return err.Error()
	}
	theirs, err := c.reference.dump(c.t.Context(), differs, layout, work)
	if err != nil {
		return "no dump from cfsctl: " + err.Error()
	}
	ours, err := c.ours.dump(c.t.Context(), differs, layout)
	if err != nil {
		return "no dump from cfs-label: " + err.Error()
	}
	return diffLines(c.t.Context(), work, theirs, ours)
}

// diffLines returns what diff says of two texts, shortened.
func diffLines(ctx context.Context, work, theirs, ours string) string {
	if theirs == ours {
		return "the dumps are equal: the difference is in the image"
	}
	a, b := filepath.Join(work, "cfsctl.dump"), filepath.Join(work, "cfs-label.dump")
	for name, content := range map[string]string{a: theirs, b: ours} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return err.Error()
		}
	}
	// diff ends with 1 where there is a difference.
	out, _ := exec.CommandContext(ctx, "diff", "-U0", "--label", "cfsctl", "--label", "cfs-label", a, b).CombinedOutput()
	const limit = 4000
	if len(out) > limit {
		return string(out[:limit]) + "\n…"
	}
	return string(out)
}

// describe lists the entries of a stack, as far as there are few.
func describe(stack stackgen.Stack) string {
	const limit = 40
	var b strings.Builder
	if stack.Fault != "" {
		fmt.Fprintf(&b, "fault: %s\n", stack.Fault)
	}
	shown := 0
	for i, layer := range stack.Layers {
		fmt.Fprintf(&b, "layer %d: %+v, end %d, same %v\n", i, layer.Compression, layer.End, layer.Same)
		for _, e := range layer.Entries {
			shown++
			if shown > limit {
				return b.String() + "  …\n"
			}
			fmt.Fprintf(&b, "  %s\n", e)
		}
	}
	return b.String()
}

// summarize says what was compared.
func (c *comparison) summarize() {
	c.t.Logf("%d digests or refusals compared; the reference refuses %d stacks, %d of them with a deliberate fault; %d stacks differ",
		c.digests, c.refused, c.faults, len(c.different))
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
