// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers"
)

var update = flag.Bool("update", false, "write the dumps of testdata/merge anew; TestMergeReference then tells whether they are right")

// casesMin guards against a glob that finds nothing, or less than there was.
const casesMin = 180

// mergeCase is a file of testdata/merge: a rule and layers that show it. What
// they give is one or both of
//
//	want.dump    the tree after the OCI transform, user xattrs kept, SHA-256
//	want.merged  the same before the transform
//
// or want.err: the name of the error, then what its text must hold, by line.
type mergeCase struct {
	name, file string
	text       *txtar.Archive
	archives   [][]byte
	want       map[string]string
}

func readCases(t testing.TB) []mergeCase {
	t.Helper()
	files, err := filepath.Glob("testdata/merge/*.txtar")
	if err != nil || len(files) < casesMin {
		t.Fatalf("found %d merge cases, want %d or more (%v)", len(files), casesMin, err)
	}
	cases := make([]mergeCase, 0, len(files))
	for _, file := range files {
		text, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := mergeCase{
			name: strings.TrimSuffix(filepath.Base(file), ".txtar"), file: file,
			text: text, want: map[string]string{},
		}
		for _, section := range text.Files {
			if strings.HasPrefix(section.Name, "want.") {
				c.want[section.Name] = string(section.Data)
				continue
			}
			if section.Name != fmt.Sprintf("layer%d", len(c.archives)) {
				t.Fatalf("%s: unexpected section %q", file, section.Name)
			}
			tar, err := parseArchive(string(section.Data), c.archives)
			if err != nil {
				t.Fatalf("%s: %s: %v", file, section.Name, err)
			}
			c.archives = append(c.archives, tar)
		}
		cases = append(cases, c)
	}
	return cases
}

func (c *mergeCase) layers() []layers.Layer {
	list := make([]layers.Layer, 0, len(c.archives))
	for _, tar := range c.archives {
		list = append(list, plainLayer(tar))
	}
	return list
}

// mergeErrors are the errors that want.err names.
var mergeErrors = map[string]error{
	"ErrArchive":      layers.ErrArchive,
	"ErrNoParent":     layers.ErrNoParent,
	"ErrNotDirectory": layers.ErrNotDirectory,
	"ErrDotDot":       layers.ErrDotDot,
	"ErrRoot":         layers.ErrRoot,
	"ErrLinkTarget":   layers.ErrLinkTarget,
	"ErrLinkToDir":    layers.ErrLinkToDir,
	"ErrEntryType":    layers.ErrEntryType,
	"ErrNoDevice":     layers.ErrNoDevice,

	"tree.ErrWhiteout":       tree.ErrWhiteout,
	"transform.ErrNoUsr":     transform.ErrNoUsr,
	"transform.ErrRunNotDir": transform.ErrRunNotDir,
}

// TestMerge: every file of testdata/merge states a rule of the merge or of tar
// archives, and shows it.
func TestMerge(t *testing.T) {
	for _, c := range readCases(t) {
		t.Run(c.name, func(t *testing.T) {
			if len(c.want) == 0 || len(strings.TrimSpace(string(c.text.Comment))) < 20 {
				t.Fatalf("%s states no rule, or does not say what comes of it", c.file)
			}
			merged, final, err := dumps(t.Context(), c.layers(), layers.Options{})
			if wantErr, ok := c.want["want.err"]; ok {
				checkError(t, err, wantErr)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{"want.dump": final, "want.merged": merged}
			for name, want := range c.want {
				if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got[name], "\n")); diff != "" && !*update {
					t.Errorf("%s\n%s: -want +got:\n%s", c.text.Comment, name, diff)
				}
			}
			if *update {
				c.write(t, got)
			}
		})
	}
}

func (c *mergeCase) write(t *testing.T, got map[string]string) {
	t.Helper()
	for i, section := range c.text.Files {
		if dump, ok := got[section.Name]; ok {
			c.text.Files[i].Data = []byte(dump)
		}
	}
	if err := os.WriteFile(c.file, txtar.Format(c.text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestMergeDocumented: docs/merge.md names every case of testdata/merge once, and
// no other.
func TestMergeDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/merge.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]int{}
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue // no row of a table
		}
		for i, name := range strings.Split(cells[len(cells)-2], "`") {
			if i%2 == 1 {
				named[name]++
			}
		}
	}
	for _, c := range readCases(t) {
		if named[c.name] != 1 {
			t.Errorf("docs/merge.md names %s %d times", c.name, named[c.name])
		}
		delete(named, c.name)
	}
	for name := range named {
		t.Errorf("docs/merge.md names %s, which is no case", name)
	}
}

// checkError compares an error with the lines of want.err.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(want), "\n")
	sentinel, ok := mergeErrors[lines[0]]
	switch {
	case !ok || len(lines) < 2:
		t.Fatalf("want.err must name an error of mergeErrors and what is in its text: %q", want)
	case !errors.Is(err, sentinel):
		t.Fatalf("error %v, want %s", err, lines[0])
	}
	for _, text := range lines[1:] {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
	var placed *layers.Error
	if strings.HasPrefix(lines[0], "Err") && !errors.As(err, &placed) {
		t.Errorf("%v (%T) does not say where", err, err)
	}
}
