// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
)

// noRetries is remote.Options.Retries where a request is sent once.
const noRetries = -1

// cutRow is a run that is cut off at each of its requests.
type cutRow struct {
	name     string
	shape    shape
	write    []string
	target   target
	mounts   bool
	occupied bool // the target's tag is there already
	signs    signs
	again    bool // each run that was cut off is followed by one that is not
}

var (
	inline   = []string{"label", "annotations"}
	artifact = []string{"artifact"}
)

// cutRows are what is cut off, each with the referrers API and without.
var cutRows = []cutRow{
	{name: "image", write: inline, target: ownTag},
	{name: "image with a referrer", shape: shape{referrer: true}, write: inline, target: ownTag},
	{name: "image of Docker's", shape: shape{docker: true}, write: inline, target: ownTag},
	{name: "image, new tag", write: inline, target: newTag},
	{name: "image, another tag that is there", write: inline, target: newTag, occupied: true},
	{name: "image by its digest", write: inline, target: noTag},
	{name: "index", shape: shape{index: true}, write: inline, target: ownTag},
	{name: "artifact", write: artifact, target: ownTag},
	{name: "artifact besides another referrer", shape: shape{referrer: true}, write: artifact, target: ownTag},
	{name: "artifacts of an index", shape: shape{index: true}, write: artifact, target: ownTag},
	{name: "image and artifact", write: append(artifact, inline...), target: ownTag},
	{name: "image to another repository", write: inline, target: elseThan},
	{name: "image to another repository, mounted", write: inline, target: elseThan, mounts: true},
	{name: "index to another repository", shape: shape{index: true}, write: inline, target: elseThan},
	{name: "index to another repository, mounted", shape: shape{index: true}, write: inline, target: elseThan, mounts: true},
	{name: "artifact to another repository", write: artifact, target: elseThan},
}

// TestCutOff cuts the registry off for good, before and after every single
// request of a run. The tag names the old image or the new one, and that is
// whole. No tag is written before everything that it needs.
func TestCutOff(t *testing.T) { cutAll(t, cutRows) }

func cutAll(t *testing.T, rows []cutRow) {
	t.Helper()
	for _, row := range rows {
		for _, hasAPI := range []bool{true, false} {
			name := row.name + ", no referrers API"
			if hasAPI {
				name = row.name + ", referrers API"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				row.run(t, hasAPI)
			})
		}
	}
}

// scene returns what the row starts from.
func (r *cutRow) scene(t *testing.T, hasAPI bool) *scene {
	t.Helper()
	o := newOriginal(t, rand.New(rand.NewPCG(7, 7)), r.shape) //nolint:gosec // the same each time is what is wanted
	j := job{write: r.write, algorithms: []fsverity.Algorithm{fsverity.SHA512}, formats: []erofs.Format{erofs.V1}, target: r.target}
	if j.writes("artifact") {
		j.algorithms = append(j.algorithms, fsverity.SHA256)
	}
	s := newScene(t, o, &plan{job: j, referrers: hasAPI, mounts: r.mounts, occupied: r.occupied})
	s.signAs(t, r.signs)
	return s
}

func (r *cutRow) run(t *testing.T, hasAPI bool) {
	t.Helper()
	s := r.scene(t, hasAPI)
	full := &cutter{next: s.b}
	if end := r.runOnce(t, s, full, "not cut off"); end != sealedEnd {
		t.Fatalf("nothing was cut off, and it did not end well")
	}
	s.checkOrder(t, full)

	n := len(full.asked)
	ends := map[ending]int{}
	missed, points := 0, 0
	for i, more := 1, true; i <= n || more; i++ { // it may take more requests than the first time
		more = false
		for _, sd := range []side{before, after} {
			c := &cutter{at: i, side: sd}
			now, what := s.again(t), fmt.Sprintf("cut off %s request %d of %d", sd, i, n)
			ends[r.runOnce(t, now, c, what)]++
			if r.again {
				r.runOnce(t, now, &cutter{}, "again, after it was "+what)
			}
			points++
			if c.cut {
				more = true
			} else {
				missed++ // it took fewer requests this time
			}
		}
	}
	t.Logf("%d requests, %d cut points: %d sealed, %d failed with the tag as it was, %d with the tag at the new image",
		n, points, ends[sealedEnd], ends[cleanEnd], ends[unknownEnd])
	countCuts(points)
	if missed > n/2 {
		t.Errorf("%d of %d runs ended before they were cut off", missed, points)
	}
	if ends[cleanEnd] == 0 {
		t.Error("no run failed: nothing was cut off")
	}
}

// runOnce runs the product and reads everything back.
func (r *cutRow) runOnce(t *testing.T, s *scene, c *cutter, what string) ending {
	t.Helper()
	c.next = s.b
	host := s.serve(t, c)
	res := watch(t, what, func(ctx context.Context) result { return s.job.seal(ctx, host, s.o, noRetries) })
	repo, tag := s.target()
	end, err := s.judge(res, c.wroteTag(repo, tag))
	if err == nil && c.at == 0 {
		err = res.err
	}
	if err != nil {
		t.Errorf("%s: %v\nthe product said: %v\nrequests:\n%s", what, err, res.err, c.list())
	}
	return end
}

// checkOrder fails unless each manifest came after what it needs, and the tag is the last that was written, once, and never
// where the image stays as it is.
func (s *scene) checkOrder(t *testing.T, c *cutter) {
	t.Helper()
	repo, tag := s.target()
	want := 1
	if tag == "" || (s.job.onlyArtifact() && tag == sourceTag) {
		want = 0
	}
	for _, err := range c.early {
		t.Error(err)
	}
	got := 0
	for i, w := range c.writes {
		if w != (place{aTag, repo, tag}) {
			continue
		}
		if got++; i != len(c.writes)-1 {
			t.Errorf("the tag was written before %v", c.writes[i+1:])
		}
	}
	if got != want {
		t.Errorf("the tag was written %d times, not %d:\n%s", got, want, c.list())
	}
}
