// SPDX-License-Identifier: Apache-2.0

package lint

// The ids of what hosts refuse. Of most of it layers and composefs/tree have an
// error.
const (
	ruleImage          = "image-unreadable"
	ruleArchive        = "archive-malformed"
	ruleSparse         = "sparse-file"
	ruleNoParent       = "missing-parent"
	ruleNotDirectory   = "parent-not-directory"
	ruleDotDot         = "path-dotdot"
	ruleRootEntry      = "root-not-directory"
	ruleLinkTarget     = "hard-link-target"
	ruleLinkToDir      = "hard-link-to-directory"
	ruleEntryType      = "unknown-entry-type"
	ruleNoDevice       = "device-without-number"
	ruleNoUsr          = "no-usr"
	ruleRun            = "run-not-directory"
	ruleName           = "name-impossible"
	ruleDepth          = "too-deep"
	ruleLinkedWhiteout = "whiteout-device-linked"
	ruleRdev           = "device-number"
	ruleMtime          = "mtime-impossible"
	ruleDirLink        = "directory-linked"
	ruleTooLarge       = "too-large"
	ruleLabel          = "label-inherited"
)

// refusals are the rules of what hosts refuse, and of digests that do not hold.
var refusals = []Rule{
	{
		ID: ruleImage, Severity: Error, Effect: Refused, Needs: NeedsLayers,
		Summary: "The image cannot be read as it is described",
		Cause:   "Manifest, config and layers contradict each other: a layer is not compressed as its media type says, is not what the config says (diff ID), cannot be decompressed, or is not in the registry. Nothing of the image could be looked at.",
		Remedy:  "Build and push the image again.",
		Example: "a layer of type …tar+gzip that is compressed with zstd",
	},
	{
		ID: ruleArchive, Severity: Error, Effect: Refused, Needs: NeedsLayers,
		Summary: "A layer is not a tar archive that hosts accept",
		Cause:   "The reader of hosts is strict: a wrong checksum, a header that is cut off, a record that is not in order, or a number that is none is the end of it. What stands behind that place in the layer was not looked at.",
		Remedy:  "Build the layer again, with another tool if it does the same.",
		Example: "a header whose checksum is wrong",
	},
	{
		ID: ruleSparse, Severity: Error, Effect: Refused, Needs: NeedsLayers,
		Summary: "A sparse file in a layer",
		Cause:   "Hosts refuse all forms in which tar describes holes. What stands behind it in the layer was not looked at.",
		Remedy:  "Make the archive without sparse files (GNU tar: without --sparse).",
		Example: "tar --sparse -cf layer.tar var/log/lastlog",
	},
	{
		ID: ruleNoParent, Severity: Error, Effect: Refused, Needs: NeedsLayers,
		Summary: "An entry whose directory no layer has had so far",
		Cause:   "Other runtimes make such a directory up; hosts that mount by composefs refuse the image. Directories were made up here as well, to go on.",
		Remedy:  "Add an entry for every directory to the layer, in front of what is in it.",
		Example: "usr/ and then opt/app/bin, without entries for opt/ and opt/app/",
	},
	{
		ID: ruleNotDirectory, Severity: Error, Effect: Refused, Needs: NeedsLayers,
		Summary: "An entry below something that is not a directory",
		Cause:   "Hosts do not follow links in the paths of entries. Where /lib is a symlink to usr/lib, lib/x.so has no place.",
		Remedy:  "Name the real directory in the archive.",
		Example: "lib → usr/lib in one layer, and lib/x.so in the next",
	},
	{
		ID: ruleDotDot, Severity: Error, Effect: Refused, Needs: NeedsLayers,
		Summary: "A path with .. in it",
		Cause:   "Hosts refuse such a path wherever it leads to.",
		Remedy:  "Build the layer with plain paths.",
		Example: "usr/../etc/passwd",
	},
	{
		ID: ruleRootEntry, Severity: Error, Effect: Refused, Needs: NeedsLayers,
		Summary: "An entry for the root that is not a directory",
		Cause:   "The path of an entry is /, or means it, and the entry is a file, a link or a device.",
		Remedy:  "Build the layer again.",
		Example: "a symlink by the name of ./",
	},
	{
		ID: ruleLinkTarget, Severity: Error, Effect: Refused, Needs: NeedsLayers,
		Summary: "A hard link to something that is not there",
		Cause:   "A hard link is one more name of what its target names at that moment. The target stands behind it in the archive, was removed, or is reached by a symlink only.",
		Remedy:  "Put the target in front of the link, by its real path, or make the link a file of its own.",
		Example: "usr/bin/vi, a hard link to usr/bin/vim, in front of usr/bin/vim",
	},
	{
		ID: ruleLinkToDir, Severity: Error, Effect: Refused, Needs: NeedsLayers,
		Summary: "A hard link to a directory",
		Cause:   "No file system has them, and hosts refuse them.",
		Remedy:  "Make it a symlink.",
		Example: "usr/lib64, a hard link to usr/lib",
	},
	{
		ID: ruleEntryType, Severity: Error, Effect: Refused, Needs: NeedsLayers,
		Summary: "An entry of a type that hosts do not know",
		Cause:   "tar takes unknown types for files; hosts refuse them.",
		Remedy:  "Remove the entry from the layer, or build the layer with another tool.",
		Example: "an entry of type V (a volume label of GNU tar)",
	},
	{
		ID: ruleNoDevice, Severity: Error, Effect: Refused, Needs: NeedsLayers,
		Summary: "A device without numbers",
		Cause:   "The archive is of a dialect that has no device numbers (V7).",
		Remedy:  "Build the layer with a newer tar.",
		Example: "a character device in an archive without the magic ustar",
	},
	{
		ID: ruleNoUsr, Severity: Error, Effect: Refused, Needs: NeedsWhole,
		Summary: "There is no directory /usr",
		Cause:   "Hosts take owner, mode, time and attributes of the root directory from /usr. Images without one, as of a single static program, cannot be sealed. A symlink is no directory.",
		Remedy:  "Add a directory /usr.",
		Example: "FROM scratch and COPY app /app",
	},
	{
		ID: ruleRun, Severity: Error, Effect: Refused, Needs: NeedsWhole,
		Summary: "/run is not a directory",
		Cause:   "Hosts empty /run, and refuse an image where it is something else.",
		Remedy:  "Make it a directory, or remove it.",
		Example: "run → var/run",
	},
	{
		ID: ruleName, Severity: Error, Effect: Refused,
		Summary: "A name that a directory cannot hold",
		Cause:   "A composefs image has names of up to 4084 bytes, without slashes. What is below it was not looked at.",
		Remedy:  "Choose another name.",
		Example: "a name of 5000 bytes",
	},
	{
		ID: ruleDepth, Severity: Error, Effect: Refused,
		Summary: "Directories nested too deep",
		Cause:   "This program goes no deeper than 16384 directories. What is below that was not looked at.",
		Remedy:  "Nest them less deep.",
		Example: "a/a/a/… of 20000 names",
	},
	{
		ID: ruleLinkedWhiteout, Severity: Error, Effect: Refused,
		Summary: "A character device 0,0 with more than one name",
		Cause:   "That is what overlayfs takes for a whiteout. A composefs image cannot hold one that has several names.",
		Remedy:  "Remove it: it was left behind by a storage driver.",
		Example: "usr/a, a character device 0,0, and usr/b, a hard link to it",
	},
	{
		ID: ruleRdev, Severity: Error, Effect: Refused,
		Summary: "A device number that does not fit",
		Cause:   "A composefs image has 32 bits for it: 12 for the major number, 20 for the minor.",
		Remedy:  "Remove the device; /dev is filled when the system runs.",
		Example: "a device 4096,0",
	},
	{
		ID: ruleMtime, Severity: Error, Effect: Refused,
		Summary: "A modification time with a billion nanoseconds or more",
		Cause:   "A second has no more. No layer and no directory gives such a time, only a dump or a composefs image that was made by hand.",
		Remedy:  "Make it again.",
		Example: "a dump whose time is 1.1000000000",
	},
	{
		ID: ruleDirLink, Severity: Error, Effect: Refused,
		Summary: "A directory with more than one name",
		Cause:   "No file system has such directories. Only a composefs image that was made by hand does.",
		Remedy:  "Make it again.",
		Example: "an EROFS image in which two names have the inode of one directory",
	},
	{
		ID: ruleTooLarge, Severity: Error, Effect: Refused,
		Summary: "The composefs image would be too large for its format",
		Cause:   "Its inodes would be more than 128 GiB, or all of it more than 16 TiB.",
		Remedy:  "Make the image smaller.",
		Example: "a billion files",
	},
	{
		ID: ruleLabel, Severity: Error, Effect: Accepted, Needs: NeedsLabels,
		Summary: "A label or annotation says a digest that is not this image's",
		Cause:   "A build FROM a sealed image copies the label, and some builders annotations, to an image that they do not describe. Hosts that believe it refuse the image, or mount another.",
		Remedy:  "Seal the image: cfs-label IMAGE replaces what is wrong.",
		Example: "FROM ghcr.io/org/sealed, and a RUN",
	},
}
