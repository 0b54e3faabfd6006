// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	cfslabel "github.com/cfs-label/cfs-label"
)

// showHashing shows how much of a directory was hashed, where a person looks,
// and returns what ends it. How much there will be nobody knows.
func (t *terminal) showHashing(d *cfslabel.DirectoryOptions) (end func()) {
	if !t.showsBars() {
		return func() {}
	}
	const unknown = 0
	pool := mpb.New(mpb.WithOutput(t.stderr))
	bar := pool.New(unknown, mpb.SpinnerStyle(),
		mpb.PrependDecorators(decor.Name("hashed "), decor.CurrentKibiByte("% .1f", decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), "% .1f")),
	)
	t.hold()
	d.Hashed = bar.IncrBy
	return func() {
		bar.EnableTriggerComplete()
		bar.SetTotal(-1, true)
		pool.Wait()
		t.release()
	}
}
