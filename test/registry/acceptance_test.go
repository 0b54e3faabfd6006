// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// acceptanceTable is the environment variable that says into which file the
// table of TestAcceptance goes, as Markdown.
const acceptanceTable = "CFS_ACCEPTANCE_TABLE"

// TestAcceptance seals odd images. Outside of the seal every byte stays, and who
// accepts the original accepts the sealed image, too; the table says who does.
func TestAcceptance(t *testing.T) {
	s := startDistribution(t)
	p := s.peers()
	var table strings.Builder
	row := func(cells ...string) { table.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	head, rule := []string{"original / sealed"}, []string{"---"}
	for _, use := range uses {
		head, rule = append(head, use.name), append(rule, "---")
	}
	row(head...)
	row(rule...)
	for i, odd := range oddImages {
		t.Run(odd.name, func(t *testing.T) {
			p.server = s.in(t)
			repo := fmt.Sprintf("%s/odd/%d", s.host, i)
			original := odd.make()
			p.store(original, repo+":original")
			before := p.read(repo + ":original")
			var after *node
			if odd.refused == nil {
				after = p.seal(repo, before)
			} else {
				p.refuses(repo, odd.refused())
			}
			row(append([]string{odd.name}, p.compare(repo, before, after)...)...)
		})
	}
	t.Log("\n" + table.String())
	if file := os.Getenv(acceptanceTable); file != "" {
		must(t, os.WriteFile(file, []byte(table.String()), 0o600))
	}
}

// seal seals what the tag original names as sealed.
func (p *peers) seal(repo string, before *node) *node {
	p.t.Helper()
	want := p.computed(repo + ":original")
	p.ok(repo+":original", "--tag", "sealed")
	after := p.read(repo + ":sealed")
	p.judge(before, after, want)
	p.whole(repo, after)
	return after
}

// refuses checks that an image is not sealed, for want of what is named.
func (p *peers) refuses(repo, missing string) {
	p.t.Helper()
	p.fails(notFound, missing, repo+":original", "--tag", "sealed")
	if got := p.tags(repo); len(got) != 1 {
		p.t.Errorf("the tags are %v, want original alone", got)
	}
}

// compare returns the cells of a row. Where nothing was sealed the tools are
// asked for the original alone, and the reference must refuse it, too.
func (p *peers) compare(repo string, before, after *node) []string {
	p.t.Helper()
	word := map[bool]string{true: "yes", false: "no"}
	cells := make([]string, 0, len(uses))
	for _, use := range uses {
		original := use.do(p, repo, before)
		if original != nil {
			p.t.Logf("%s does not accept the original: %v", use.name, original)
		}
		if after == nil {
			cells = append(cells, word[original == nil]+" / refused")
			continue
		}
		sealed := use.do(p, repo, after)
		if original == nil && sealed != nil {
			p.t.Errorf("%s accepts the original, but not the sealed image: %v", use.name, sealed)
		}
		cells = append(cells, word[original == nil]+" / "+word[sealed == nil])
	}
	return cells
}
