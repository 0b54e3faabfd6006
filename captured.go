// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cfs-label/cfs-label/boot"
	"github.com/cfs-label/cfs-label/composefs/selinux"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers"
)

// What is wanted of layers besides their tree.
const (
	selinuxDir     = "etc/selinux/"
	selinuxConfig  = selinuxDir + "config"
	policyFilesDir = "/contexts/files/"
	entriesDir     = "boot/loader/entries/"
	entrySuffix    = ".conf"
)

// entryMax is the size of the longest boot entry that is read, in bytes. Real
// ones have a few hundred.
const entryMax = 1 << 20

// scannerKeeps is what a boot.Scanner keeps of a file at most, in bytes: its
// headers or its command lines. The headers of a small file may speak of as many
// as those of a large one.
const scannerKeeps = 1 << 20

var errNotCaptured = errors.New("it is too large to be what it should be, or cannot be told from others of its size; make it a file of its own in a layer")

// content is the text of a file that has that size, in bytes.
type content struct {
	data []byte
	size int
}

func (c *content) Write(p []byte) (int, error) {
	if c.data == nil {
		c.data = make([]byte, 0, c.size)
	}
	c.data = append(c.data, p...)
	return len(p), nil
}

// capture chooses the files whose content the options need: the SELinux policy
// and the boot entries for a bootable digest, and the command lines of UKIs, which
// may name one.
func (o *Options) capture(path []byte, size uint64) (w io.Writer, keeps int) {
	switch most := textMost(string(path)); {
	case most > 0 && size <= uint64(most):
		return &content{size: int(size)}, int(size)
	case most > 0:
		return nil, 0
	}
	if _, ok := boot.IsUKI(string(path)); ok {
		return &boot.Scanner{}, scannerKeeps
	}
	return nil, 0
}

// textMost returns how many bytes a file may have whose text is wanted, and 0 for
// all other files.
func textMost(path string) int {
	switch {
	case path == selinuxConfig, isPolicyFile(path):
		return selinux.MaxFile
	case strings.HasPrefix(path, entriesDir) && strings.HasSuffix(path, entrySuffix):
		return entryMax
	}
	return 0
}

// isPolicyFile reports whether a policy may have the file, at any depth below
// /etc/selinux: only its config tells where.
func isPolicyFile(path string) bool {
	rest, ok := strings.CutPrefix(path, selinuxDir)
	i := strings.LastIndexByte(path, '/')
	if !ok || !slices.Contains(selinux.Names(), path[i+1:]) {
		return false
	}
	return strings.HasSuffix("/"+rest[:len(rest)-len(path[i+1:])], policyFilesDir)
}

// isUKI reports whether a wanted path is that of a UKI, and not of what the digest
// needs.
func isUKI(path string) bool {
	_, ok := boot.IsUKI(path)
	return ok
}

// imageSystem is the system that layers give together.
func imageSystem(m *layers.Merged) *system {
	text := capturedText(m)
	again := func(ctx context.Context) error {
		return m.ReadAgain(ctx, func(path string) bool { return !isUKI(path) })
	}
	return &system{tree: m.Tree, readPolicy: again, policy: func(t *tree.Tree) (*selinux.Policy, error) {
		if err := transform.BootEntries(t, text); err != nil {
			return nil, err
		}
		return transform.Policy(t, text)
	}}
}

// capturedText gives the text of files that was captured.
func capturedText(m *layers.Merged) transform.Content {
	return func(_ string, file tree.Ino) ([]byte, error) {
		if c, ok := layers.CapturedAs[*content](m, file); ok {
			return c.data, nil
		}
		return nil, fmt.Errorf("%w (%d bytes)", errNotCaptured, m.Tree.Size(file))
	}
}
