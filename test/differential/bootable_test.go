// SPDX-License-Identifier: Apache-2.0

package differential_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	ociimage "github.com/cfs-label/cfs-label/image"
	"github.com/cfs-label/cfs-label/remote"
	"github.com/cfs-label/cfs-label/test/differential/stackgen"
)

var bootsFlag = flag.Int("boots", 50, "how many random stacks to compare as bootable images")

// TestBootableStacks asks cfsctl and this module about random stacks with what
// makes an image bootable: equal bootable digests, computed together or each by
// itself, also while UKIs are looked at; and an error where cfsctl has one.
func TestBootableStacks(t *testing.T) {
	ours := &library{t: t}
	c := newComparison(t, ours)
	c.reference.bootable = true
	c.excuse = knownDifference
	seeds := make([]uint64, *bootsFlag)
	for i := range seeds {
		seeds[i] = *seedFlag + uint64(i)
	}
	inParallel(seeds, func(seed uint64) { c.compare(stackgen.GenerateBootable(seed)) })
	c.summarize()
	for _, refusal := range slices.Sorted(maps.Keys(c.refusals)) {
		t.Logf("%d refused: %s", c.refusals[refusal], refusal)
	}
	t.Logf("%d stacks had a layer read again; %d UKI arguments were held against a digest", ours.again.Load(), ours.judged.Load())
	// More refusals would be a generator that tests nothing else.
	const wantPercent = 60
	if valid := len(seeds) - c.refused; valid*100 < len(seeds)*wantPercent && len(seeds) >= 50 {
		t.Errorf("cfsctl accepts %d of %d stacks, and that is less than %d %%", valid, len(seeds), wantPercent)
	}
}

// knownDifference says why cfsctl may refuse what we take.
func knownDifference(theirs, ours map[combination]answer) string {
	for _, a := range ours {
		if a.err != "" {
			return ""
		}
	}
	refusal := firstErrorWhole(theirs)
	for _, words := range []string{"Identifying aboot payload", "must not have a vbmeta image"} {
		if strings.Contains(refusal, words) {
			return "what is in an Android payload is not read (docs/decisions.md)"
		}
	}
	return ""
}

// firstErrorWhole returns the first of the errors, with all its lines.
func firstErrorWhole(answers map[combination]answer) string {
	for _, c := range combinations() {
		if err := answers[c].err; err != "" {
			return err
		}
	}
	return ""
}

// A library computes bootable digests by the module's functions.
type library struct {
	t             *testing.T
	again, judged atomic.Int64
}

// compute returns the bootable digests. What contradicts itself stands in place of
// a digest, so that it differs from whatever the reference says.
func (l *library) compute(ctx context.Context, layout string) map[combination]answer {
	var stats cfslabel.Stats
	together := l.ask(ctx, layout, cfslabel.Options{
		Stats:    &stats,
		Bootable: true, Formats: []erofs.Format{erofs.V0, erofs.V1, erofs.V2}, Algorithms: fsverityAlgorithms,
		Xattrs: []transform.Xattrs{transform.AllowlistOnly, transform.KeepUserXattrs},
	})
	if stats.LayersAgain > 0 {
		l.again.Add(1)
	}
	answers := map[combination]answer{}
	for i, c := range combinations() {
		if c.mayBoot() {
			answers[c] = together.answer(key{ociimage.RoleMergedBootable, c})
		}
		if i%4 != l.some(layout) || !c.mayBoot() {
			continue
		}
		o := c.options()
		plain := l.ask(ctx, layout, o)
		o.Bootable = true
		alone := l.ask(ctx, layout, o)
		if !slices.Equal(pick(together, c), pick(alone, c)) {
			answers[c] = answer{digest: fmt.Sprintf("%v together, %v alone", pick(together, c), pick(alone, c))}
		}
		if plain.err == nil && together.err == nil && plain.digests[key{ociimage.RoleMerged, c}] != together.digests[key{ociimage.RoleMerged, c}] {
			answers[c] = answer{digest: "the plain digest is another when the bootable one is computed"}
		}
		if plain.err == nil && together.err != nil && !errors.Is(together.err, cfslabel.ErrUnbootable) {
			answers[c] = answer{digest: fmt.Sprintf("there is a plain digest, and the bootable one is not refused for booting: %v", together.err)}
		}
	}
	l.inspect(ctx, layout, answers)
	return answers
}

