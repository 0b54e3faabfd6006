// SPDX-License-Identifier: Apache-2.0

package lint

// The ids of what is fragile, unusual, or only good to know.
const (
	ruleSameLayer   = "whiteout-same-layer"
	ruleInRun       = "content-in-run"
	ruleXattr       = "xattr-dropped"
	ruleStalePyc    = "stale-pyc"
	ruleFuture      = "mtime-future"
	ruleBefore1970  = "mtime-before-1970"
	ruleNameLong    = "name-too-long"
	ruleNameNUL     = "name-nul"
	ruleEmptyLink   = "symlink-empty"
	ruleZeroDevice  = "char-device-zero"
	ruleSocket      = "socket"
	ruleUKIQuoted   = "uki-quoted"
	ruleFraction    = "mtime-fraction"
	ruleLabelXattr  = "xattr-selinux"
	ruleInBoot      = "content-in-boot"
	ruleInSysroot   = "content-in-sysroot"
	ruleRootMeta    = "root-metadata"
	ruleNotBootable = "not-bootable"
	ruleSetID       = "set-id"
	ruleWritable    = "world-writable"
)

// warnings are the rules of what is fragile, or most likely a mistake.
var warnings = []Rule{
	{
		ID: ruleSameLayer, Severity: Warning, Needs: NeedsLayers,
		Summary: "A whiteout removes what its own layer put there before it",
		Cause:   "By the OCI image specification a whiteout, opaque or not, only hides what is of layers below. Hosts that mount by composefs take entries in their order, so it removes what stands in front of it in its own layer as well. Other runtimes have those files, and the digest does not.",
		Remedy:  "Put whiteouts in front of the directory's other entries, or build the layer with another tool.",
		Example: "etc/app/new and behind it etc/app/.wh..wh..opq, in one layer",
	},
	{
		ID: ruleInRun, Severity: Warning, Needs: NeedsWhole,
		Summary: "Content in /run vanishes",
		Cause:   "Hosts empty /run before they compute the digest, as build tools mount and write there. Nobody will see these files.",
		Remedy:  "Put files elsewhere, and have them made at boot (tmpfiles.d) if they belong into /run.",
		Example: "run/lock/app",
	},
	{
		ID: ruleXattr, Severity: Warning, Needs: NeedsWhole,
		Summary: "Extended attributes that hosts drop",
		Cause:   "Of the attributes in layers hosts keep security.capability and no other: build hosts leave theirs behind. What relies on them, as on access control lists, works elsewhere and not there.",
		Remedy:  "Do without them, or set them when the system runs.",
		Example: "setfacl -m u:app:rx etc/app",
	},
	{
		ID: ruleStalePyc, Severity: Warning, Needs: NeedsContent,
		Summary: "Compiled Python that does not match its source",
		Cause:   "A .pyc has the time and size of its source within (PEP 552). Where the source's time is another, as after a build that sets all times (ostree sets 0) or rounds them up (umoci, COPY by buildah), Python compiles it again at every start, and cannot store the result in a sealed image.",
		Remedy:  "Compile after the times are set, or without times: python3 -m compileall --invalidation-mode unchecked-hash.",
		Example: "usr/lib/python3/x.py of 2024, and a .pyc made for an x.py of 2023",
	},
	{
		ID: ruleFuture, Severity: Warning,
		Summary: "A modification time in the future",
		Cause:   "The clock of the build was wrong, or a header was misread. make, tar and caches go by such times.",
		Remedy:  "Build with SOURCE_DATE_EPOCH, or touch the file.",
		Example: "touch -d 2099-01-01 etc/app.conf",
	},
	{
		ID: ruleBefore1970, Severity: Warning,
		Summary: "A modification time before 1970",
		Cause:   "Tools write and read such times differently: in tar they are there in one encoding only, C mkcomposefs gives another digest than cfsctl, and many file systems cannot hold them.",
		Remedy:  "Touch the file.",
		Example: "touch -d 1960-01-01 etc/app.conf",
	},
	{
		ID: ruleNameLong, Severity: Warning,
		Summary: "A name of more than 255 bytes",
		Cause:   "The image holds it, and Linux cannot open it. C mkcomposefs refuses it.",
		Remedy:  "Choose a shorter name.",
		Example: "a name of 256 bytes",
	},
	{
		ID: ruleNameNUL, Severity: Warning,
		Summary: "A name with a NUL byte",
		Cause:   "The image holds it as it is, and no program can open it: for Linux the name ends there.",
		Remedy:  "Choose another name.",
		Example: "a PAX record whose path has a NUL in it",
	},
	{
		ID: ruleEmptyLink, Severity: Warning,
		Summary: "A symlink to nothing at all",
		Cause:   "Its target is empty. Linux cannot make such a link, and C mkcomposefs refuses it.",
		Remedy:  "Remove it.",
		Example: "a symlink without a target in the archive",
	},
	{
		ID: ruleZeroDevice, Severity: Warning,
		Summary: "A character device 0,0",
		Cause:   "That is what overlayfs takes for a whiteout; a storage driver left it behind. In a layer it removes nothing, and formats differ in how they hold it.",
		Remedy:  "Remove it; to remove a file in a layer, add an entry .wh.NAME.",
		Example: "usr/gone, a character device 0,0",
	},
	{
		ID: ruleSocket, Severity: Warning,
		Summary: "A socket",
		Cause:   "A program that ran during the build left it behind. tar cannot hold it, so no image will have the digest of this directory.",
		Remedy:  "Remove it.",
		Example: "root/.gnupg/S.gpg-agent",
	},
	{
		ID: ruleUKIQuoted, Severity: Warning, Effect: Accepted, Needs: NeedsContent,
		Summary: "An argument with a digest of a UKI has double quotes",
		Cause:   "The kernel and bootc take them off; the initramfs of composefs-rs does not, and finds no digest.",
		Remedy:  "Leave the quotes out.",
		Example: `composefs="0ea35a…"`,
	},
}

