// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// scene is a registry with an image, and what is to become of it.
type scene struct {
	b      *backing
	o      *original
	job    job
	plan   *plan
	front  *front                       // nil: each run has an address of its own
	before map[string]map[string]object // tags by repository
	want   map[v1.Hash]digests
}

func newScene(t *testing.T, o *original, p *plan) *scene {
	t.Helper()
	s := (&scene{o: o, job: p.job, plan: p, before: map[string]map[string]object{}}).again(t)
	s.want = p.job.compute(t, s.b, o)
	for _, repo := range []string{sourceRepo, targetRepo} {
		tags, err := s.b.tags(repo)
		must(t, err)
		s.before[repo] = tags
	}
	return s
}

// again returns the scene with a new registry.
func (s *scene) again(t *testing.T) *scene {
	t.Helper()
	next := *s
	next.b = newBacking(s.plan.referrers, s.plan.mounts)
	s.o.load(t, next.b, s.plan.referrers)
	if repo, tag := s.target(); s.plan.occupied && tag == sealedTag {
		older := object{raw: []byte(`{"schemaVersion":2,"manifests":[]}`)}
		older.desc = describe(older.raw, types.OCIImageIndex)
		next.b.putManifest(t, repo, tag, older)
	}
	return &next
}

// target returns the repository and the tag that are to name the sealed image;
// the tag is "" where none is.
func (s *scene) target() (repo, tag string) {
	switch s.job.target {
	case newTag:
		return sourceRepo, sealedTag
	case noTag:
		return sourceRepo, ""
	case elseThan:
		return targetRepo, sealedTag
	default:
		return sourceRepo, sourceTag
	}
}

// ending is how a run left the registry.
type ending string

const (
	sealedEnd  ending = "sealed"
	cleanEnd   ending = "failed, tag as it was"
	unknownEnd ending = "failed, tag at the new image"
)

// judge reads everything back and says how the run ended. mayMove tells that a
// tag was written and the answer lost. The error says what is wrong.
func (s *scene) judge(r result, mayMove bool) (ending, error) {
	moved, err := s.moved()
	if err != nil {
		return "", err
	}
	if err := s.o.isListed(s.b, s.plan.referrers); err != nil {
		return "", err
	}
	if err := s.b.whole(sourceRepo, s.o.top); err != nil {
		return "", fmt.Errorf("the old image: %w", err)
	}
	if r.err == nil {
		return sealedEnd, s.isSealed(r, moved)
	}
	if err := isClear(r.err.Error()); err != nil {
		return "", err
	}
	if moved == nil {
		return cleanEnd, nil
	}
	if !mayMove {
		return "", fmt.Errorf("the tag was moved to %s, though the run failed: %w", moved.desc.Digest, r.err)
	}
	if err := s.compare(*moved); err != nil {
		return "", fmt.Errorf("the tag was moved: %w", err)
	}
	return unknownEnd, nil
}

// moved returns what the target's tag names now, nil if that is what it was
// before. Another tag that changed is an error.
func (s *scene) moved() (*object, error) {
	repo, tag := s.target()
	var moved *object
	for _, r := range []string{sourceRepo, targetRepo} {
		now, err := s.b.tags(r)
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(now)) {
			if before, ok := s.before[r][name]; ok && before.desc.Digest == now[name].desc.Digest {
				continue
			}
			if r != repo || name != tag {
				return nil, fmt.Errorf("%s:%s was moved to %s", r, name, now[name].desc.Digest)
			}
			obj := now[name]
			moved = &obj
		}
		for name := range s.before[r] {
			if _, ok := now[name]; !ok {
				return nil, fmt.Errorf("%s:%s is gone", r, name)
			}
		}
	}
	return moved, nil
}

// isSealed fails unless what the product says is sealed is, and has the tag.
func (s *scene) isSealed(r result, moved *object) error {
	repo, tag := s.target()
	obj, err := s.b.manifest(repo, r.digest)
	if err != nil {
		return fmt.Errorf("the product says %s: %w", r.digest, err)
	}
	stays := s.job.onlyArtifact() && (tag == sourceTag || tag == "")
	switch {
	case stays && moved != nil:
		return fmt.Errorf("the tag was moved to %s", moved.desc.Digest)
	case stays || tag == "":
	case moved == nil:
		return fmt.Errorf("%s:%s does not name %s", repo, tag, r.digest)
	case moved.desc.Digest != obj.desc.Digest:
		return fmt.Errorf("%s:%s names %s, not %s", repo, tag, moved.desc.Digest, r.digest)
	}
	return s.compare(obj)
}

// compare fails unless the object is the original, sealed, whole, and signed if
// that was wanted.
func (s *scene) compare(now object) error {
	repo, _ := s.target()
	if err := s.b.whole(repo, now); err != nil {
		return err
	}
	c := &sealCheck{b: s.b, repo: repo, want: s.want, label: s.job.writes("label"), annotations: s.job.writes("annotations")}
	if s.job.onlyArtifact() && now.desc.Digest != s.o.top.desc.Digest {
		return fmt.Errorf("the image was %s and is %s", s.o.top.desc.Digest, now.desc.Digest)
	}
	if err := c.object(s.o.top, now); err != nil {
		return err
	}
	if s.job.writes("artifact") || s.job.signs.kernel {
		if err := c.allArtifacts(s.o, now, s.plan.referrers); err != nil {
			return err
		}
	}
	return s.isSigned(now)
}

// isClear fails for a message of which a user can make nothing, or from which
// others could make too much.
func isClear(message string) error {
	if strings.TrimSpace(message) == "" {
		return errors.New("the error says nothing")
	}
	if strings.ContainsAny(message, "\n\r") {
		return fmt.Errorf("the error has more than one line: %q", message)
	}
	named := false
	for _, name := range []string{sourceRepo, targetRepo, "sha256:"} {
		named = named || strings.Contains(message, name)
	}
	if !named {
		return fmt.Errorf("the error names nothing: %s", message)
	}
	for _, secret := range []string{password, keyPassword, tokenPrefix, secretCookie, secretQuery} {
		if strings.Contains(message, secret) {
			return fmt.Errorf("the error tells a secret: %s", message)
		}
	}
	return nil
}

// toldOnce fails unless what registry and storage warned of was told, each thing
// once for each reference. What the command told is not looked at.
func (r *result) toldOnce(p *plan, counts map[string]int) error {
	if r.byCommand {
		return nil
	}
	most := 1
	if p.job.target == elseThan {
		most = 2
	}
	times := map[string]int{}
	for _, text := range r.warned {
		if strings.Contains(text, warning) {
			times[text]++
		}
	}
	for text, n := range times {
		if n > most {
			return fmt.Errorf("it was told %d times that %s", n, text)
		}
	}
	if r.err == nil && counts["warning"] > 0 && len(times) == 0 {
		return errors.New("no warning of the registry was told")
	}
	return nil
}
