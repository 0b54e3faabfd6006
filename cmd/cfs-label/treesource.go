// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/remote"
)

// What a SOURCE can be besides an image: something with a tree, but without
// layers, labels or a platform.

// sourceKind is what a SOURCE is.
type sourceKind uint8

const (
	// anImage is what remote.Open reads: in a registry, a layout or an archive.
	anImage sourceKind = iota
	// aDirectory is a root file system on disk.
	aDirectory
	// aDump is a file with a tree in composefs' dump format.
	aDump
	// anEROFS is a composefs image.
	anEROFS
)

// What marks a SOURCE that is no image.
const (
	directoryPrefix = "dir:"
	dumpPrefix      = "dump:"
	erofsPrefix     = "erofs:"
)

// splitSource tells what a SOURCE is, for commands that read directories, too: a
// name in a registry that is that of a directory as well means the directory. With
// a port, tag or digest it is a name in a registry.
func splitSource(arg string) (kind sourceKind, rest string) {
	kind, rest = splitMarked(arg)
	if kind != anImage || strings.ContainsAny(arg, ":@") {
		return kind, rest
	}
	if info, err := os.Stat(arg); err == nil && info.IsDir() {
		return aDirectory, arg
	}
	return kind, rest
}

// splitMarked tells what an argument is by itself.
func splitMarked(arg string) (kind sourceKind, rest string) {
	for prefix, kind := range map[string]sourceKind{directoryPrefix: aDirectory, dumpPrefix: aDump, erofsPrefix: anEROFS} {
		if path, ok := strings.CutPrefix(arg, prefix); ok {
			return kind, path
		}
	}
	// No name in a registry begins like this.
	for _, begin := range []string{"/", "./", "../"} {
		if strings.HasPrefix(arg, begin) {
			return aDirectory, arg
		}
	}
	if arg == "." || arg == ".." {
		return aDirectory, arg
	}
	return anImage, arg
}

// tree reads the one root file system that an argument names. Every command
// that wants a tree has it from here.
func (f *sourceFlags) tree(cmd *cobra.Command, t *terminal, arg string) (*tree.Checked, cfslabel.Options, error) {
	o, err := f.options(t, oneEach)
	if err != nil {
		return nil, o, err
	}
	if err := f.checkKinds(cmd, t); err != nil {
		return nil, o, err
	}
	switch kind, rest := splitSource(arg); kind {
	case aDirectory:
		d, err := f.directory(rest, o)
		if err != nil {
			return nil, o, err
		}
		defer t.showHashing(&d)()
		c, err := cfslabel.DirectoryTree(cmd.Context(), rest, d)
		return c, o, err
	case aDump, anEROFS:
		return treeOfFile(cmd, arg, o)
	default:
		ref, err := f.net.open(cmd, t, arg)
		if err != nil {
			return nil, o, err
		}
		c, err := cfslabel.Tree(cmd.Context(), ref, o)
		return c, o, err
	}
}

// treeOfFile reads the tree that a file has, in the algorithm that it is in.
func treeOfFile(cmd *cobra.Command, arg string, o cfslabel.Options) (*tree.Checked, cfslabel.Options, error) {
	kind, path := splitSource(arg)
	c, err := treeFile(kind, path, func(message string) { o.Warn(arg + ": " + message) })
	if err != nil {
		return nil, o, fmt.Errorf("%s: %w", arg, err)
	}
	if has := c.Algorithms(); !slices.Contains(has, o.Algorithms[0]) {
		if cmd.Flags().Changed("algorithm") {
			return nil, o, &usageError{fmt.Errorf("%s has digests of %s: leave out --algorithm %s", arg, has[0], o.Algorithms[0])}
		}
		o.Algorithms = has[:1]
	}
	return c, o, nil
}

// addBootable adds the flag for the digest of what is booted.
func (f *sourceFlags) addBootable(fs *pflag.FlagSet) {
	fs.BoolVar(&f.bootable, "bootable", false, "what hosts boot: /boot and /sysroot emptied, files labeled by the image's own SELinux policy")
}

// The flags that are about directories alone.
const (
	crossMountsFlag = "cross-mounts"
	noPropagateFlag = "no-propagate-usr-to-root"
	secondsFlag     = "whole-seconds"
)

// addDirectory adds them.
func (f *sourceFlags) addDirectory(fs *pflag.FlagSet) {
	f.addCrossMounts(fs)
	inGroup(fs, directoryGroup, func(fs *pflag.FlagSet) {
		fs.BoolVar(&f.noPropagate, noPropagateFlag, false, "take the directory as it is: metadata of its root, /run and all extended attributes")
		fs.BoolVar(&f.wholeSeconds, secondsFlag, false, "cut times to whole seconds, as builders do when they make a layer of it")
	})
}