// some chooses which digests are computed by themselves, too, of the layout: all
// would take long.
func (l *library) some(layout string) int {
	index, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		l.t.Error(err)
	}
	return int(crc32.ChecksumIEEE(index) % 4)
}

func pick(r replies, c combination) []answer {
	return []answer{r.answer(key{ociimage.RoleMerged, c}), r.answer(key{ociimage.RoleMergedBootable, c})}
}

// inspect holds what UKIs are held against to the digests.
func (l *library) inspect(ctx context.Context, layout string, want map[combination]answer) {
	ref, err := openLayout(ctx, layout)
	if err != nil {
		l.t.Error(err)
		return
	}
	inspected, err := cfslabel.Inspect(ctx, ref, cfslabel.InspectOptions{Layers: &cfslabel.Options{}})
	if err != nil {
		l.t.Errorf("inspect: %v", err)
		return
	}
	for _, object := range inspected.Objects {
		for _, uki := range object.UKIs {
			for _, a := range uki.Arguments {
				if a.Computed.IsZero() {
					continue
				}
				l.judged.Add(1)
				c := combination{a.Format.String(), a.Digest.Algorithm().String(), transform.AllowlistOnly.String()}
				if got := a.Computed.String(); got != want[c].digest {
					want[c] = answer{digest: fmt.Sprintf("%s is held against %s, and the digest is %s", uki.Path, got, want[c])}
				}
			}
		}
	}
}

var fsverityAlgorithms = []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256}

// A key is what one of our digests is of.
type key struct {
	role ociimage.Role
	combination
}

// replies are digests, or the one error.
type replies struct {
	digests map[key]string
	err     error
}

func (r replies) answer(k key) answer {
	if r.err != nil {
		return answer{err: r.err.Error()}
	}
	return answer{digest: r.digests[k]}
}

func (l *library) ask(ctx context.Context, layout string, o cfslabel.Options) replies {
	ref, err := openLayout(ctx, layout)
	if err != nil {
		l.t.Error(err)
		return replies{err: err}
	}
	images, err := cfslabel.Compute(ctx, ref, o)
	if err != nil {
		return replies{err: err}
	}
	r := replies{digests: map[key]string{}}
	for _, d := range images[0].Digests {
		r.digests[key{d.Role, combination{d.Format.String(), d.Digest.Algorithm().String(), d.Xattrs.String()}}] = d.Digest.String()
	}
	return r
}

// options ask for the one combination.
func (c combination) options() cfslabel.Options {
	var o cfslabel.Options
	for _, f := range []erofs.Format{erofs.V0, erofs.V1, erofs.V2} {
		if f.String() == c.format {
			o.Formats = append(o.Formats, f)
		}
	}
	for _, alg := range fsverityAlgorithms {
		if alg.String() == c.algorithm {
			o.Algorithms = append(o.Algorithms, alg)
		}
	}
	for _, mode := range []transform.Xattrs{transform.AllowlistOnly, transform.KeepUserXattrs} {
		if mode.String() == c.xattrs {
			o.Xattrs = append(o.Xattrs, mode)
		}
	}
	if len(o.Formats)+len(o.Algorithms)+len(o.Xattrs) != 3 {
		panic(fmt.Sprintf("no options for %s", c))
	}
	return o
}

// dump returns the bootable tree.
func (l *library) dump(ctx context.Context, c combination, layout string) (string, error) {
	ref, err := openLayout(ctx, layout)
	if err != nil {
		return "", err
	}
	o := c.options()
	o.Bootable = true
	tr, err := cfslabel.Tree(ctx, ref, o)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = dumpfile.Write(&b, tr, o.Algorithms[0])
	return b.String(), err
}

func openLayout(ctx context.Context, layout string) (*remote.Ref, error) {
	return remote.Open(ctx, "oci:"+layout+":"+stackgen.Tag, remote.Options{Layout: cfslabel.LayoutEditor{}})
}
