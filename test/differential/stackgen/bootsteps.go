// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"fmt"
	"strings"

	"github.com/cfs-label/cfs-label/internal/ukitest"
)

// policyNames are the files of a policy.
var policyNames = []string{"file_contexts", "file_contexts.local", "file_contexts.homedirs", "file_contexts.subs", "file_contexts.subs_dist"}

// bootStep makes one change of what matters for booting.
func (g *generator) bootStep() {
	switch n := g.r.IntN(100); {
	case n < 24:
		g.policyFile()
	case n < 32:
		g.object(pick(g, g.contextsText(), g.configText(), g.subsText()))
	case n < 38:
		g.placeConfig(pick(g, g.configText(), g.configText(), g.oddConfig()))
	case n < 48:
		g.place(entriesDirectory+"/"+g.letters(1)+pick(g, ".conf", ".conf", ".conf", ".cnf"), pick(g, g.goodEntry(), g.goodEntry(), g.oddEntry()))
	case n < 64:
		g.executable()
	case n < 67:
		g.android()
	case n < 72:
		g.kernel()
	case n < 79:
		g.labeled()
	case n < 83:
		g.makeDirectory("run")
		g.file("run/" + g.letters(2))
	case n < 88:
		g.misplace()
	case n < 94:
		g.unlink(g.important())
	case n < 96:
		if path := g.important(); g.root.lookup(path).isDirectory() {
			g.opaque(path)
		}
	default:
		g.makeDirectory(modulesDirectory + "/" + pick(g, "1.0", "6.1/x", "\xff", "\xff/kernel"))
	}
}

// important returns a path at which hosts look for something.
func (g *generator) important() string {
	return pick(g, "boot", "sysroot", "sysroot/ostree", selinuxDirectory, selinuxConfig,
		g.policyDirectory(), g.policyDirectory(), g.policyDirectory()+"/"+pick(g, policyNames...),
		g.policyDirectory()+"/"+pick(g, policyNames...), g.policyDirectory()+"/file_contexts",
		entriesDirectory, linuxDirectory, addonsDirectory, modulesDirectory, "boot/vmlinuz-1", linuxDirectory+"/a.efi")
}

// misplace puts something else where hosts look for a file or a directory.
func (g *generator) misplace() {
	path := g.important()
	parent, _ := splitPath(path)
	g.makeDirectory(parent)
	switch g.r.IntN(4) {
	case 0:
		if !g.root.lookup(path).isDirectory() {
			g.directory(path)
		}
	case 1:
		g.special(pick(g, byte(TypeFIFO), TypeChar, TypeBlock), path)
	case 2:
		g.text(path, "")
	default:
		g.special(TypeSymlink, path)
		g.last().Link = pick(g, "/usr/"+path, "../usr/"+path, path, "/boot")
	}
}

// policyFile makes a file of the policy, now and then of one that is not used.
func (g *generator) policyFile() {
	name := pick(g, policyNames...)
	text, isWanted := g.contextsText(), isContexts
	if strings.Contains(name, "subs") {
		text, isWanted = g.subsText(), isSubs
	}
	directory := g.policyDirectory()
	if g.chance(15) {
		directory = pick(g, "etc/selinux/other/contexts/files", "etc/selinux/contexts/files", "usr/etc/selinux/t/contexts/files", "etc/selinux/t/contexts")
	}
	if !g.chance(40) || !g.placeOld(directory+"/"+name, isWanted) {
		g.place(directory+"/"+name, text)
	}
}

// isContexts and isSubs tell texts apart that objects hold.
func isContexts(text string) bool { return strings.Contains(text, "#contexts") }
func isSubs(text string) bool     { return strings.HasPrefix(text, "#subs") }

// contextsText returns rules; a comment tells what they are, and brings some of
// them over what is inline.
func (g *generator) contextsText() string {
	var b strings.Builder
	b.WriteString(pick(g, "#contexts\n", "#contexts\n", "#contexts "+strings.Repeat("-", g.between(20, 70))+"\n"))
	if g.chance(70) {
		b.WriteString("/.* u:o:all\n")
	}
	for range pick(g, 0, 0, 1, 2, 5, 40) {
		b.WriteString(pick(g, "/", "/usr", "/usr", "/etc", "/var", "/sysroot", "/boot", "/usr/lib", "/.*"))
		b.WriteString(pick(g, "(/.*)?", "/.*", "/[a-m].*", "/[^/]*[0-9]", "/.", "/[a-m]", "/(?!a).*", ".*\\.file", "/ob.*", ""))
		b.WriteString(pick(g, " ", " ", "\t", " -- ", " -d ", " -l ", " -c ", " -p "))
		b.WriteString(pick(g, "<<none>>", "u:o:usr", "u:o:etc", "u:o:x", g.letters(3)) + "\n")
	}
	if g.chance(1) {
		b.WriteString(pick(g, "/usr\n", "/( x\n", "/x -q y\n", "\xff\n", "/x y z a\n"))
	}
	return b.String()
}

func (g *generator) subsText() string {
	var b strings.Builder
	b.WriteString(pick(g, "#subs\n", "#subs "+strings.Repeat("=", 60)+"\n"))
	for range g.r.IntN(4) {
		b.WriteString(pick(g, "/usr/lib", "/etc", "/var", "/usr/share", "/x") + " " + pick(g, "/usr", "/var", "/etc", "/boot", "/") + "\n")
	}
	if g.chance(1) {
		b.WriteString("/one\n")
	}
	return b.String()
}

// configText returns a config that names the policy.
func (g *generator) configText() string {
	return pick(g, "", "", "#"+strings.Repeat(" comment", 9)+"\n", "SELINUX=enforcing\n") + "SELINUXTYPE=" + g.boot.policy + "\n"
}

