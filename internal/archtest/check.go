// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// A goPackage is the part of the output of go list that the table speaks of.
type goPackage struct {
	ImportPath   string
	Imports      []string // of the files that ship
	TestImports  []string // of the tests within the package
	XTestImports []string // of the tests outside
	Deps         []string // all that ends up in the binary
}

// check returns what in packages breaks the table, one line each. Packages
// outside the module are skipped.
func check(table []row, packages []goPackage) []string {
	var faults []string
	for _, p := range packages {
		folder, ok := folderOf(p.ImportPath)
		if !ok {
			continue
		}
		r, ok := rowOf(table, folder)
		if !ok {
			faults = append(faults, fmt.Sprintf("%s: no row in the import table; add one to docs/design.md and to internal/archtest", folder))
			continue
		}
		faults = append(faults, checkImports(table, r, folder, p.Imports)...)
		faults = append(faults, checkNever(r, folder, "links", p.Deps)...)
		tests := slices.Concat(p.TestImports, p.XTestImports)
		faults = append(faults, checkNever(r, folder, "imports in its tests", tests)...)
	}
	slices.Sort(faults)
	return slices.Compact(faults)
}

// checkImports holds the imports of the files that ship against the row.
func checkImports(table []row, r row, folder string, imports []string) []string {
	var faults []string
	for _, path := range imports {
		if target, ok := folderOf(path); ok {
			if !matchesAny(r.ours, table, target) {
				faults = append(faults, fmt.Sprintf("%s imports %s, which its row does not allow", folder, target))
			}
			continue
		}
		if group := groupOf(path); group != "" && !slices.Contains(r.theirs, group) {
			faults = append(faults, fmt.Sprintf("%s imports %s (group %q), which its row does not allow", folder, path, group))
		}
	}
	return faults
}

// checkNever holds paths against what the folder may not even link.
func checkNever(r row, folder, verb string, paths []string) []string {
	var faults []string
	for _, path := range paths {
		if group := groupOf(path); group != "" && slices.Contains(r.never, group) {
			faults = append(faults, fmt.Sprintf("%s %s %s (group %q), which its row forbids", folder, verb, path, group))
		}
	}
	return faults
}

// folderOf returns the folder of a package of this module.
func folderOf(path string) (folder string, ok bool) {
	// go list names the test variant of a package "path [path.test]".
	path, _, _ = strings.Cut(path, " ")
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// rowOf returns the row of a folder: its own, else the one with the longest
// folder that ends in "/..." and covers it.
func rowOf(table []row, folder string) (row, bool) {
	best := -1
	for i, r := range table {
		if r.folder == folder {
			return r, true
		}
		if covers(r.folder, folder) && (best < 0 || len(r.folder) > len(table[best].folder)) {
			best = i
		}
	}
	if best < 0 {
		return row{}, false
	}
	return table[best], true
}

// matchesAny reports whether one of the patterns allows to import folder. What
// is internal to another folder is only allowed by name.
func matchesAny(patterns []string, table []row, folder string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if pattern == folder {
			return true
		}
		if !covers(pattern, folder) {
			return false
		}
		_, known := rowOf(table, folder)
		return known
	})
}

// covers reports whether a pattern that ends in "/..." stands for folder.
func covers(pattern, folder string) bool {
	stem, ok := strings.CutSuffix(pattern, "/...")
	return ok && (folder == stem || strings.HasPrefix(folder, stem+"/"))
}

// groupOf returns the group of bound that a path belongs to, or "".
func groupOf(path string) string {
	group, longest := "", 0
	for name, prefixes := range bound {
		for _, prefix := range prefixes {
			exact, alone := strings.CutPrefix(prefix, "!")
			if path != exact && (alone || !strings.HasPrefix(path, exact+"/")) {
				continue
			}
			if len(exact) > longest {
				group, longest = name, len(exact)
			}
		}
	}
	return group
}
