// SPDX-License-Identifier: Apache-2.0

package erofs

import "github.com/cfs-label/cfs-label/composefs/tree"

// collectDepthFirst orders a directory before what it holds, names as bytes
// sort, an inode with several names where it comes first.
func (im *image) collectDepthFirst() {
	im.addDir(node(tree.Root), node(tree.Root))
	seen := map[tree.Ino]bool{}
	for step := range im.c.Walk() {
		switch {
		case im.c.Kind(step.Ino) == tree.Directory:
			im.addDir(node(step.Ino), node(step.Dir))
		case im.c.Nlink(step.Ino) == 1:
			im.order = append(im.order, node(step.Ino))
		case !seen[step.Ino]:
			seen[step.Ino] = true
			im.order = append(im.order, node(step.Ino))
		}
	}
}

func (im *image) addDir(dir, parent node) {
	im.order = append(im.order, dir)
	im.dirParents = append(im.dirParents, parent)
}

// collectBreadthFirst orders all inodes of one depth before those of the next.
// An inode with several names belongs to the one that comes first depth first:
// C mkcomposefs reads its input in that order, and takes the later names for
// hard links, which have no place of their own.
func (im *image) collectBreadthFirst() {
	im.addDir(node(tree.Root), node(tree.Root))
	for i, dirs := 0, 0; i < len(im.order); i++ {
		if im.kindOf(im.order[i]) != tree.Directory {
			continue
		}
		im.collectChildren(im.order[i], im.dirParents[dirs])
		dirs++
	}
}

func (im *image) collectChildren(dir, parent node) {
	var seen map[node]bool
	for _, e := range im.entriesOf(dir, parent) {
		switch {
		case e.dot:
		case im.kindOf(e.node) == tree.Directory:
			im.addDir(e.node, dir)
		case im.nlinkOf(e.node) == 1:
			im.order = append(im.order, e.node)
			if im.isEscaped(e.node) {
				im.whiteoutDirs = setAdd(im.whiteoutDirs, dir)
			}
		case im.c.FirstDir(tree.Ino(e.node)) == tree.Ino(dir) && !seen[e.node]:
			seen = setAdd(seen, e.node)
			im.order = append(im.order, e.node)
		}
	}
}

func setAdd(set map[node]bool, n node) map[node]bool {
	if set == nil {
		set = map[node]bool{}
	}
	set[n] = true
	return set
}