// oddConfig returns a config that may name no policy, or another.
func (g *generator) oddConfig() string {
	text := pick(g, "", "SELINUX=disabled\n", "SELINUXTYPE=absent\n", "SELINUXTYPE=other\n", "SELINUXTYPE=\n", "SELINUXTYPE=../t\n",
		" selinuxtype = "+g.boot.policy+" \r\n", "SELINUXTYPE=t\n\xff\n", "\xff\n", "SELINUXTYPE=/\n", "SELINUXTYPE=./t\n")
	return text + pick(g, "", strings.Repeat("#", 64))
}

// goodEntry returns a boot entry, and makes the file that it names.
func (g *generator) goodEntry() string {
	path := pick(g, "boot/vmlinuz-1", "boot/initrd-1", modulesDirectory+"/1.0/vmlinuz")
	if !g.root.isRegular(path) {
		g.text(path, g.letters(g.between(0, 100)))
	}
	var b strings.Builder
	b.WriteString(pick(g, "", "title a title\n", "# "+strings.Repeat("long ", 15)+"\noptions rw composefs="+g.letters(8)+"\n"))
	for range 1 + g.r.IntN(2) {
		b.WriteString(pick(g, "linux", "initrd", "efi") + pick(g, " /", " ", "\t/", "  /", " //", " \u00a0/") + path + "\n")
	}
	return b.String()
}

// oddEntry returns a boot entry that hosts may refuse.
func (g *generator) oddEntry() string {
	text := pick(g, "", "linux /boot/vmlinuz-1\n") + pick(g, "linux", "initrd", "efi", "linuxefi", "LINUX", " linux", "linux:")
	text += pick(g, " ", "\t", "\v", "\f", "\r", "\u00a0", "", " \u3000")
	text += pick(g, "/absent", "/boot/vmlinuz-1/", "/boot/vmlinuz-1/.", "/boot/../boot/vmlinuz-1", "./boot/vmlinuz-1", "/boot/./vmlinuz-1",
		"/boot/vmlinuz-1 ", "/boot/vmlinuz-1\r", "/boot", "/", "", "..", "/..", "boot/vmlinuz-1/..", "/usr/lib/modules/1.0/vmlinuz", "\xff", "//boot//vmlinuz-1")
	return text + pick(g, "", "\n", "\n\n", "\n"+strings.Repeat("#", 64))
}

// executable makes an *.efi, or something that is called so.
func (g *generator) executable() {
	directory := pick(g, linuxDirectory, linuxDirectory, linuxDirectory+"/a.efi.extra.d", addonsDirectory, modulesDirectory+"/"+g.version(),
		modulesDirectory, modulesDirectory+"/1.0/deep")
	path := directory + "/" + pick(g, "a", "b") + pick(g, ".efi", ".efi", ".efi", ".addon.efi", ".EFI", ".efi.x")
	if parent := g.root.lookup(path); parent.isDirectory() {
		return
	}
	g.makeDirectory(directory)
	switch n := g.r.IntN(100); {
	case n < 60:
		digest := strings.Repeat(pick(g, "0", "a"), pick(g, 64, 128))
		argument := pick(g, "quiet", "composefs="+digest, "composefs=?"+digest, "composefs.digest=v1-sha512-12:"+strings.Repeat("b", 128),
			"composefs.digest=v1-sha256-12:"+strings.Repeat("c", 64))
		g.place(path, string(ukitest.CommandLine(argument)))
	case n < 90:
		g.place(path, pick(g, "", "junk", "MZ"+strings.Repeat("\x00", 100), strings.Repeat("junk", 50)))
	case n < 93:
		g.special(TypeSymlink, path)
	case n < 95:
		g.directory(path)
	default:
		g.placeOld(path, func(text string) bool { return strings.HasPrefix(text, "MZ") })
	}
}

// android makes what Android's boot loader starts.
func (g *generator) android() {
	version := pick(g, "1", "2", "", "\xff")
	path := "boot/" + pick(g, "aboot-", "aboot-", "vbmeta-") + version + ".img"
	g.makeDirectory("boot")
	if g.chance(10) {
		g.special(TypeSymlink, path)
		return
	}
	g.place(path, pick(g, androidPayload, androidPayload, "junk"))
}

// androidPayload is one that hosts take.
var androidPayload = string(ukitest.Make(ukitest.Section{Name: ".linux", Content: "kernel"}, ukitest.Section{Name: ".initrd", Content: "x"}))

// onlyAndroid leaves nothing to boot but a payload, with which nothing else may be.
func (g *generator) onlyAndroid() {
	g.unlink(linuxDirectory)
	g.unlink(entriesDirectory)
	g.unlink(modulesDirectory)
	g.opaque("boot")
	g.place("boot/aboot-1.img", pick(g, androidPayload, androidPayload, androidPayload, "junk"))
	if g.chance(15) {
		g.place("boot/vbmeta-1.img", "")
	}
}

// labeled makes a file whose names the policy may label differently, with a label
// of its own or a user attribute.
func (g *generator) labeled() {
	names := make([]string, 0, 4)
	for _, directory := range []string{"usr", "etc", "var", "sysroot", "boot", "usr/lib"} {
		if g.chance(40) {
			names = append(names, fmt.Sprintf("%s/%s", directory, g.letters(1)))
		}
	}
	for i, path := range names {
		parent, _ := splitPath(path)
		g.makeDirectory(parent)
		if g.root.lookup(path).isDirectory() {
			return
		}
		if i > 0 {
			g.nameFile(path, names[0])
			continue
		}
		g.text(path, g.letters(g.between(0, 100)))
		if e := g.last(); e.Format != V7 {
			e.Xattrs = append(e.Xattrs, xattr("security.selinux", "old\x00"), xattr("user.boot", "a"))
		}
	}
}
