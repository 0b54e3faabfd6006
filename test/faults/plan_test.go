// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/composefs/erofs"
	"github.com/cfs-label/cfs-label/composefs/fsverity"
	"github.com/cfs-label/cfs-label/sign/pkcs7"
)

// mood is how bad a registry is.
type mood string

const (
	mild     mood = "mild"     // whoever tries again gets through: the run must succeed
	mixed    mood = "mixed"    // either way
	hopeless mood = "hopeless" // one thing never works: the run must fail
)

// budget is how often a mild registry fails what reads the same manifest or
// blob, and all else that is asked in a run.
type budget struct{ reads, rest int }

// retries are the product's. Copying a blob may take all of both.
func (b budget) retries() int { return b.reads + b.rest }

// The product in this process pauses for milliseconds, the command for seconds.
var (
	inProcessBudget = budget{reads: 2, rest: 4}
	commandBudget   = budget{reads: 1, rest: 2}
)

// plan is all that a seed decides.
type plan struct {
	seed     uint64
	mood     mood
	hopeless string
	from     int // the first request that a hopeless registry fails, where that counts
	shape    shape
	job      job

	occupied  bool  // a tag other than the image's own is there already
	referrers bool  // the registry has the referrers API
	mounts    bool  // it mounts blobs
	ranges    bool  // it serves parts of blobs
	noHEAD    thing // what HEAD is refused for: manifests, or blobs too; 0: it is not
	otherName bool  // the storage has another host name, not only another port
	tokenUses int   // 0: no token is wanted
	chance    map[string]float64
	budget    budget
}

// job is what is asked of the product.
type job struct {
	write      []string // label, annotations, artifact
	algorithms []fsverity.Algorithm
	formats    []erofs.Format
	target     target

	signs   signs
	signing *cfslabel.Signing // nil: no signature of Sigstore's
	kernel  *pkcs7.Key        // nil: none for the kernel
}

// target is what is to name the sealed image.
type target string

const (
	ownTag   target = "own tag"
	newTag   target = "new tag"
	noTag    target = "no tag" // the image is named by its digest
	elseThan target = "other repository"
)

// The tag and the repository of the targets.
const (
	sealedTag  = "sealed"
	targetRepo = "other/repository"
)

// newPlan returns the plan of a seed.
func newPlan(seed uint64) *plan {
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same each time is what is wanted
	p := &plan{seed: seed, chance: map[string]float64{}, budget: inProcessBudget}
	p.mood = pick(rng, mild, mild, mild, mixed, mixed, hopeless, hopeless)
	if p.mood == hopeless {
		p.hopeless = pick(rng, hopelessNames()...)
		p.from = 1 + rng.IntN(6)
	}
	p.shape = shape{index: rng.IntN(3) == 0, referrer: rng.IntN(3) == 0}
	p.shape.docker = rng.IntN(6) == 0 && !p.shape.index
	p.job = newJob(rng)
	if p.shape.docker && p.job.needsAnnotations() {
		p.shape.docker = false
	}
	p.referrers, p.mounts, p.ranges = rng.IntN(2) == 0, rng.IntN(2) == 0, rng.IntN(3) > 0
	if p.hopeless == neverEnding {
		p.ranges = false // or it would get a part further each time
	}
	p.occupied, p.otherName = rng.IntN(3) == 0, rng.IntN(2) == 0
	if p.noHEAD = pick(rng, 0, 0, 0, 0, 0, 0, aManifest, aBlob); p.mood == mild {
		p.noHEAD = min(p.noHEAD, aManifest) // one does without it; not so for blobs
	}
	p.addTokens(rng)
	p.addChances(rng)
	return p
}

func pick[T any](rng *rand.Rand, values ...T) T { return values[rng.IntN(len(values))] }

func newJob(rng *rand.Rand) job {
	return job{
		write: pick(rng, []string{"label", "annotations"}, []string{"label", "annotations"},
			[]string{"label"}, []string{"annotations"}, []string{"artifact"}),
		algorithms: pick(rng, []fsverity.Algorithm{fsverity.SHA512}, []fsverity.Algorithm{fsverity.SHA512, fsverity.SHA256}),
		formats:    pick(rng, []erofs.Format{erofs.V1}, []erofs.Format{erofs.V1, erofs.V2}),
		target:     pick(rng, ownTag, ownTag, ownTag, newTag, noTag, elseThan, elseThan),
	}
}

// needsAnnotations reports whether there is nothing to write where annotations
// do not fit.
func (j *job) needsAnnotations() bool { return len(j.write) == 1 && j.write[0] == "annotations" }

func (j *job) writes(what string) bool { return slices.Contains(j.write, what) }

// onlyArtifact reports whether the image is to stay as it is.
func (j *job) onlyArtifact() bool { return j.writes("artifact") && len(j.write) == 1 }

func (p *plan) addTokens(rng *rand.Rand) {
	if rng.IntN(2) == 0 {
		return
	}
	p.tokenUses = 1 + rng.IntN(20)
	if p.mood == mild {
		// Requests that run at the same time use up the same token.
		p.tokenUses = max(p.tokenUses, 8)
	}
}

// addChances decides which faults come, and how often.
func (p *plan) addChances(rng *rand.Rand) {
	for _, k := range kinds {
		present, most := rng.IntN(3) == 0, rng.Float64()
		switch {
		case k.class == harmless:
			p.chance[k.name] = most * 0.8
		case k.class == passing && p.mood == mild:
			p.chance[k.name] = most * 0.15
		case k.class == passing:
			p.chance[k.name] = most * 0.05
		case p.mood == mixed: // poison
			most *= 0.15
			p.chance[k.name] = most
		}
		if !present {
			delete(p.chance, k.name)
		}
	}
}

// String names the seed and what it decides.
func (p *plan) String() string {
	words := []string{string(p.mood)}
	if p.hopeless != "" {
		words = append(words, p.hopeless)
	}
	kind := "image"
	switch {
	case p.shape.index:
		kind = "index"
	case p.shape.docker:
		kind = "docker image"
	}
	words = append(words, kind, strings.Join(p.job.write, "+"), string(p.job.target))
	if p.referrers {
		words = append(words, "referrers API")
	}
	if p.tokenUses > 0 {
		words = append(words, fmt.Sprintf("tokens for %d", p.tokenUses))
	}
	if p.noHEAD > 0 {
		words = append(words, "no HEAD")
	}
	return fmt.Sprintf("seed %d (%s)", p.seed, strings.Join(words, ", "))
}
