// SPDX-License-Identifier: Apache-2.0

package cfslabel

import (
	"context"
	"errors"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cfs-label/cfs-label/remote"
)

// failing is a repository where pushing fails after a while, and so does Flush.
type failing struct {
	remote.Repo
	name   string
	pushes int // that work
}

func (f *failing) Name() string { return f.name }

func (f *failing) PushReferrer(context.Context, v1.Hash, v1.Descriptor, []byte, []v1.Hash) error {
	if f.pushes--; f.pushes < 0 {
		return errors.New("the disk is full")
	}
	return nil
}

func (*failing) Flush(context.Context) error { return errors.New("the disk is full") }

// TestAttachFailsIn: in a layout what was pushed is there, also if a later one
// fails; in an archive nothing of it is, but what was there before.
func TestAttachFailsIn(t *testing.T) {
	for name, tc := range map[string]struct {
		repo         string
		pushes, want int
	}{
		"layout":             {"oci:dir", 1, 2},
		"layout, all pushed": {"oci:dir", 3, 4},
		"archive":            {"oci-archive:a.tar", 2, 1},
		"archive, at flush":  {"oci-archive:a.tar", 3, 1},
	} {
		at := &attaching{
			push: []*artifact{nil, {}, {}, {}},
			done: &Attached{Artifacts: []AttachedArtifact{{Present: true}, {Present: true, Replaced: []v1.Hash{{}}}, {}, {}}},
		}
		done, err := at.pushAll(t.Context(), &failing{name: tc.repo, pushes: tc.pushes})
		if err == nil || done == nil || len(done.Artifacts) != tc.want {
			t.Errorf("%s: got %+v, %v", name, done, err)
		}
	}
}
