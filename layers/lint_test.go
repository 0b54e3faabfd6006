// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/layers"
	"github.com/cfs-label/cfs-label/lint"
)

// ruleOfError are the rules of the errors that want.err names.
var ruleOfError = map[string]string{
	"ErrArchive":      "archive-malformed",
	"ErrNoParent":     "missing-parent",
	"ErrNotDirectory": "parent-not-directory",
	"ErrDotDot":       "path-dotdot",
	"ErrRoot":         "root-not-directory",
	"ErrLinkTarget":   "hard-link-target",
	"ErrLinkToDir":    "hard-link-to-directory",
	"ErrEntryType":    "unknown-entry-type",
	"ErrNoDevice":     "device-without-number",

	"tree.ErrWhiteout":       "whiteout-device-linked",
	"transform.ErrNoUsr":     "no-usr",
	"transform.ErrRunNotDir": "run-not-directory",
}

// TestLintMerge: lint says of every case of testdata/merge that hosts refuse it,
// by the rule of the error and with all that the error says, or finds nothing
// that they refuse. It never fails.
func TestLintMerge(t *testing.T) {
	for _, c := range readCases(t) {
		t.Run(c.name, func(t *testing.T) {
			var found lint.Collector
			m, err := layers.Flatten(t.Context(), c.layers(), layers.Options{Notice: found.Notice})
			if err != nil {
				t.Fatalf("reading ends with %v", err)
			}
			lint.Tree(&lint.Input{Tree: m.Tree, HasLayers: true, Layer: m.Layer}, &found)
			r := found.Report()
			want, isRefused := c.want["want.err"]
			if r.Has(lint.Refused) != isRefused {
				t.Fatalf("%s\nrefused: %v, want %v: %v", c.text.Comment, r.Has(lint.Refused), isRefused, r.Findings)
			}
			if isRefused {
				checkFindings(t, r.Findings, want, len(c.archives))
			}
		})
	}
}

// checkFindings fails unless one of the findings is of the error and says all
// that the error does.
func checkFindings(t *testing.T, findings []lint.Finding, want string, of int) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(want), "\n")
	rule := ruleOfError[lines[0]]
	if slices.Contains(lines, "sparse") {
		rule = "sparse-file"
	}
	bare := strings.NewReplacer("/", "", ".", "").Replace // a finding has /usr/d/f where the archive has ./usr/d/f
	says := func(f lint.Finding) bool {
		text := bare(fmt.Sprintf("layer %d of %d: %q: %s", f.Layer+1, of, f.Path, f.Message))
		return f.Rule == rule && !slices.ContainsFunc(lines[1:], func(line string) bool { return !strings.Contains(text, bare(line)) })
	}
	if rule == "" || !slices.ContainsFunc(findings, says) {
		t.Errorf("want a finding of %q that says %q, got %+v", rule, lines[1:], findings)
	}
}

// FuzzLint: of any two layers lint says that hosts refuse them just if reading
// them is an error, and goes on in any case.
func FuzzLint(f *testing.F) {
	for _, c := range readCases(f) {
		if n := len(c.archives); n > 0 && len(c.archives[0])+len(c.archives[n-1]) < 32<<10 {
			f.Add(c.archives[0], c.archives[n-1])
		}
	}
	f.Fuzz(func(t *testing.T, below, above []byte) {
		list := []layers.Layer{plainLayer(fixed(below)), plainLayer(fixed(above))}
		strict := func() error {
			m, err := layers.Flatten(t.Context(), list, layers.Options{})
			if err == nil {
				err = transform.OCI(m.Tree, transform.AllowlistOnly)
			}
			if err == nil {
				_, err = m.Tree.Check()
			}
			return err
		}()
		var found lint.Collector
		m, err := layers.Flatten(t.Context(), list, layers.Options{Notice: found.Notice, Capture: func(path []byte, _ uint64) (io.Writer, int) {
			if lint.WantsHead(path) {
				return &lint.Head{}, lint.HeadSize
			}
			return nil, 0
		}})
		if err != nil {
			if !errors.Is(strict, layers.ErrCompression) && !errors.Is(strict, layers.ErrTooMany) {
				t.Fatalf("reading ends with %v; hosts: %v", err, strict)
			}
			return
		}
		lint.Tree(&lint.Input{Tree: m.Tree, HasLayers: true, Layer: m.Layer}, &found)
		if refused := found.Report().Has(lint.Refused); refused != (strict != nil) {
			t.Errorf("refused: %v, and hosts say %v: %+v", refused, strict, found.Report().Findings)
		}
	})
}
