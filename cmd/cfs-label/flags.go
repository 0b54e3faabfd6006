// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/pflag"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/layers"
)

// list is a flag that takes values with commas between them, and may be given
// several times. The first use replaces the default.
type list[T comparable] struct {
	values []T
	parse  func(string) (T, error)
	kind   string
	given  bool
}

var _ pflag.Value = (*list[string])(nil)

func (l *list[T]) String() string {
	names := make([]string, len(l.values))
	for i, v := range l.values {
		names[i] = fmt.Sprint(v)
	}
	return strings.Join(names, ",")
}

func (l *list[T]) Type() string { return l.kind }

func (l *list[T]) Set(s string) error {
	if !l.given {
		l.values, l.given = nil, true
	}
	for part := range strings.SplitSeq(s, ",") {
		v, err := l.parse(part)
		if err != nil {
			return err
		}
		if slices.Contains(l.values, v) {
			return fmt.Errorf("%s is given twice", part)
		}
		l.values = append(l.values, v)
	}
	return nil
}

// sourceFlags say how a source is read.
type sourceFlags struct {
	formats    list[erofs.Format]
	algorithms list[fsverity.Algorithm]
	xattrs     list[transform.Xattrs]
	platforms  []string
	jobs       int
	stats      bool
	bootable   bool
	net        netFlags

	crossMounts, noPropagate, wholeSeconds bool // of directories
}

// Which of the flags take several values.
const (
	oneEach  = false
	manyEach = true
)

func (f *sourceFlags) addFormat(fs *pflag.FlagSet) {
	f.formats = list[erofs.Format]{values: []erofs.Format{erofs.V1}, parse: erofs.ParseFormat, kind: "v0|v1|v2"}
	fs.Var(&f.formats, "format", "format of the composefs image")
}

func (f *sourceFlags) add(fs *pflag.FlagSet) {
	f.algorithms = list[fsverity.Algorithm]{values: []fsverity.Algorithm{fsverity.SHA512}, parse: fsverity.ParseAlgorithm, kind: "sha512|sha256"}
	f.xattrs = list[transform.Xattrs]{parse: transform.ParseXattrs, values: []transform.Xattrs{transform.AllowlistOnly}, kind: "allowlist-only|keep-user-xattrs"}
	fs.Var(&f.algorithms, "algorithm", "algorithm of the fs-verity digests")
	fs.Var(&f.xattrs, "xattrs", "which extended attributes of files count")
	f.addChoice(fs)
}

// addChoice adds the flags that say which images are read, and how.
func (f *sourceFlags) addChoice(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.platforms, "platform", nil, "`os/arch[/variant]` to choose from an index (repeatable; default all of linux)")
	f.addReading(fs)
	inGroup(fs, registryGroup, f.net.add)
}

// addReading adds the flags that say how layers are read.
func (f *sourceFlags) addReading(fs *pflag.FlagSet) {
	fs.IntVar(&f.jobs, "jobs", layers.DefaultJobs(), "layers fetched, or files hashed, at once")
	fs.BoolVar(&f.stats, "stats", false, "tell on stderr what was read")
}

// options returns what the flags say. many tells whether the command can use
// several values of each.
func (f *sourceFlags) options(t *terminal, many bool) (cfslabel.Options, error) {
	o := cfslabel.Options{
		Formats:    f.formats.values,
		Algorithms: f.algorithms.values,
		Xattrs:     f.xattrs.values,
		Bootable:   f.bootable,
		Jobs:       f.jobs,
		Progress:   newProgress(t),
		Warn:       t.warn,
	}
	if f.stats {
		t.stats = &cfslabel.Stats{}
		o.Stats = t.stats
	}
	if f.jobs < 1 {
		return o, &usageError{errors.New("--jobs must be at least 1")}
	}
	if !many && (len(o.Formats) > 1 || len(o.Algorithms) > 1 || len(o.Xattrs) > 1) {
		return o, &usageError{errors.New("this command takes one --format, one --algorithm and one --xattrs")}
	}
	for _, text := range f.platformNames() {
		p, err := v1.ParsePlatform(text)
		if err == nil && (p.OS == "" || p.Architecture == "") {
			err = errors.New("use os/arch[/variant], as in linux/arm64")
		}
		if err != nil {
			return o, &usageError{fmt.Errorf("--platform %q: %w", text, err)}
		}
		o.Platforms = append(o.Platforms, *p)
	}
	return o, nil
}

// platformNames returns the values of --platform, which may have commas
// between them as those of the other lists.
func (f *sourceFlags) platformNames() []string {
	if len(f.platforms) == 0 {
		return nil
	}
	return strings.Split(strings.Join(f.platforms, ","), ",")
}
