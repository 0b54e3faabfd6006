// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/remote"
)

// keys has the credentials of one host.
type keys struct{ host string }

func (k keys) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if r.RegistryStr() != k.host {
		return nil, fmt.Errorf("credentials for %s were asked for", r.RegistryStr())
	}
	return &authn.Basic{Username: userName, Password: password}, nil
}

// source returns the reference of what is to be sealed.
func (j *job) source(host string, o *original) string {
	if j.target == noTag {
		return host + "/" + sourceRepo + "@" + o.top.desc.Digest.String()
	}
	return host + "/" + sourceRepo + ":" + sourceTag
}

// result is how a run of the product ended.
type result struct {
	digest string // of what it says is sealed
	err    error
	warned []string

	byCommand bool
}

// seal runs the product in this process. retries is remote.Options'.
func (j *job) seal(ctx context.Context, host string, o *original, retries int) result {
	var r result
	var mu sync.Mutex
	warn := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		r.warned = append(r.warned, text)
	}
	opts := remoteOptions(host, retries, warn)
	ref, err := remote.Open(ctx, j.source(host, o), opts)
	if err != nil {
		return result{err: err}
	}
	label := cfslabel.LabelOptions{Options: cfslabel.Options{Algorithms: j.algorithms, Formats: j.formats, Warn: warn}, Signing: j.signing, Kernel: j.kernel}
	for _, name := range j.write {
		place, err := cfslabel.ParsePlace(name)
		if err != nil {
			return result{err: err}
		}
		label.Write = append(label.Write, place)
	}
	if j.target == newTag {
		label.Tags = []string{sealedTag}
	}
	if j.target == elseThan {
		if label.To, err = remote.OpenTarget(ctx, host+"/"+targetRepo+":"+sealedTag, opts); err != nil {
			return result{err: err}
		}
	}
	sealed, err := cfslabel.Label(ctx, ref, label)
	r.err = err
	if err == nil {
		r.digest = sealed.Digest.String()
	}
	return r
}

// remoteOptions say how the product reaches a host.
func remoteOptions(host string, retries int, warn func(string)) remote.Options {
	return remote.Options{
		Keychain: keys{host}, Retries: retries, RetryPause: time.Millisecond, Warn: warn, UserAgent: "cfs-label/test",
		Layout: cfslabel.LayoutEditor{},
	}
}

// args are the arguments of the command for the same.
func (j *job) args(host string, o *original, retries int) []string {
	args := []string{j.source(host, o)}
	var names []string
	for _, a := range j.algorithms {
		names = append(names, a.String())
	}
	args = append(args, "--algorithm", strings.Join(names, ","))
	names = nil
	for _, f := range j.formats {
		names = append(names, f.String())
	}
	args = append(args, "--format", strings.Join(names, ","))
	if j.target == newTag {
		args = append(args, "--tag", sealedTag)
	}
	if j.target == elseThan {
		args = append(args, "--to", host+"/"+targetRepo+":"+sealedTag)
	}
	return append(args, "--write", strings.Join(j.write, ","), "--retries", fmt.Sprint(retries))
}

// compute returns the digests of the images, by what the product says of them
// while nothing is wrong.
func (j *job) compute(t *testing.T, b *backing, o *original) map[v1.Hash]digests {
	t.Helper()
	opts := remote.Options{Keychain: authn.NewMultiKeychain(), Transport: b}
	ref, err := remote.Open(t.Context(), "localhost:1/"+sourceRepo+"@"+o.top.desc.Digest.String(), opts)
	must(t, err)
	images, err := cfslabel.Compute(t.Context(), ref, cfslabel.Options{Algorithms: j.algorithms, Formats: j.formats})
	must(t, err)
	want := map[v1.Hash]digests{}
	for _, img := range images {
		d := digests{label: img.Digests[0].Digest.String(), v1: map[string]string{}}
		for _, each := range img.Digests {
			if each.Format == erofs.V1 {
				d.v1[each.Digest.Algorithm().String()] = each.Digest.String()
			}
		}
		want[img.Manifest] = d
	}
	if len(want) != len(o.images()) {
		t.Fatalf("there are digests of %d images, not %d", len(want), len(o.images()))
	}
	return want
}
