// SPDX-License-Identifier: Apache-2.0

package differential_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/cfs-label/cfs-label/test/differential/stackgen"
)

// report makes the stack smaller, keeps its layout, and shows the difference:
// first of the dumps, then of the digests.
func (c *comparison) report(stack stackgen.Stack, differs combination, work string) {
	small := stackgen.Shrink(stack, *shrinkFlag, func(s stackgen.Stack) bool {
		theirs, ours, err := c.ask(s, work)
		d, _ := c.difference(theirs, ours)
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
