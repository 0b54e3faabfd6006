// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cfs-label/cfs-label/composefs/diff"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/tree"
)

const diffHelp = `cfs-label diff A B says what differs between two trees, and why. A and B are
each an image (a reference, oci:DIR[:TAG], oci-archive:FILE[:TAG],
docker-archive:FILE[:REF]), a directory (dir:PATH or ./PATH), a dump (dump:FILE,
dump:- for stdin) or a composefs image (erofs:FILE). Images and directories are
compared as hosts see them, with --bootable as those see them that boot; a dump
and a composefs image as they are.

The causes come first that explain most, each with what to do and the paths; of
what a path has on both sides, A stands before the arrow. -o json has all of it.
Trees that are equal can have different digests, of another format or algorithm.

` + exitHelp

// errDiffer is what diff gives for two trees that differ.
var errDiffer = errors.New("the trees differ")

// errUnknown is what it gives where none does, as far as it was compared.
var errUnknown = errors.New("it is not known whether the trees are equal: not all content was compared")

func diffCommand(t *terminal) *cobra.Command {
	var source sourceFlags
	var limit int
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Say what differs between two trees, and why",
		Long:  diffHelp,
		Example: `  cfs-label diff ghcr.io/org/img:latest oci:./layout:latest
  cfs-label diff ghcr.io/org/img:latest dir:/mnt/root --bootable
  cfs-label dump oci:./layout:latest | cfs-label diff dump:- erofs:img.cfs`,
		Args: twoSources,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return &usageError{errors.New("--limit must not be negative; 0 is no limit")}
			}
			var trees [2]*tree.Checked
			for i, arg := range args {
				c, _, err := source.tree(cmd, t, arg)
				if err != nil {
					return err
				}
				trees[i] = c
			}
			r := diff.Compare(trees[0], trees[1])
			t.sayNotCompared(r, trees)
			if t.output == jsonOutput {
				if err := t.answerJSON(newDiffAnswer(args, r)); err != nil {
					return err
				}
			} else if err := answerDiff(t.stdout, r, limit); err != nil {
				return err
			}
			if !r.Equal() {
				return errDiffer
			}
			if r.NotCompared > 0 {
				return errUnknown
			}
			t.say("where the digests of these trees differ, format, algorithm or xattr mode do")
			return nil
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "show `N` paths of each cause; 0 shows all")
	source.add(cmd.Flags())
	source.addBootable(cmd.Flags())
	source.addDirectory(cmd.Flags())
	addOutput(cmd, t)
	return cmd
}

// twoSources checks that there are two arguments, and one stdin.
func twoSources(_ *cobra.Command, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("two sources to compare, please, not %d: images, dir:PATH, dump:FILE or erofs:FILE", len(args))
	}
	if args[0] == "dump:-" && args[1] == args[0] {
		return errors.New("stdin can be one side, not both")
	}
	return nil
}

// sayNotCompared warns of files whose digests are of different algorithms.
func (t *terminal) sayNotCompared(r *diff.Result, trees [2]*tree.Checked) {
	if r.NotCompared > 0 {
		t.warn(fmt.Sprintf("not compared: the content of %d files of equal size; A has digests of %s, B of %s: "+
			"read images with --algorithm as the other side has it, or make both files with one",
			r.NotCompared, fsverity.Join(trees[0].Algorithms()), fsverity.Join(trees[1].Algorithms())))
	}
}

// answerDiff writes the answer as text.
func answerDiff(w io.Writer, r *diff.Result, limit int) error {
	b := bufio.NewWriter(w)
	if r.Equal() {
		verdict := "equal"
		if r.NotCompared > 0 {
			verdict = "equal as far as compared"
		}
		fmt.Fprintf(b, "%s: %s paths\n", verdict, diff.Number(r.Paths))
		return b.Flush()
	}
	fmt.Fprintf(b, "%s of %s paths differ\n", diff.Number(differing(r)), diff.Number(r.Paths))
	for i := range r.Causes {
		c := &r.Causes[i]
		fmt.Fprintf(b, "\n%s (%s)\n  what to do: %s\n", c.Sentence, c.ID, c.Remedy)
		for _, also := range c.Also {
			fmt.Fprintf(b, "  of these also: %s (%s)\n", also.ID, diff.Number(also.Count))
		}
		shown := c.Differences
		if limit > 0 && len(shown) > limit {
			shown = shown[:limit]
		}
		for _, at := range shown {
			fmt.Fprintf(b, "    %s\n", differenceLine(r, &r.Differences[at]))
		}
		if more := len(c.Differences) - len(shown); more > 0 {
			fmt.Fprintf(b, "    and %s more\n", diff.Number(more))
		}
	}
	return b.Flush()
}

// differing is how many paths differ, those below others included.
func differing(r *diff.Result) int {
	n := len(r.Differences)
	for i := range r.Differences {
		n += r.Differences[i].Below
	}
	return n
}

// differenceLine is what differs on one path.
func differenceLine(r *diff.Result, d *diff.Difference) string {
	var parts []string
	if d.Aspects == diff.Missing {
		parts = append(parts, fmt.Sprintf("%s only in %s", d.Kind(), d.OnlyIn))
	}
	if d.Below > 0 {
		parts = append(parts, diff.Number(d.Below)+" below")
	}
	for _, v := range r.Details(d) {
		name := v.Aspect
		if v.Name != "" {
			name = shown(v.Name)
		}
		parts = append(parts, fmt.Sprintf("%s %s -> %s", name, shownValue(v, diff.A), shownValue(v, diff.B)))
	}
	return shown(r.Path(d)) + "  " + strings.Join(parts, ", ")
}

// shownValue is what a side has of an aspect, as a line shows it.
func shownValue(v diff.Detail, s diff.Side) string {
	const most = 100 // bytes
	value := v.Values[s]
	switch {
	case !v.Has[s]:
		return "none"
	case v.Aspect == "content":
		return cutDigest(value)
	case v.Name == "" && v.Aspect != "target":
		return escaped(value)
	case len(value) > most:
		return strconv.Quote(value[:most]) + "..."
	}
	return strconv.Quote(value)
}

// cutDigest cuts a digest at the end of the text.
func cutDigest(s string) string {
	before, digest, found := strings.Cut(s, ":")
	if !found || len(digest) <= shortDigest {
		return s
	}
	return before + ":" + digest[:shortDigest] + "..."
}

// escaped returns text in which a backslash is \\ and bytes that are no
// printable text are escapes of Go's strings, \n, \x00 or \u202e.
func escaped(s string) string {
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// shown is a name as a line shows it: in quotes if it is not one plain word.
func shown(s string) string {
	if quoted := strconv.Quote(s); len(quoted) != len(s)+2 || strings.ContainsAny(s, " ,") {
		return quoted
	}
	return s
}
