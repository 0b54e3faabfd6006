// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Dir reads the directory at path, which may be a symlink to it, with
// everything below it, into a tree: what lstat, listxattr and readlink say of
// each inode, the content of files that the image itself holds, and the
// digests of the others. The root directory has its own metadata.
//
// Its errors are of type *Error, or the context's.
func Dir(ctx context.Context, path string, o Options) (*tree.Tree, error) {
	return dirWithin(ctx, defaultLimits, path, o)
}

func dirWithin(ctx context.Context, limits amount, path string, o Options) (*tree.Tree, error) {
	o.fill()
	s := &scanner{
		options: o,
		budget:  budget{most: limits},
		tree:    tree.New(o.Algorithms...),
		links:   map[inodeID]tree.Ino{},
		path:    []byte(strings.TrimRight(path, "/")),
		jobs:    make(chan job, 2*o.Jobs),
	}
	root, err := s.openRoot(path)
	if err != nil {
		return nil, &Error{path, err}
	}
	defer root.close()

	g, running := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(s.jobs)
		return s.directory(running, root, tree.Root, 0)
	})
	for range o.Jobs {
		g.Go(func() error { return s.hashAll(running) })
	}
	err = g.Wait()
	for j := range s.jobs { // what is left after an error
		j.file.close()
	}
	if err != nil {
		return nil, err
	}
	return s.tree, nil
}

// scanner reads one directory.
type scanner struct {
	options Options
	budget  budget
	mount   uint64 // of the directory

	mu   sync.Mutex // of tree, while files are hashed
	tree *tree.Tree

	// Of what has been seen, other than directories. It has every file, though
	// it have but one link by its link count: fuse-overlayfs counts wrongly.
	links map[inodeID]tree.Ino

	path     []byte // where the walk is
	xattrs   xattrReader
	lastSet  tree.XattrSet // the newest; equal sets are kept, and counted, once
	zeroSums []byte

	jobs chan job
}

// openRoot points at the directory, and sees to it that it can be read.
func (s *scanner) openRoot(path string) (_ fd, err error) {
	root, err := open(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return 0, os.ErrNotExist
	}
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			root.close()
		}
	}()
	is, err := root.stat()
	if err != nil {
		return 0, err
	}
	if err := refuseSystemRoot(&is); err != nil {
		return 0, err
	}
	s.mount = is.mount
	if !is.hasMount && !s.options.CrossMounts {
		return 0, ErrNoMountID
	}
	if unix.Access(root.proc(), unix.F_OK) != nil {
		return 0, ErrNoProc
	}
	for _, alg := range s.options.Algorithms {
		s.zeroSums = append(s.zeroSums, make([]byte, alg.Size())...)
	}
	return root, nil
}

// refuseSystemRoot fails if the directory is /, whatever it was called. The
// same directory in another mount, as builders bind it, is fine: what is
// mounted below the one is not below the other.
func refuseSystemRoot(is *inode) error {
	system, err := open(unix.AT_FDCWD, "/", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer system.close()
	root, err := system.stat()
	if err != nil {
		return err
	}
	if root.id == is.id && root.mount == is.mount {
		return ErrRoot
	}
	return nil
}

// fail gives the error its place.
func (s *scanner) fail(err error) error {
	path := string(s.path)
	if path == "" {
		path = "/"
	}
	return &Error{path, err}
}

// directory reads the directory that f points at, which the tree has as ino.
func (s *scanner) directory(ctx context.Context, f fd, ino tree.Ino, depth int) error {
	if depth > tree.DepthMax {
		return s.fail(tree.ErrDepth)
	}
	is, err := f.stat()
	if err != nil {
		return s.fail(err)
	}
	set, err := s.readXattrs(f)
	if err != nil {
		return s.fail(err)
	}
	meta := is.meta()
	meta.Xattrs = set
	s.mu.Lock()
	s.tree.SetMeta(ino, meta)
	s.mu.Unlock()

	dir, err := f.list()
	if err != nil {
		return s.fail(err)
	}
	file := os.NewFile(uintptr(dir), "")
	defer file.Close()
	names, err := s.names(file)
	if err != nil {
		return s.fail(err)
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		length := len(s.path)
		s.path = append(append(s.path, '/'), name...)
		if err := s.entry(ctx, dir, ino, name, depth+1); err != nil {
			return err
		}
		s.path = s.path[:length]
	}
	if err := f.unchanged(&is); err != nil {
		return s.fail(err)
	}
	return nil
}

// names returns all names in the directory, sorted, so that what is said of a
// tree does not depend on the order that a file system has them in.
func (s *scanner) names(dir *os.File) ([]string, error) {
	const atOnce = 1024
	var names []string
	for {
		some, err := dir.Readdirnames(atOnce)
		for _, name := range some {
			if err := s.budget.take(1, len(name)); err != nil {
				return nil, err
			}
		}
		names = append(names, some...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, explain(err)
		}
	}
	slices.Sort(names)
	return names, nil
}

// entry reads what dir, the directory that the tree has as parent, calls name.
func (s *scanner) entry(ctx context.Context, dir fd, parent tree.Ino, name string, depth int) error {
	f, err := dir.at(name)
	if err != nil {
		return s.fail(err)
	}
	defer f.close()
	is, err := f.stat()
	if err != nil {
		return s.fail(err)
	}
	if is.mount != s.mount && !s.options.CrossMounts {
		return s.fail(ErrMount)
	}
	if kind, ok := tree.KindOfMode(is.mode); ok && kind == tree.Directory {
		ino := s.add(parent, name, func() tree.Ino { return s.tree.NewDirectory(tree.Meta{}) })
		return s.directory(ctx, f, ino, depth)
	}
	if ino, ok := s.links[is.id]; ok {
		if err := s.sameInode(ino, &is); err != nil {
			return s.fail(err)
		}
		s.add(parent, name, func() tree.Ino { return ino })
		return nil
	}
	ino, err := s.leaf(ctx, f, &is, parent, name)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return s.fail(err)
	}
	s.links[is.id] = ino
	return nil
}

// add gives an inode a name.
func (s *scanner) add(parent tree.Ino, name string, inode func() tree.Ino) tree.Ino {
	s.mu.Lock()
	defer s.mu.Unlock()
	ino := inode()
	s.tree.Link(parent, []byte(name), ino)
	return ino
}
