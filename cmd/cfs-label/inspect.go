// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	cfslabel "github.com/cfs-label/cfs-label"
	"github.com/cfs-label/cfs-label/remote"
)

const inspectHelp = `cfs-label inspect IMAGE shows, without reading layers, what there is of seals and
signatures: labels and annotations of composefs, artifacts beside the image,
cosign's tags, and what else refers to it; of an index, also those of all that it
lists. It shows what is said, and checks nothing: cfs-label verify does. Where
COSIGN_REPOSITORY names another repository, cosign's tags are looked for there,
too. Long values are cut; -o json has all of them. With --uki the layers are read,
and the digests compared that command lines of UKIs in the image name.

` + exitHelp

func inspectCommand(t *terminal) *cobra.Command {
	var source sourceFlags
	var withUKIs bool
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show seals, artifacts and signatures",
		Long:  inspectHelp,
		Example: `  cfs-label inspect ghcr.io/org/img:latest
  cfs-label inspect ghcr.io/org/host:latest --uki`,
		Args: oneSource,
		RunE: func(cmd *cobra.Command, args []string) error {
			net := &source.net
			common, err := source.options(t, manyEach)
			if err != nil {
				return err
			}
			ref, err := net.open(cmd, t, args[0])
			if err != nil {
				return err
			}
			o := cfslabel.InspectOptions{}
			if withUKIs {
				o.Layers = &common
			}
			if remote.IsRegistry(ref.Repo) { // what is not in a registry has no such tags
				if o.Signatures, err = signaturesElsewhere(cmd, t, net, ref); err != nil {
					return err
				}
			}
			found, err := cfslabel.Inspect(cmd.Context(), ref, o)
			if err != nil {
				return err
			}
			if t.output == jsonOutput {
				return t.answerJSON(newInspectAnswer(ref, found))
			}
			return t.answerTable(found)
		},
	}
	cmd.Flags().BoolVar(&withUKIs, "uki", false, "read the layers, and show the UKIs in them")
	source.addReading(cmd.Flags())
	inGroup(cmd.Flags(), registryGroup, source.net.add)
	addOutput(cmd, t)
	return cmd
}

// answerTable shows each object and, indented below it, what was found of it.
func (t *terminal) answerTable(found *cfslabel.Inspection) error {
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i := range cells {
			cells[i] = clean(cells[i])
		}
		_, _ = fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t")) // Flush says what failed
	}
	for i := range found.Objects {
		showObject(&found.Objects[i], row)
	}
	return w.Flush()
}

func showObject(o *cfslabel.Inspected, row func(cells ...string)) {
	switch o.Kind {
	case cfslabel.KindIndex:
		row("index", o.Digest.String())
	case cfslabel.KindImage:
		row(cmp.Or(o.Platform, "image"), o.Digest.String())
	case cfslabel.KindAttestation:
		row("attestation", o.Digest.String(), "of "+cmp.Or(o.About, "what it does not say"))
	default:
		row(cmp.Or(o.Platform, "other"), o.Digest.String(), o.Type)
	}
	if o.Err != nil {
		row("  error", o.Err.Error())
	}
	for _, l := range o.Labels {
		row("  label", l.Key, abridged(l.Value))
	}
	for _, a := range o.Annotations {
		row("  annotation", a.Key, abridged(a.Value), signedText(a.Signed))
	}
	if o.Input != "" {
		row("  input", o.Input)
	}
	for _, a := range o.Artifacts {
		showArtifact(a, row)
	}
	for _, tag := range o.Tags {
		where := ""
		if tag.Repo != "" {
			where = "in " + tag.Repo
		}
		row("  cosign", tag.Tag, tag.String(), where)
	}
	for _, r := range o.Referrers {
		if r.IsBundle() {
			row("  bundle", r.Digest.String(), r.Type)
		} else {
			row("  referrer", r.Digest.String(), r.Type)
		}
	}
	showUKIs(o.UKIs, row)
	if o.UKIErr != nil {
		row("  UKIs", "not known: "+o.UKIErr.Error())
	}
	if o.More > 0 {
		row("  referrers", fmt.Sprintf("%d more, which were not looked at", o.More))
	}
	if o.Kind == cfslabel.KindImage && o.Err == nil && !o.IsSealed() {
		row("  not sealed")
	}
}

func showArtifact(a cfslabel.InspectedArtifact, row func(cells ...string)) {
	if a.Err != nil {
		row("  artifact", a.Digest.String(), fmt.Sprintf("cannot be understood: %v", a.Err))
		return
	}
	var roles, signed []string
	for _, e := range a.Entries {
		roles = append(roles, e.Role.String())
		if e.Signed {
			signed = append(signed, e.Role.String())
		}
	}
	text := ""
	switch {
	case len(signed) == len(roles):
		text = signedText(true)
	case len(signed) > 0:
		text = "signed: " + strings.Join(signed, ", ")
	}
	row("  artifact", a.Digest.String(), a.Algorithm.String()+": "+strings.Join(roles, ", "), text)
}

func signedText(signed bool) string {
	if signed {
		return "signed"
	}
	return ""
}

// What of a long value is shown.
const (
	shortMax  = 40
	shortHead = 16
)

// abridged cuts a long value, in which there are digests, not words.
func abridged(s string) string {
	if r := []rune(s); len(r) > shortMax {
		return string(r[:shortHead]) + "…"
	}
	return s
}
