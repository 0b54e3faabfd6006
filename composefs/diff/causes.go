// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"fmt"
	"strings"
	"time"
)

// causeID is the number of a cause. A path with several has the first.
type causeID uint8

const (
	rootMetadata causeID = iota
	builderFiles
	notTransformed
	compiledPython
	onlyInA
	onlyInB
	typeDiffers
	contentDiffers
	targetDiffers
	rdevDiffers
	storageDiffers
	ownersShifted
	ownedByRoot
	ownerDiffers
	capabilityLost
	setIDLost
	umaskMode
	modeDiffers
	selinuxLost
	selinuxLabel
	xattrsDropped
	userXattrs
	xattrsDiffer
	hardLinks
	nanoseconds
	roundedSeconds
	oneMtime
	directoryMtime
	fileMtime

	causeCount

	onlyIn = onlyInA // and the side
)

// causeTable has the causes by their numbers. IDs are a contract.
var causeTable = [causeCount]struct {
	id       string
	sentence func(c *classifier, n *counted) string
	remedy   string
}{
	rootMetadata: {
		"root-metadata", rootSentence,
		"hosts give the root what /usr has; read both sides that way, not with --no-propagate-usr-to-root and not from a dump that was made before",
	},
	builderFiles: {
		"builder-files", plain("%s %s what builders and runtimes put in: /etc/resolv.conf, /etc/hosts, /dev and the like", "is", "are"),
		"keep them out of the image: remove them in the step that makes them, or read the directory from outside of the container that has them mounted",
	},
	notTransformed: {
		"not-transformed", sided("%s of /run, /boot or /sysroot %s%s: the other side was made ready as hosts do", "differs", "differ", " in what %s still has"),
		"compute both in the same way: hosts empty /run always, and /boot and /sysroot for the bootable digest",
	},
	compiledPython: {
		"pyc", plain("%s of compiled Python %s: Python wrote them while the image was built", "differs", "differ"),
		"compile by content, not by time (python3 -m compileall --invalidation-mode unchecked-hash), or leave it out (PYTHONDONTWRITEBYTECODE=1)",
	},
	onlyInA: {
		"only-in-a", missing("A"),
		"find the step that added or removed it; where it is left over from the build, remove it in the step that made it",
	},
	onlyInB: {
		"only-in-b", missing("B"),
		"find the step that added or removed it; where it is left over from the build, remove it in the step that made it",
	},
	typeDiffers: {
		"type", plain("%s %s of another type", "is", "are"),
		"find the step that replaced it: a symlink in place of a directory is often one of a merged /usr, or of a copy that follows links",
	},
	contentDiffers: {
		"content", plainOf("file", "files", "%s %s other content", "has", "have"),
		"these are two builds, or something was changed after the layers were made: build once, and compute from that build. Package databases, logs and ldconfig's aux-cache hold times: every build makes others",
	},
	targetDiffers: {
		"symlink-target", plainOf("symlink", "symlinks", "%s %s elsewhere", "points", "point"),
		"find the step that made the link: tools that make links relative or absolute, or resolve them, give them other targets",
	},
	rdevDiffers: {
		"device-number", plainOf("device", "devices", "%s %s another number", "has", "have"),
		"devices do not belong into an image: leave them to the host",
	},
	storageDiffers: {
		"storage", plain("%s %s stored in another way, in the image or in an object, with the same content", "is", "are"),
		"an image made by another program, or from a dump, can hold a file elsewhere: make it with cfsctl or cfs-label (files of up to 64 bytes in the image)",
	},
	ownersShifted: {
		"owner-shift", shiftSentence,
		"one side was read in another user namespace: read it in the same (podman unshare, buildah unshare), or from the layers. Where all was root's and is one user's, that user may have made the copy: copy as root or in a user namespace",
	},
	ownedByRoot: {
		"owner-root", sided("%s %s by root%s, and by others on the other side", "is owned", "are owned", " in %s"),
		"it was unpacked or copied without the right to change owners, with --chown, or by COPY of a directory, which gives all to root: unpack as root or in a user namespace (buildah unshare), or ADD an archive",
	},
	ownerDiffers: {
		"owner", plain("%s %s another owner", "has", "have"),
		"names of users that map to other numbers do this: create users with fixed numbers before files are installed",
	},
	capabilityLost: {
		"capability-lost", sided("%s %s security.capability%s alone", "has", "have", " in %s"),
		"file capabilities are lost by copies without xattrs, by a change of owner, and by unpacking without CAP_SETFCAP: copy with xattrs (cp -a, rsync -X, tar --xattrs)",
	},
	setIDLost: {
		"setuid-lost", sided("%s %s set-user-ID or set-group-ID%s", "lost", "lost", " in %s"),
		"a change of owner, or unpacking without privileges, clears these bits: change owners first, modes last",
	},
	umaskMode: {
		"umask", sided("%s %s fewer permissions for group and others%s: a umask took them", "has", "have", " in %s"),
		"unpack or copy with modes kept (tar -p, cp -p), or set umask 022 in the step",
	},
	modeDiffers: {
		"mode", plain("%s %s another mode", "has", "have"),
		"find the step that set the mode; a chmod in a later layer does it, too",
	},
	selinuxLost: {
		"selinux-lost", sided("%s %s security.selinux%s alone", "has", "have", " in %s"),
		"plain digests have no labels, bootable ones have those of the image's own policy: compute both in the same way; a builder that cannot write labels (buildah) is no source of them",
	},
	selinuxLabel: {
		"selinux-label", plain("%s %s another SELinux label", "has", "have"),
		"the labels come from the policy in the image (/etc/selinux): compare that of both sides first; labels of a running host are no part of an image",
	},
	xattrsDropped: {
		"xattrs-dropped", sided("%s %s extended attributes%s alone that hosts drop", "has", "have", " in %s"),
		"one side was not filtered: hosts keep security.capability, and with keep-user-xattrs the user. ones; read both as hosts do",
	},
	userXattrs: {
		"user-xattrs", sided("%s %s user. attributes%s alone", "has", "have", " in %s"),
		"one side keeps them (--xattrs keep-user-xattrs) and the other does not, as hosts do not: read both in the same way",
	},
	xattrsDiffer: {
		"xattrs", plain("%s %s extended attributes with other values", "has", "have"),
		"find the step that set them",
	},
	hardLinks: {
		"hard-links", linkSentence,
		"copies do this (COPY, cp without -a, rsync without -H), and builders that write each name as a file; a later layer that changes a file that has several names splits it, too",
	},
	nanoseconds: {
		"nanoseconds", sided("%s %s no fraction of a second in the mtime%s: it was cut", "has", "have", " in %s"),
		"layers without PAX times, and so those of many builders, have whole seconds only: compute from the layers as they were pushed, or cut both sides. A composefs image of format V2 has no fractions either",
	},
	roundedSeconds: {
		"seconds-rounded", sided("%s %s the mtime rounded to seconds%s", "has", "have", " in %s"),
		"programs in Go round mtimes where they write no PAX times (umoci, COPY by buildah), and others cut them: compute from the layers as they were pushed, or give files mtimes of whole seconds at the end of the step",
	},
	oneMtime: {
		"one-mtime", oneMtimeSentence,
		"it was set by the builder (SOURCE_DATE_EPOCH, --timestamp, rewrite-timestamp), by a touch, or by a copy that does not keep mtimes: set it before the layers are made, for both",
	},
	directoryMtime: {
		"directory-mtime", only("directory differs", "directories differ", "the build changed it after the layer was made", "the build changed them after the layer was made"),
		"something was written into them and removed again, or who unpacked the layers made them and did not set their mtimes last; compute from the layers as they were pushed, or set the mtimes of directories at the end of the step",
	},
	fileMtime: {
		"file-mtime", only("path differs", "paths differ", "written again with the same content, or touched", "written again with the same content, or touched"),
		"copy with mtimes (cp -a, rsync -t), set them to a fixed time at the end of the step (SOURCE_DATE_EPOCH), or compute from the layers as they were pushed",
	},
}

