// SPDX-License-Identifier: Apache-2.0

package layers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfs-label/cfs-label/layers"
)

// late serves a blob whose last bytes come when all that is before them was
// merged, unless the reading is called off.
func late(l layers.Layer, blob []byte) layers.Layer {
	l.Open = func(ctx context.Context) (io.ReadCloser, error) {
		end := len(blob) - min(len(blob), 600)
		return io.NopCloser(io.MultiReader(bytes.NewReader(blob[:end]), &pause{ctx.Done()}, bytes.NewReader(blob[end:]))), nil
	}
	return l
}

// pause is a reader of nothing.
type pause struct{ calledOff <-chan struct{} }

func (p *pause) Read([]byte) (int, error) {
	select {
	case <-p.calledOff:
		return 0, errMine
	case <-time.After(time.Second): // in a bubble: when nothing else goes on
		return 0, io.EOF
	}
}

// TestDamageBeforeMerge: entries that do not merge because the layer was damaged
// on the way, or is not the one that the config says, are told as that, though
// they be found long before the end of the blob; and as what they are once the
// layer is known to be right.
func TestDamageBeforeMerge(t *testing.T) {
	lines := []string{"dir usr/"}
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf(`file usr/f%06d "%d"`, i, i))
	}
	tar := archive(t, lines...)
	lines[0] = "dir usq/"
	bad := archive(t, lines...)
	right, base := plainLayer(tar), plainLayer(archive(t, "dir etc/"))
	wrongDiff := plainLayer(bad)
	wrongDiff.DiffID = right.DiffID
	form := archive(t, "dir usr/", "file usr/x field.checksum=1", "file usr/a size=5000")
	wrongForm := plainLayer(form)
	wrongForm.DiffID = right.DiffID
	for _, c := range []struct {
		rule string
		list []layers.Layer
		at   int
		path string
		want error
	}{
		{"damaged", []layers.Layer{base, late(right, bad)}, 1, "", layers.ErrDigest},
		{"damaged, there twice", []layers.Layer{late(right, bad), base, late(right, bad)}, 0, "", layers.ErrDigest},
		{"cut", []layers.Layer{base, late(right, bad[:len(bad)-1024])}, 1, "", layers.ErrSize},
		{"another", []layers.Layer{base, late(wrongDiff, bad), base}, 1, "", layers.ErrDiffID},
		{"another that is no archive", []layers.Layer{base, late(wrongForm, form)}, 1, "", layers.ErrDiffID},
		{"right", []layers.Layer{base, late(plainLayer(bad), bad)}, 1, "usr/f000000", layers.ErrNoParent},
	} {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, jobs := range []int{1, 4} {
					_, err := layers.Flatten(t.Context(), c.list, layers.Options{Jobs: jobs})
					checkPlaced(t, err, c.at, c.list, c.path)
					if !errors.Is(err, c.want) {
						t.Errorf("%d jobs: error %v, want %v", jobs, err, c.want)
					}
				}
			})
		})
	}
}
