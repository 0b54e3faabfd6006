// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The help of a command lists its flags in groups: there are too many for one
// list.

// groupKey is the annotation of a flag that names its group; flags without one
// come first.
const groupKey = "group"

// Groups of flags, in the order of the help.
const (
	directoryGroup = "Directory"
	signingGroup   = "Signing"
	registryGroup  = "Registry"
)

// inGroup puts the flags that add adds into a group.
func inGroup(fs *pflag.FlagSet, group string, add func(*pflag.FlagSet)) {
	own := pflag.NewFlagSet(group, pflag.ContinueOnError)
	add(own)
	own.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{groupKey: {group}} })
	fs.AddFlagSet(own)
}

// groupedUsages is the list of a command's flags.
func groupedUsages(fs *pflag.FlagSet) string {
	var b strings.Builder
	for _, group := range []string{"", directoryGroup, signingGroup, registryGroup} {
		own := pflag.NewFlagSet(group, pflag.ContinueOnError)
		fs.VisitAll(func(f *pflag.Flag) {
			if name := strings.Join(f.Annotations[groupKey], ""); name == group {
				own.AddFlag(f)
			}
		})
		if !own.HasFlags() {
			continue
		}
		if group != "" {
			b.WriteString("\n\n" + group + " flags:\n")
		}
		b.WriteString(strings.TrimRight(own.FlagUsages(), " \n"))
	}
	return b.String()
}

// groupFlags makes a command and those below it list flags by group.
func groupFlags(cmd *cobra.Command) {
	cobra.AddTemplateFunc("groupedUsages", groupedUsages)
	cmd.SetUsageTemplate(strings.Replace(cmd.UsageTemplate(),
		".LocalFlags.FlagUsages | trimTrailingWhitespaces", "groupedUsages .LocalFlags", 1))
}
