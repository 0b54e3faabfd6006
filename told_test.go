// SPDX-License-Identifier: Apache-2.0

package cfslabel_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/transform"
	"github.com/cfs-label/cfs-label/image"
)

// TestWrittenIsWhatWasWritten: a run that finds all as it should be wrote
// nowhere.
func TestWrittenIsWhatWasWritten(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	if first := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{}); len(first.Written) != 2 {
		t.Errorf("the first run wrote %v", first.Written)
	}
	if again := label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{}); len(again.Written) > 0 {
		t.Errorf("the second run wrote %v", again.Written)
	}
}

// TestXattrsAreTold: a digest that hosts do not compute is told.
func TestXattrsAreTold(t *testing.T) {
	s := newStore(t)
	s.push(t, "a:v1", plain)
	warnings := &talk{}
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Options: cfslabel.Options{
		Warn: warnings.warn, Xattrs: []transform.Xattrs{transform.KeepUserXattrs},
	}})
	warnings.want(t, "hosts compute allowlist-only and will not find it equal")
}

// TestSkippedKeepsItsLabel: an image that is skipped keeps what it says of its
// digest, which nobody checked, and that is told.
func TestSkippedKeepsItsLabel(t *testing.T) {
	s := newStore(t)
	good := s.push(t, "a:good", plain)
	h := platform("linux", "arm64")
	h.config = strings.NewReplacer(`"DIFFID"`, `"sha256:`+hexOf("0")+`"`,
		`{"architecture"`, `{"config":{"Labels":{"`+image.LabelKey+`":"00"}},"architecture"`).Replace(h.config)
	bad := s.push(t, "a:bad", h)
	s.putText(t, "a:v1", types.OCIImageIndex, indexOf(listing(good, on("linux/amd64")), listing(bad, on("linux/arm64"))))
	warnings := &talk{}
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{SkipUnsealable: true, Options: cfslabel.Options{Warn: warnings.warn}})
	warnings.want(t, "linux/arm64 keeps the label containers.composefs.fsverity=00, which may be of another image")
}

// TestFindings: of several images each finding says which it is of; and what
// only follows from another is none: the digest of a config that is right now,
// and would change with the label.
func TestFindings(t *testing.T) {
	s := newStore(t)
	pushFamily(t, s, "a:v1")
	label(t, s.open(t, "a:v1"), cfslabel.LabelOptions{Write: []cfslabel.Place{cfslabel.InAnnotations}})
	_, err := cfslabel.Label(t.Context(), s.open(t, "a:v1"), cfslabel.LabelOptions{Check: true})
	m, ok := errors.AsType[*cfslabel.MismatchError](err)
	if !ok || len(m.Findings) != 2 {
		t.Fatalf("got %v", err)
	}
	for i, p := range []string{"linux/amd64", "linux/arm64"} {
		if !strings.HasPrefix(m.Findings[i], p+`: config.Labels["containers.composefs.fsverity"] is missing`) {
			t.Errorf("finding %d is %q", i, m.Findings[i])
		}
	}
}
