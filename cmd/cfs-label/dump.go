// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cfs-label/cfs-label/composefs/dumpfile"
	"github.com/cfs-label/cfs-label/composefs/erofs"
)

const dumpHelp = `cfs-label dump SOURCE prints the merged tree of an image in composefs' dump
format, as cfsctl oci dump does: to compare two images, or as input of
mkcomposefs --from-file. SOURCE can be a directory, as in dir:PATH or ./PATH, and
a composefs image (erofs:FILE) or another dump (dump:FILE), which are taken as
they are.

` + exitHelp

func dumpCommand(t *terminal) *cobra.Command {
	var source sourceFlags
	cmd := &cobra.Command{
		Use:   "dump SOURCE",
		Short: "Print the merged tree in composefs' dump format",
		Long:  dumpHelp,
		Example: `  cfs-label dump ghcr.io/org/img:latest > img.dump
  cfs-label dump --bootable dir:/target > target.dump
  cfs-label dump erofs:img.cfs`,
		Args: oneSource,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, o, err := source.tree(cmd, t, args[0])
			if err != nil {
				return err
			}
			w := bufio.NewWriter(t.stdout)
			if err := dumpfile.Write(w, c, o.Algorithms[0]); err != nil {
				return err
			}
			return w.Flush()
		},
	}
	source.add(cmd.Flags())
	source.addBootable(cmd.Flags())
	source.addDirectory(cmd.Flags())
	return cmd
}

const exportHelp = `cfs-label export SOURCE --file FILE writes the composefs image of an image: the
EROFS file system whose fs-verity digest cfs-label compute prints. SOURCE can be
a directory, as in dir:PATH or ./PATH, and a dump (dump:FILE) or another composefs
image (erofs:FILE), which are taken as they are. FILE is replaced when the image
is complete; a pipe or a device is written to, and - is stdout.

` + exitHelp

func exportCommand(t *terminal) *cobra.Command {
	var source sourceFlags
	var file string
	cmd := &cobra.Command{
		Use:     "export SOURCE --file FILE",
		Short:   "Write the composefs image (EROFS)",
		Long:    exportHelp,
		Example: "  cfs-label export ghcr.io/org/img:latest --file img.cfs",
		Args:    oneSource,
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return &usageError{errors.New("where to? give --file FILE, or --file - for stdout")}
			}
			if err := checkFile(file, args[0], source.bootable); err != nil {
				return err
			}
			c, o, err := source.tree(cmd, t, args[0])
			if err != nil {
				return err
			}
			write := func(w io.Writer) error {
				return erofs.Write(w, c, erofs.Options{Format: o.Formats[0], Algorithm: o.Algorithms[0]})
			}
			return t.writeTo(file, write)
		},
	}
	source.addFormat(cmd.Flags())
	source.add(cmd.Flags())
	source.addBootable(cmd.Flags())
	source.addDirectory(cmd.Flags())
	cmd.Flags().StringVar(&file, "file", "", "`FILE` to write")
	return cmd
}

// checkFile finds out before the long work whether the file can be written.
// bootable tells that nothing but the bootable tree goes into it.
func checkFile(file, source string, bootable bool) error {
	if file == "-" {
		return nil
	}
	if kind, path := splitSource(source); kind == aDirectory {
		var emptied []string
		if bootable {
			emptied = []string{"boot", "sysroot"}
		}
		if err := outside(file, path, emptied...); err != nil {
			return err
		}
	}
	return checkTarget(file)
}

// checkTarget finds out before the long work whether the file can be there.
func checkTarget(file string) error {
	info, err := os.Stat(filepath.Dir(file))
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	if err != nil {
		return &usageError{fmt.Errorf("--file %s: its directory: %w", file, err)}
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return &usageError{fmt.Errorf("--file %s is a directory", file)}
	}
	return nil
}

// writeTo writes to a file, or to stdout if it is called -.
func (t *terminal) writeTo(file string, write func(io.Writer) error) error {
	if file == "-" {
		return write(t.stdout)
	}
	return writeFile(file, write)
}

// writeFile writes a file that is there whole or not at all. Pipes and devices
// are never replaced, links to files stay links.
func writeFile(file string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(file); err == nil {
		if !info.Mode().IsRegular() {
			return writeInto(file, write)
		}
		if file, err = filepath.EvalSymlinks(file); err != nil {
			return err
		}
	}
	tmp, err := createBeside(file)
	defer func() {
		if err != nil && tmp != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if err != nil {
		return err
	}
	if err := write(tmp); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// createBeside makes a file in the directory of another, with the other's
// permissions or, where it does not exist, with those of a new file.
func createBeside(file string) (*os.File, error) {
	mode := os.FileMode(0o666) // what the umask leaves of it
	info, statErr := os.Stat(file)
	if statErr == nil {
		mode = info.Mode().Perm()
	}
	name := filepath.Join(filepath.Dir(file), fmt.Sprintf(".%s.%d", filepath.Base(file), os.Getpid()))
	tmp, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err == nil && statErr == nil {
		err = tmp.Chmod(mode) // the umask may have taken some of it
	}
	return tmp, err
}

func writeInto(file string, write func(io.Writer) error) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
