// SPDX-License-Identifier: Apache-2.0

package erofs_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/internal/oracle"
)

// TestDirectories: cfsctl computes the same digests of random directories on
// disk. Of dumps it computes only V0 and V1 with SHA-256; here it is all
// formats with both algorithms.
func TestDirectories(t *testing.T) {
	cfsctl := oracle.Require(t, "cfsctl")
	directories := 24
	if testing.Short() {
		directories = 4
	}
	for seed := range directories {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			d := &disk{t: t, r: rand.New(rand.NewPCG(uint64(seed), 2)), dirs: []string{t.TempDir()}}
			d.build()
			for _, alg := range algorithms {
				compareDirectory(t, cfsctl, d.dirs[0], alg)
			}
		})
	}
}

// compareDirectory compares our digests of cfsctl's dump of the directory with
// cfsctl's digests of it.
func compareDirectory(t *testing.T, cfsctl, dir string, alg fsverity.Algorithm) {
	t.Helper()
	const asItIs = "--no-propagate-usr-to-root"
	c := readDump(t, run(t, "", cfsctl, "--no-repo", "--hash", alg.String(), "create-dumpfile", asItIs, dir), alg)
	for _, f := range formats {
		version := strings.TrimPrefix(f.String(), "v")
		want := run(t, "", cfsctl, "--no-repo", "--hash", alg.String(), "--erofs-version", version, "compute-id", asItIs, dir)
		got, err := erofs.Digest(c, erofs.Options{Format: f, Algorithm: alg})
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != strings.TrimSpace(want) {
			t.Errorf("%s %s: digest %s, cfsctl says %s\n%s", f, alg, got, want, writeDump(t, c, alg))
		}
	}
}

// disk makes a random directory of what an ordinary user can make.
type disk struct {
	t     *testing.T
	r     *rand.Rand
	dirs  []string
	files []string
	all   []string
}

func (d *disk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) build() {
	for i := range 2 << d.r.IntN(8) {
		d.add(i)
	}
	// From the inside out: a change in a directory changes its time.
	for _, path := range slices.Backward(d.all) {
		at := time.Unix(int64(d.r.IntN(3)-1), int64(d.r.IntN(2)*5e8))
		if d.r.IntN(2) == 0 {
			d.must(os.Chtimes(path, at, at))
		}
	}
}

func (d *disk) add(i int) {
	dir := d.dirs[d.r.IntN(len(d.dirs))]
	path := filepath.Join(dir, fmt.Sprintf("%c%s%d", 'a'+d.r.IntN(26), strings.Repeat("n", d.r.IntN(8)*d.r.IntN(25)), i))
	switch n := d.r.IntN(16); {
	case n < 2:
		d.must(os.Mkdir(path, 0o755))
		d.dirs = append(d.dirs, path)
	case n < 7:
		d.must(os.Symlink(strings.Repeat("/t", 1+d.r.IntN(2+d.r.IntN(2046))), path))
		return // without a time of its own
	case n == 7:
		d.must(syscall.Mkfifo(path, 0o644))
	case n == 8:
		d.must(syscall.Mknod(path, syscall.S_IFSOCK|0o600, 0))
	case n < 11 && len(d.files) > 0:
		d.must(os.Link(d.files[d.r.IntN(len(d.files))], path))
		return
	default:
		size := d.r.IntN(66)
		if n > 13 {
			size = d.r.IntN(10000)
		}
		d.must(os.WriteFile(path, []byte(strings.Repeat("x", size)), 0o640))
		d.files = append(d.files, path)
		d.label(path)
	}
	d.all = append(d.all, path)
}

// label gives the file an xattr, where the file system has them.
func (d *disk) label(path string) {
	if d.r.IntN(4) > 0 {
		return
	}
	value := strings.Repeat("v", d.r.IntN(3)*d.r.IntN(60))
	err := syscall.Setxattr(path, fmt.Sprintf("user.%d", d.r.IntN(4)), []byte(value), 0)
	if err != nil && err != syscall.ENOTSUP {
		d.t.Fatal(err)
	}
}
