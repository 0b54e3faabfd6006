// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"cmp"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/cfs-label/cfs-label/composefs/tree"
	"github.com/cfs-label/cfs-label/layers"
)

// NoLayer is the layer of a finding that is of none, or of which that is not
// known.
const NoLayer = -1

// PerRule is how many findings of one rule are kept. Those beyond are counted.
const PerRule = 5000

// Finding is what breaks a rule.
type Finding struct {
	Rule    string // its id
	Path    string // from the root, with a slash in front; "" if it is about the whole
	Layer   int    // its position in the manifest, from 0, or NoLayer
	Message string // what is wrong there
	// Count is how many files it stands for; 0 is one.
	Count int
}

// compare puts findings in order: by rule, as the rules are, then by path, layer
// and message.
func (f Finding) compare(g Finding) int {
	return cmp.Or(
		cmp.Compare(position[f.Rule], position[g.Rule]), strings.Compare(f.Path, g.Path),
		cmp.Compare(f.Layer, g.Layer), strings.Compare(f.Message, g.Message),
	)
}

// Skipped are rules that were not looked at.
type Skipped struct {
	Why   string // in words that continue "not looked at: "
	Rules []string
}

// Collector takes findings, from several goroutines. The zero Collector is
// ready.
type Collector struct {
	mu      sync.Mutex
	kept    map[string][]Finding
	found   map[string]int // how many there were
	skipped []Skipped
}

// textMax is how much is kept of a path or a message, in bytes: a path has 4096 at
// most where anybody can use it, and an archive can have longer ones.
const textMax = 16 << 10

// cut cuts a text that is longer than that. The rest of it is not kept in memory.
func cut(text string) string {
	if len(text) <= textMax {
		return text
	}
	return strings.ToValidUTF8(text[:textMax], "") + "…"
}

// Add adds a finding of a known rule.
func (c *Collector) Add(f Finding) {
	if _, ok := position[f.Rule]; !ok {
		panic("lint: a finding of an unknown rule: " + f.Rule)
	}
	f.Path, f.Message = cut(f.Path), cut(f.Message)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept, c.found = map[string][]Finding{}, map[string]int{}
	}
	c.found[f.Rule]++
	list := c.kept[f.Rule]
	list = append(list, f)
	// Which of too many are kept does not depend on the order in which they come.
	if len(list) == 2*PerRule {
		slices.SortFunc(list, Finding.compare)
		list = list[:PerRule]
	}
	c.kept[f.Rule] = list
}

// skip notes that rules were not looked at.
func (c *Collector) skip(why string, is func(*Rule) bool) {
	s := Skipped{Why: why}
	for i := range rules {
		if is(&rules[i]) {
			s.Rules = append(s.Rules, rules[i].ID)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skipped = append(c.skipped, s)
}

// Report is all that was found.
type Report struct {
	// Findings are in the order of the rules, then of paths.
	Findings []Finding
	// More has, by the ids of rules, how many findings there are besides.
	More map[string]int
	// Skipped are rules that could not be looked at.
	Skipped []Skipped
}

// Report returns what was found so far.
func (c *Collector) Report() *Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &Report{More: map[string]int{}}
	told := map[string]bool{}
	for _, s := range c.skipped { // of several reasons the first is enough
		s.Rules = slices.DeleteFunc(slices.Clone(s.Rules), func(id string) bool { return told[id] })
		for _, id := range s.Rules {
			told[id] = true
		}
		if len(s.Rules) > 0 {
			r.Skipped = append(r.Skipped, s)
		}
	}
	for id, list := range c.kept {
		slices.SortFunc(list, Finding.compare)
		r.Findings = append(r.Findings, list[:min(len(list), PerRule)]...)
		if more := c.found[id] - PerRule; more > 0 {
			r.More[id] = more
		}
	}
	slices.SortFunc(r.Findings, Finding.compare)
	return r
}

// Has reports whether anything was found that has the effect.
func (r *Report) Has(e Effect) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return rules[position[f.Rule]].Effect == e })
}

// broken are the rules of errors. Of an error that is several, the first counts.
var broken = []struct {
	err  error
	rule string
}{
	{layers.ErrSameLayer, ruleSameLayer},
	{layers.ErrDotDot, ruleDotDot},
	{layers.ErrLinkTarget, ruleLinkTarget},
	{layers.ErrLinkToDir, ruleLinkToDir},
	{layers.ErrRoot, ruleRootEntry},
	{layers.ErrNotDirectory, ruleNotDirectory},
	{layers.ErrNoParent, ruleNoParent},
	{layers.ErrEntryType, ruleEntryType},
	{layers.ErrNoDevice, ruleNoDevice},
	{layers.ErrSparse, ruleSparse},
	{layers.ErrArchive, ruleArchive},
	{tree.ErrName, ruleName},
	{tree.ErrDepth, ruleDepth},
	{tree.ErrWhiteout, ruleLinkedWhiteout},
	{tree.ErrRdev, ruleRdev},
	{tree.ErrMtime, ruleMtime},
	{tree.ErrDirLink, ruleDirLink},
}

// ruleOf returns the rule that the error is of.
func ruleOf(err error) string {
	for _, b := range broken {
		if errors.Is(err, b.err) {
			return b.rule
		}
	}
	return ruleImage
}

// Notice takes what the reading of layers tells. It is a layers.Notice.
func (c *Collector) Notice(layer int, entry string, err error) {
	c.Add(Finding{Rule: ruleOf(err), Path: absolute(entry), Layer: layer, Message: err.Error()})
}

// Unreadable takes what ended the reading of an image. layer is NoLayer unless
// it is known.
func (c *Collector) Unreadable(layer int, entry string, err error) {
	c.Notice(layer, entry, err)
	c.skip("the image could not be read", func(r *Rule) bool { return r.ID != ruleOf(err) })
}

// absolute returns the path of an archive as other paths are. One with dots that
// lead up stays as it is: where it leads to is what is wrong with it.
func absolute(entry string) string {
	if entry == "" || slices.Contains(strings.Split(entry, "/"), "..") {
		return entry
	}
	return path.Clean("/" + entry)
}

// What only whoever reads an image as a whole can find.

// NoDigest tells that the image has no digest, and why.
func (c *Collector) NoDigest(why string) {
	c.skip(why, func(r *Rule) bool {
		return slices.Contains([]string{ruleTooLarge, ruleLabel, ruleBoot, rulePolicy, RuleUKIMismatch}, r.ID)
	})
}

// NoBootable tells that no bootable digest was computed, and why.
func (c *Collector) NoBootable(why string) {
	c.skip(why, func(r *Rule) bool {
		return slices.Contains([]string{ruleBoot, rulePolicy, RuleUKIMismatch}, r.ID)
	})
}

// TooLarge takes the error of a composefs image that its format cannot hold.
func (c *Collector) TooLarge(err error) {
	c.Add(Finding{Rule: ruleTooLarge, Layer: NoLayer, Message: err.Error()})
}

// Inherited takes a label or an annotation that says what is not so, in words.
func (c *Collector) Inherited(message string) {
	c.Add(Finding{Rule: ruleLabel, Layer: NoLayer, Message: message})
}

// BootEntry takes what is wrong with a boot entry.
func (c *Collector) BootEntry(err error) {
	c.Add(Finding{Rule: ruleBoot, Path: "/boot", Layer: NoLayer, Message: err.Error()})
}

// Policy takes what is wrong with the SELinux policy.
func (c *Collector) Policy(err error) {
	c.Add(Finding{Rule: rulePolicy, Path: "/etc/selinux", Layer: NoLayer, Message: err.Error()})
}
