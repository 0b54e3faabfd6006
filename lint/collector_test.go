// SPDX-License-Identifier: Apache-2.0

package lint_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers"
	"github.com/cfs-label/cfs-label/lint"
)

// TestCollectorOrder: findings come by rule, path and layer, in whatever order
// they were found, by whichever goroutine; of too many of one rule the first are
// kept, and the others counted.
func TestCollectorOrder(t *testing.T) {
	var want []lint.Finding
	for i := range lint.PerRule {
		want = append(want, lint.Finding{Rule: "socket", Path: fmt.Sprintf("/%06d", i)})
	}
	all := slices.Clone(want)
	for i := range 2*lint.PerRule + 7 {
		all = append(all, lint.Finding{Rule: "socket", Path: fmt.Sprintf("/x%06d", i)})
	}
	few := []lint.Finding{
		{Rule: "no-usr", Path: "/usr"},
		{Rule: "stale-pyc", Path: "/a", Layer: 1},
		{Rule: "stale-pyc", Path: "/a", Layer: 2, Message: "a"},
		{Rule: "stale-pyc", Path: "/a", Layer: 2, Message: "b"},
		{Rule: "stale-pyc", Path: "/b"},
	}
	all = append(all, few...)
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var c lint.Collector
	var g sync.WaitGroup
	for part := range slices.Chunk(all, len(all)/3) {
		g.Go(func() {
			for _, f := range part {
				c.Add(f)
			}
		})
	}
	g.Wait()
	r := c.Report()
	if diff := cmp.Diff(slices.Concat(few, want), r.Findings); diff != "" {
		t.Errorf("-want +got:\n%.2000s", diff)
	}
	if diff := cmp.Diff(map[string]int{"socket": 2*lint.PerRule + 7}, r.More); diff != "" {
		t.Errorf("more (-want +got):\n%s", diff)
	}
}

// TestNotice: each error of layers and of trees that hosts refuse has a rule of
// its own; an error that is none of them is of the image as a whole.
func TestNotice(t *testing.T) {
	for err, want := range map[error]string{
		layers.ErrArchive: "archive-malformed", layers.ErrNoParent: "missing-parent",
		layers.ErrNotDirectory: "parent-not-directory", layers.ErrDotDot: "path-dotdot",
		layers.ErrRoot: "root-not-directory", layers.ErrLinkTarget: "hard-link-target",
		layers.ErrLinkToDir: "hard-link-to-directory", layers.ErrEntryType: "unknown-entry-type",
		layers.ErrNoDevice: "device-without-number", layers.ErrSameLayer: "whiteout-same-layer",
		layers.ErrSparse: "sparse-file", fmt.Errorf("%w (%w)", layers.ErrSparse, layers.ErrArchive): "sparse-file",
		fmt.Errorf("%w (%w)", layers.ErrLinkTarget, layers.ErrNoParent): "hard-link-target",
		fmt.Errorf("%w (%w)", layers.ErrLinkTarget, layers.ErrDotDot):   "path-dotdot",
		tree.ErrName: "name-impossible", tree.ErrDepth: "too-deep", tree.ErrWhiteout: "whiteout-device-linked",
		tree.ErrRdev: "device-number", tree.ErrMtime: "mtime-impossible", tree.ErrDirLink: "directory-linked",
		layers.ErrDiffID: "image-unreadable", errors.New("odd"): "image-unreadable",
	} {
		var c lint.Collector
		c.Notice(3, "./usr//a", err)
		want := []lint.Finding{{Rule: want, Path: "/usr/a", Layer: 3, Message: err.Error()}}
		if diff := cmp.Diff(want, c.Report().Findings); diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

// TestNoticePaths: an archive's paths become those of the tree, unless they have
// dots that lead up, or there is none.
func TestNoticePaths(t *testing.T) {
	for entry, want := range map[string]string{
		"": "", "./": "/", "usr/": "/usr", "./usr/..a": "/usr/..a", "/usr": "/usr", "usr/../etc": "usr/../etc",
	} {
		var c lint.Collector
		c.Notice(0, entry, layers.ErrRoot)
		if got := c.Report().Findings[0].Path; got != want {
			t.Errorf("%q becomes %q, want %q", entry, got, want)
		}
	}
}

// TestAddUnknown: a finding of no rule is a mistake of the program.
func TestAddUnknown(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	new(lint.Collector).Add(lint.Finding{Rule: "nonsense"})
}

// TestCollectorCuts: of a path or a message that is longer than any real one only
// the beginning is kept.
func TestCollectorCuts(t *testing.T) {
	var c lint.Collector
	c.Notice(0, strings.Repeat("x/", 1<<19), fmt.Errorf("%s: %w", strings.Repeat("y", 1<<20), layers.ErrNoParent))
	for _, f := range c.Report().Findings {
		for _, text := range []string{f.Path, f.Message} {
			if len(text) < 4096 || len(text) > 20_000 {
				t.Errorf("%d bytes are kept", len(text))
			}
		}
	}
}
