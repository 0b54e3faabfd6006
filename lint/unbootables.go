// SPDX-License-Identifier: Apache-2.0

package lint

// The ids of what makes an image one that sealed hosts cannot boot.
const (
	ruleBoot         = "boot-entry"
	rulePolicy       = "selinux-policy"
	ruleUKIMalformed = "uki-malformed"
	ruleUKIArgument  = "uki-argument"
	ruleUKIMark      = "uki-mark"
	ruleUKIInsecure  = "uki-insecure"
	ruleUKICircular  = "uki-circular"

	// RuleUKIMismatch is found by whoever has computed the image's digests.
	RuleUKIMismatch = "uki-mismatch"
)

// unbootables are the rules of what is wrong with the boot of an image. It has a
// plain digest all the same.
var unbootables = []Rule{
	{
		ID: ruleBoot, Severity: Error, Effect: Unbootable, Needs: NeedsLayers | NeedsContent,
		Summary: "A boot entry that hosts do not understand",
		Cause:   "Hosts read /boot/loader/entries/*.conf, the UKIs and the kernels of an image before they compute its bootable digest, and refuse the image if one is no regular file, or names what is not there.",
		Remedy:  "Mend the entry, or remove it.",
		Example: "a .conf whose line linux names a file that is not in the image",
	},
	{
		ID: rulePolicy, Severity: Error, Effect: Unbootable, Needs: NeedsContent,
		Summary: "The image's SELinux policy cannot be applied",
		Cause:   "The bootable digest has the labels that the image's own policy (/etc/selinux) gives. Hosts refuse the image if the policy that the config names is not there, is reached by a symlink, or has a pattern that is none.",
		Remedy:  "Install the policy, or remove the line SELINUXTYPE from /etc/selinux/config.",
		Example: "SELINUXTYPE=targeted, and no /etc/selinux/targeted",
	},
	{
		ID: ruleUKIMalformed, Severity: Error, Effect: Unbootable, Needs: NeedsContent,
		Summary: "A UKI or addon that is not an EFI executable",
		Cause:   "Firmware cannot start it, and nobody can tell what kernel command line it has.",
		Remedy:  "Build it again.",
		Example: "/boot/EFI/Linux/a.efi that is a text file",
	},
	{
		ID: ruleUKIArgument, Severity: Error, Effect: Unbootable, Needs: NeedsContent,
		Summary: "An argument composefs= or composefs.digest= that names no digest",
		Cause:   "Hosts fail to boot with an algorithm or format that they do not know, and with a digest that is none.",
		Remedy:  "Build the UKI with what cfs-label compute --karg prints.",
		Example: "composefs.digest=v1-md5-12:0000",
	},
	{
		ID: ruleUKIMark, Severity: Error, Effect: Unbootable, Needs: NeedsContent,
		Summary: "A question mark behind a digest of a UKI",
		Cause:   "Hosts know it in front of the value only, where it makes fs-verity optional; behind it, the digest is none, and hosts fail to boot.",
		Remedy:  "Leave it out.",
		Example: "composefs=0ea35a…?",
	},
	{
		ID: ruleUKIInsecure, Severity: Error, Effect: Accepted, Needs: NeedsContent,
		Summary: "A UKI that makes fs-verity optional",
		Cause:   "With a question mark in front of the value the host boots the image though its files have no fs-verity: nothing is sealed then.",
		Remedy:  "Leave the question mark out, and boot from a file system that has fs-verity.",
		Example: "composefs=?0ea35a…",
	},
	{
		ID: ruleUKICircular, Severity: Error, Effect: Unbootable, Needs: NeedsContent,
		Summary: "A UKI below /usr that names a digest",
		Cause:   "It is a part of what it names the digest of, so it can never be the right one. /boot is no part of the bootable digest.",
		Remedy:  "Put the UKI into /boot/EFI/Linux, in a last stage that computes the digest of the stage before.",
		Example: "/usr/lib/modules/6.12/linux.efi with composefs= in its command line",
	},
	{
		ID: RuleUKIMismatch, Severity: Error, Effect: Unbootable, Needs: NeedsContent,
		Summary: "A UKI names a digest that is not the image's bootable digest",
		Cause:   "The UKI was built for another image, or the image was changed after the digest was computed. The machine does not boot.",
		Remedy:  "Compute the bootable digest of the image as it is (cfs-label compute --karg), and build the UKI with it.",
		Example: "RUN dnf install … behind the stage that computed the digest",
	},
}