// addCrossMounts adds the one of them that every command has that reads one.
func (f *sourceFlags) addCrossMounts(fs *pflag.FlagSet) {
	inGroup(fs, directoryGroup, func(fs *pflag.FlagSet) {
		fs.BoolVar(&f.crossMounts, crossMountsFlag, false, "read what is mounted below the directory as a part of it")
	})
}

// checkKinds fails if a flag is given that none of the command's SOURCEs has a
// use for. It tells of a directory that may have been meant for a name.
func (f *sourceFlags) checkKinds(cmd *cobra.Command, t *terminal) error {
	for _, arg := range cmd.Flags().Args() {
		kind, _ := splitSource(arg)
		if marked, _ := splitMarked(arg); kind != marked {
			t.say("%s is the directory of that name; with a tag, as in %s:latest, it would be an image", arg, arg)
		}
	}
	is := func(wanted sourceKind) bool {
		return slices.ContainsFunc(cmd.Flags().Args(), func(arg string) bool {
			kind, _ := splitSource(arg)
			return kind == wanted
		})
	}
	if given := changed(cmd, []string{crossMountsFlag, noPropagateFlag, secondsFlag}); given != "" && !is(aDirectory) {
		return &usageError{fmt.Errorf("--%s is for directories: name one, as in %sPATH", given, directoryPrefix)}
	}
	if given := changed(cmd, []string{"platform"}); given != "" && !is(anImage) {
		return &usageError{errors.New("--platform chooses from an index; a directory or a file has no platform")}
	}
	if given := changed(cmd, []string{"bootable", "xattrs"}); given != "" && !is(anImage) && !is(aDirectory) {
		return &usageError{fmt.Errorf("--%s has no effect on a dump or a composefs image, which is taken as it is: leave it out, or name the image or directory that it was made of", given)}
	}
	if f.noPropagate && cmd.Flags().Changed("xattrs") && !is(anImage) {
		return &usageError{fmt.Errorf("--%s leaves all extended attributes as they are: --xattrs has no effect then, leave it out", noPropagateFlag)}
	}
	return nil
}

// directory returns how a directory is read, and looks whether it is there.
func (f *sourceFlags) directory(path string, o cfslabel.Options) (cfslabel.DirectoryOptions, error) {
	d := cfslabel.DirectoryOptions{Options: o, CrossMounts: f.crossMounts, NoPropagate: f.noPropagate, WholeSeconds: f.wholeSeconds}
	if path == "" {
		return d, &usageError{fmt.Errorf("%s without a path; use %sPATH", directoryPrefix, directoryPrefix)}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return d, fmt.Errorf("%q: %w: there is no such directory", path, remote.ErrNotFound)
	case err != nil:
		return d, err
	case !info.IsDir():
		return d, &usageError{fmt.Errorf("%q is no directory; an archive is named as in oci-archive:FILE or docker-archive:FILE", path)}
	}
	return d, nil
}

// wantImage fails for a SOURCE that is no image.
func wantImage(arg string) error {
	switch kind, _ := splitMarked(arg); kind {
	case aDirectory:
		return &usageError{fmt.Errorf("%q names a directory, and this wants an image; directories are for compute, dump, export, diff and lint", arg)}
	case aDump, anEROFS:
		return &usageError{fmt.Errorf("%q names a file with a tree, and this wants an image; such files are for dump, export, diff and lint", arg)}
	default:
		return nil
	}
}

// outside fails if the file is in the directory whose digest it shall hold: it
// would not be of what is there then. Below the directories that are emptied it
// may be.
func outside(file, dir string, emptied ...string) error {
	root, rootErr := os.Stat(dir)
	at, err := filepath.Abs(file)
	if err == nil {
		if target, linkErr := filepath.EvalSymlinks(at); linkErr == nil { // it is there, and may be a link
			at = target
		}
		at, err = filepath.EvalSymlinks(filepath.Dir(at))
	}
	if rootErr != nil || err != nil { // that one is not there is told elsewhere
		return nil //nolint:nilerr // see above
	}
	for below := ""; ; {
		if info, err := os.Stat(at); err == nil && os.SameFile(info, root) {
			if slices.Contains(emptied, below) {
				return nil
			}
			return &usageError{fmt.Errorf("--file %s is in the directory that is read: the digest would be wrong as soon as it is written there; write it elsewhere", file)}
		}
		up := filepath.Dir(at)
		if up == at {
			return nil
		}
		at, below = up, filepath.Base(at)
	}
}