// Number writes n as the sentences do, with commas between thousands.
func Number(n int) string {
	s := fmt.Sprint(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// own is how many paths have the cause themselves.
func (n *counted) own() int { return len(n.differences) - n.follow }

// followers tells of directories whose mtimes differ for this cause.
func (n *counted) followers() string {
	if n.follow == 0 {
		return ""
	}
	return fmt.Sprintf(", and so %s another mtime", count(n.follow, "directory has", "directories have"))
}

func (n *counted) belowText() string {
	if n.below == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %s below)", Number(n.below))
}

// plain makes a sentence of the paths and a verb.
func plain(format, one, many string) func(*classifier, *counted) string {
	return plainOf("path", "paths", format, one, many)
}

// plainOf makes a sentence of what has a name of its own, and a verb.
func plainOf(noun, nouns, format, one, many string) func(*classifier, *counted) string {
	return func(_ *classifier, n *counted) string {
		paths := count(n.own(), noun, nouns) + n.belowText()
		return fmt.Sprintf(format, paths, verb(n.own(), one, many)) + n.followers()
	}
}

// sided makes a sentence that names the side as well, where there is one.
func sided(format, one, many, where string) func(*classifier, *counted) string {
	return func(_ *classifier, n *counted) string {
		on := strings.Replace(fmt.Sprintf(where, "one side"), " in one", " on one", 1)
		if side, ok := n.sides.only(); ok {
			on = fmt.Sprintf(where, side.String())
		}
		paths := count(n.own(), "path", "paths") + n.belowText()
		return fmt.Sprintf(format, paths, verb(n.own(), one, many), on) + n.followers()
	}
}

func missing(side string) func(*classifier, *counted) string {
	return plain("%s %s only in "+side, "is", "are")
}

func only(one, many, whyOne, whyMany string) func(*classifier, *counted) string {
	return func(_ *classifier, n *counted) string {
		return fmt.Sprintf("%s only in mtime: %s", count(n.own(), one, many), verb(n.own(), whyOne, whyMany))
	}
}

func rootSentence(c *classifier, _ *counted) string {
	like := [2]bool{c.rootLikeUsr(A), c.rootLikeUsr(B)}
	for s := A; s <= B; s++ {
		if like[s] && !like[s.other()] {
			return fmt.Sprintf("the root has the metadata of /usr in %s, and its own in %s", s, s.other())
		}
	}
	return "the root has its own metadata on each side, not that of /usr"
}

func shiftSentence(c *classifier, n *counted) string {
	return fmt.Sprintf("%s %s by other numbers, uid %+d and gid %+d from A to B: one side is of another user namespace",
		count(n.own(), "path", "paths"), verb(n.own(), "is owned", "are owned"), c.shift[0], c.shift[1])
}

func linkSentence(_ *classifier, n *counted) string {
	where := "on one side"
	if side, ok := n.sides.only(); ok {
		where = "in " + side.String()
	}
	return fmt.Sprintf("%s %s hard links of one file %s and files of their own on the other side",
		count(n.own(), "path", "paths"), verb(n.own(), "is", "are"), where) + n.followers()
}

func oneMtimeSentence(c *classifier, n *counted) string {
	when := time.Unix(c.oneMtime.sec, 0).UTC().Format(time.RFC3339)
	return strings.Join([]string{count(n.own(), "path has", "paths have"), "one mtime in", c.oneSide.String() + ",", when}, " ")
}

// Causes returns the IDs of all causes. A path that has several is counted for
// the first of them.
func Causes() []string {
	ids := make([]string, causeCount)
	for i := range causeTable {
		ids[i] = causeTable[i].id
	}
	return ids
}