// notes are the rules of what is good to know.
var notes = []Rule{
	{
		ID: ruleFraction, Severity: Note,
		Summary: "Modification times with a fraction of a second",
		Cause:   "They count in the digest. Builders cut them to seconds when they make a layer of a directory, so the digest of the directory is not that of the image.",
		Remedy:  "Cut them where the tree is made, as by SOURCE_DATE_EPOCH, if the digests are to be equal.",
		Example: "1700000000.5",
	},
	{
		ID: ruleLabelXattr, Severity: Note, Needs: NeedsWhole,
		Summary: "SELinux labels that hosts replace",
		Cause:   "The label of the build host (security.selinux) does not count. The plain digest has none, the bootable one those of the image's own policy.",
		Remedy:  "Nothing to do; to change a label, change the policy in the image.",
		Example: "a layer that was made on a host with SELinux",
	},
	{
		ID: ruleInBoot, Severity: Note, Needs: NeedsWhole,
		Summary: "Content in /boot is not in the bootable digest",
		Cause:   "Hosts empty /boot before they compute the bootable digest: the UKI that names it is there. The plain digest has it.",
		Remedy:  "Nothing to do for kernels and UKIs; put other files elsewhere.",
		Example: "boot/EFI/Linux/linux.efi",
	},
	{
		ID: ruleInSysroot, Severity: Note, Needs: NeedsWhole,
		Summary: "Content in /sysroot is not in the bootable digest",
		Cause:   "Hosts empty /sysroot before they compute the bootable digest. Images made by ostree have their whole store there; the plain digest has it.",
		Remedy:  "Nothing to do if nothing on the host needs it.",
		Example: "sysroot/ostree/repo/config",
	},
	{
		ID: ruleRootMeta, Severity: Note, Needs: NeedsWhole,
		Summary: "The root directory's own metadata does not count",
		Cause:   "Hosts give the root directory owner, mode, time and attributes of /usr, because a layer need not have an entry for the root. Here the entry says something else.",
		Remedy:  "Give /usr what the root is to have, if it matters.",
		Example: "./ with mode 0700, and usr/ with 0755",
	},
	{
		ID: ruleNotBootable, Severity: Note,
		Summary: "There is no bootable digest",
		Cause:   "A bootable image has directories /boot and /sysroot, though they be empty. Hosts refuse to boot one without.",
		Remedy:  "Add empty ones if the image is to be booted.",
		Example: "an image of an application",
	},
	{
		ID: ruleSetID, Severity: Note,
		Summary: "A set-user-ID or set-group-ID file",
		Cause:   "It runs with the rights of its owner or group, which the digest keeps as they are.",
		Remedy:  "Take the bit away if nobody needs it (chmod a-s), or use a capability.",
		Example: "usr/bin/su with mode 4755",
	},
	{
		ID: ruleWritable, Severity: Note,
		Summary: "A file or directory that everybody may write to",
		Cause:   "In a composefs mount nobody can, but a copy of it, or an overlay above it, keeps the mode. Directories with the sticky bit, as /tmp, do not count.",
		Remedy:  "chmod o-w",
		Example: "var/lib/app with mode 0777",
	},
}
