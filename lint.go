// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers"
	"github.com/cfs-label/cfs-label/lint"
	"github.com/cfs-label/cfs-label/remote"
)

// LintOptions say what to look at, and how.
type LintOptions struct {
	// Platforms narrow an index. The default is all Linux images.
	Platforms []v1.Platform
	// Jobs, Progress and Warn are as in Options.
	Jobs     int
	Progress Progress
	Warn     func(message string)
	// CrossMounts reads what is mounted below a directory as a part of it.
	// Without it a mount point there is an error.
	CrossMounts bool
	// Hashed, if not nil, is called with the number of bytes of a directory that
	// have just been hashed, from several goroutines.
	Hashed func(bytes int)
	// Stats is as in Options.
	Stats *Stats
	// Now is what times are in the future of. The default is the clock's.
	Now time.Time
}

// fill puts the defaults in, and returns those that go for all commands.
func (o *LintOptions) fill() *Options {
	common := &Options{Platforms: o.Platforms, Jobs: o.Jobs, Progress: o.Progress, Warn: o.Warn, Stats: o.Stats}
	common.fill()
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	return common
}

// Linted is what was found in one image, directory or tree.
type Linted struct {
	Platform string    // "" for what is no image
	Manifest v1.Hash   // zero likewise
	Layers   []v1.Hash // the digests of the image's layers, lowest first
	*lint.Report
	// Digests are those that were computed: none if hosts refuse the image, else
	// the plain one of V1 and SHA-512, those that labels and annotations may be,
	// and the bootable one if there is one.
	Digests []Digest
}

// Lint looks for what makes the digest of an image fragile, unusual or
// impossible, and goes on where hosts refuse the image. Nothing is written. An
// index gives its Linux images, one after the other: a layer that they share is
// read for each.
//
// What is wrong with an image is a finding. An error says that it could not be
// found out.
func Lint(ctx context.Context, ref *remote.Ref, o LintOptions) ([]Linted, error) {
	common := o.fill()
	g, err := readGraph(ctx, ref, common.Platforms, true)
	switch {
	case err == nil:
	case g == nil, errors.Is(err, ErrPlatform):
		return nil, err
	case len(g.skipped) > 0 && isUnsealable(err): // none is left, and that is told of each
	case errors.Is(err, ErrMixed), errors.Is(err, ErrIncomplete):
		return []Linted{unreadable(Linted{Manifest: g.top.descriptor.Digest}, err)}, nil
	default:
		return nil, err
	}
	var all []Linted
	for _, n := range g.images {
		l, err := lintImage(ctx, n, common, &o)
		if err != nil {
			return nil, n.source.place(len(g.images), err)
		}
		all = append(all, l)
	}
	for _, s := range g.skipped {
		all = append(all, unreadable(Linted{Platform: s.Platform, Manifest: s.Manifest}, s.Err))
	}
	return all, nil
}

// unreadable is an image that could not be read, and why.
func unreadable(l Linted, err error) Linted {
	found := &lint.Collector{}
	if at, ok := errors.AsType[*layers.Error](err); ok {
		found.Unreadable(at.Layer, at.Path, at.Err)
	} else {
		found.Unreadable(lint.NoLayer, "", err)
	}
	l.Report = found.Report()
	return l
}

// lintImage looks at one image.
func lintImage(ctx context.Context, n *node, common *Options, o *LintOptions) (Linted, error) {
	s := n.source
	l := Linted{Platform: s.Platform(), Manifest: n.descriptor.Digest}
	for _, d := range s.Manifest.Layers {
		l.Layers = append(l.Layers, d.Digest)
	}
	silent := &VerifyOptions{Warn: func(string) {}}
	if err := silent.fill(); err != nil {
		return l, err
	}
	in := &inspection{options: silent, n: n}
	in.collectImage()
	wanted := *common
	wanted.widen(in)

	found := &lint.Collector{}
	m, err := readOn(ctx, s, &wanted, found)
	if err == nil {
		err = readLinks(ctx, m)
		wanted.Stats.add(m)
	}
	switch {
	case err == nil:
	case isUnsealable(err) && !errors.Is(err, remote.ErrNotFound):
		return unreadable(l, err), nil
	default:
		return l, err
	}
	lint.Tree(&lint.Input{
		Tree: m.Tree, HasLayers: true, Files: capturedFiles{m}, Layer: m.Layer, Now: o.Now,
	}, found)
	run := &linting{options: &wanted, found: found, system: imageSystem(m), inspection: in, entries: capturedText(m), files: capturedFiles{m}, layer: m.Layer}
	if l.Digests, err = run.digests(ctx); err != nil {
		return l, err
	}
	l.Report = found.Report()
	return l, nil
}

// widen asks for all digests that the image may say.
func (o *Options) widen(in *inspection) {
	if len(in.claims) == 0 {
		return
	}
	o.Formats = allFormats
	for _, alg := range in.algorithms() {
		if alg != o.Algorithms[0] {
			o.Algorithms = append(o.Algorithms, alg)
		}
	}
}

// readLinks reads layers again for the links to what is looked at. What the
// digest needs comes first: compiled Python, of which there is much more, must not
// take its place.
func readLinks(ctx context.Context, m *layers.Merged) error {
	if err := m.ReadAgain(ctx, func(path string) bool { return !lint.WantsHead([]byte(path)) }); err != nil {
		return err
	}
	return m.ReadAgain(ctx, func(string) bool { return true })
}

// readOn merges the layers of an image, and goes on where hosts do not.
func readOn(ctx context.Context, s *Source, o *Options, found *lint.Collector) (*layers.Merged, error) {
	list, err := s.Layers()
	if err != nil {
		return nil, err
	}
	defer o.begin([]*Source{s}, [][]layers.Layer{list})()
	options := o.layers()
	options.Capture, options.Notice = o.captureHeads, found.Notice
	return layers.Flatten(ctx, list, options)
}

// LintDirectory looks at the root file system at path on disk. What is wrong
// with reading it is a *scan.Error.
func LintDirectory(ctx context.Context, path string, o LintOptions) (*Linted, error) {
	common := o.fill()
	d := DirectoryOptions{Options: *common, CrossMounts: o.CrossMounts, Hashed: o.Hashed}
	d.Bootable = true // for the policy, which is looked for now or never
	system, err := d.read(ctx, path)
	if err != nil {
		return nil, err
	}
	files, err := openDirectory(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = files.Close() }() // it was only read
	found := &lint.Collector{}
	lint.Tree(&lint.Input{Tree: system.tree, Files: files, Now: o.Now}, found)
	run := &linting{options: common, found: found, system: system, files: files}
	digests, err := run.digests(ctx)
	if err != nil {
		return nil, err
	}
	return &Linted{Report: found.Report(), Digests: digests}, nil
}

// LintTree looks at a tree as hosts have made it of an image: a dump, or a
// composefs image. There is no content, and are no layers. The tree may be
// changed.
func LintTree(t *tree.Tree, o LintOptions) *Linted {
	o.fill()
	found := &lint.Collector{}
	lint.Tree(&lint.Input{Tree: t, AsIs: true, Now: o.Now}, found)
	return &Linted{Report: found.Report()}
}

// hasBootable reports whether a tree has the directories of a bootable one.
func hasBootable(t *tree.Tree) bool {
	for _, name := range []string{"boot", "sysroot"} {
		if dir, ok := t.Lookup(tree.Root, []byte(name)); !ok || t.Kind(dir) != tree.Directory {
			return false
		}
	}
	return true
}
