// SPDX-License-Identifier: Apache-2.0

// Package boot reads what the boot of a sealed host goes by: the kernel command
// lines in unified kernel images (UKIs) and their addons, and the composefs
// digests that these name.
//
// A file passes by, in whatever pieces it comes, and [Scanner] keeps its headers
// and command lines, nothing else. What a section is follows systemd's boot
// stub, which is what gives the kernel its command line (systemd/src/boot/pe.c);
// what an argument means follows composefs-rs, whose initramfs reads it
// (composefs-boot/src/cmdline.rs).
package boot
