// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/boot"
)

// ukiAnswer is a UKI that an image holds, or an addon of one.
type ukiAnswer struct {
	Path      string              `json:"path"`
	Kind      string              `json:"kind"`
	Arguments []ukiArgumentAnswer `json:"arguments"`
	Error     string              `json:"error,omitempty"`
}

// ukiArgumentAnswer is a kernel argument that names a digest.
type ukiArgumentAnswer struct {
	Argument  string `json:"argument"`          // as it is written
	Profile   *int   `json:"profile,omitempty"` // none: of all
	Format    string `json:"format,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	Found     string `json:"found,omitempty"`
	Computed  string `json:"computed,omitempty"`
	Insecure  bool   `json:"insecure,omitempty"`
	State     string `json:"state"` // holds, wrong, not checked
	Reason    string `json:"reason,omitempty"`
}

func newUKIs(list []cfslabel.UKI) (answers []ukiAnswer) {
	for _, u := range list {
		a := ukiAnswer{Path: u.Path, Kind: u.Kind.String(), Arguments: []ukiArgumentAnswer{}, Error: errorText(u.Err)}
		for i := range u.Arguments {
			a.Arguments = append(a.Arguments, newUKIArgument(&u.Arguments[i]))
		}
		answers = append(answers, a)
	}
	return answers
}

func newUKIArgument(g *cfslabel.UKIArgument) ukiArgumentAnswer {
	a := ukiArgumentAnswer{Argument: g.Raw, Insecure: g.Insecure, State: string(g.State), Reason: g.Reason}
	if g.Profile != boot.Base {
		a.Profile = &g.Profile
	}
	if !g.Digest.IsZero() {
		a.Format, a.Algorithm, a.Found = g.Format.String(), g.Digest.Algorithm().String(), g.Digest.String()
	}
	if !g.Computed.IsZero() {
		a.Computed = g.Computed.String()
	}
	return a
}

// ukiRows returns the rows of a table that show UKIs.
func ukiRows(list []cfslabel.UKI) (rows [][]string) {
	for _, u := range list {
		if u.Err != nil {
			rows = append(rows, []string{u.Kind.String() + " " + u.Path, "-", "-", "-", "not checked: " + u.Err.Error()})
		}
		for i := range u.Arguments {
			a := newUKIArgument(&u.Arguments[i])
			name, _, _ := strings.Cut(a.Argument, "=")
			rows = append(rows, []string{fmt.Sprintf("%s %s %s", u.Kind, u.Path, name), orDash(a.Format), short(a.Found), short(a.Computed), a.State})
		}
	}
	return rows
}

// showUKIs shows them below their image.
func showUKIs(list []cfslabel.UKI, row func(cells ...string)) {
	for _, u := range list {
		if len(u.Arguments) == 0 {
			row("  "+u.Kind.String(), u.Path, cmp.Or(errorText(u.Err), "names no digest"))
		}
		for i := range u.Arguments {
			a := &u.Arguments[i]
			row("  "+u.Kind.String(), u.Path, abridgedArgument(a.Raw), strings.TrimSuffix(string(a.State)+": "+a.Reason, ": "))
		}
	}
}

// argumentMax is how much of an argument is shown, in bytes: its name, format and
// the beginning of the digest.
const argumentMax = 48

func abridgedArgument(raw string) string {
	if len(raw) > argumentMax {
		return strings.ToValidUTF8(raw[:argumentMax], "") + "…"
	}
	return raw
}

// addNoUKICheck adds the flag of commands that hold UKIs against the image.
func addNoUKICheck(fs *pflag.FlagSet, value *bool) {
	fs.BoolVar(value, "no-uki-check", false, "do not compare digests that kernel command lines of UKIs in the image name")
}
