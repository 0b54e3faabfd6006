// SPDX-License-Identifier: Apache-2.0

package stackgen

import (
	"fmt"
	"path"
	"strings"
)

// A bootGenerator is what a generator knows of a stack that is to be booted.
type bootGenerator struct {
	policy  string // what SELINUXTYPE says
	objects []object
}

// An object is a file that may get a name of a policy or of a boot entry later,
// as those of ostree do.
type object struct{ path, text string }

// Where hosts look for what makes an image bootable.
const (
	selinuxDirectory = "etc/selinux"
	selinuxConfig    = selinuxDirectory + "/config"
	entriesDirectory = "boot/loader/entries"
	addonsDirectory  = "boot/loader/addons"
	linuxDirectory   = "boot/EFI/Linux"
	modulesDirectory = "usr/lib/modules"
	objectsDirectory = "sysroot/ostree/repo/objects"
)

// GenerateBootable returns the stack of a seed, which most often is one that
// hosts boot.
func GenerateBootable(seed uint64) Stack {
	const faults = 2 // in a hundred; other tests have more
	g := newGenerator(seed ^ 0xb007)
	g.boot = &bootGenerator{policy: pick(g, "t", "t", "t", "targeted", "targeted", "t/", "/t", "t/./u", "")}
	stack := generate(g, faults)
	stack.Seed = seed
	return stack
}

// policyDirectory is where the files of the policy are.
func (g *generator) policyDirectory() string {
	return path.Join(selinuxDirectory, g.boot.policy, "contexts/files")
}

// bootSkeleton makes what most bootable images have.
func (g *generator) bootSkeleton() {
	for _, path := range []string{"boot", "sysroot"} {
		if g.chance(95) {
			g.makeDirectory(path)
		}
	}
	if g.chance(60) {
		g.goodPolicy()
	}
	if g.chance(40) {
		g.kernel()
	}
}

// makeDirectory makes the directory and those that it is in, as far as they are
// not there.
func (g *generator) makeDirectory(path string) {
	for i := range len(path) + 1 {
		if (i == len(path) || path[i] == '/') && !g.root.lookup(path[:i]).isDirectory() {
			g.directory(path[:i])
		}
	}
}

// text adds a file that holds the text.
func (g *generator) text(path, text string) {
	parent, _ := splitPath(path)
	g.makeDirectory(parent)
	e := g.entry(pick(g, byte(TypeRegular), TypeRegular, TypeRegular, TypeOldRegular, TypeContiguous), g.spell(path, false))
	e.Text = text
	g.add(e)
	g.root.put(path, g.last())
}

// nameFile gives a file another name.
func (g *generator) nameFile(path, target string) {
	parent, _ := splitPath(path)
	g.makeDirectory(parent)
	e := g.entry(TypeLink, g.spell(path, false))
	e.Link = g.spell(target, false)
	g.add(e)
	g.root.link(path, target)
}

// unlink removes a path by a whiteout.
func (g *generator) unlink(path string) {
	directory, name := splitPath(path)
	if g.root.lookup(directory).isDirectory() {
		g.mark(join(directory, ".wh."+name))
		g.root.remove(path)
	}
}

// object adds a file with the text under a name that tells nothing.
func (g *generator) object(text string) string {
	path := fmt.Sprintf("%s/%02x/%s.file", objectsDirectory, g.r.IntN(4), g.letters(6))
	switch n := g.r.IntN(100); {
	case n < 20:
		path = pick(g, "usr/lib/", "usr/share/", "var/", "boot/") + g.letters(5)
	case n < 27: // a name that tells something else
		path = pick(g, linuxDirectory+"/", modulesDirectory+"/1.0/") + g.letters(1) + ".efi"
	case n < 30:
		path = "etc/selinux/other/contexts/files/file_contexts.local"
	}
	g.text(path, text)
	g.boot.objects = append(g.boot.objects, object{path, text})
	return path
}

// place makes the text the content of the path, by one of the ways there are.
func (g *generator) place(path, text string) {
	switch n := g.r.IntN(100); {
	case n < 50:
		g.text(path, text)
	case n < 65:
		g.nameFile(path, g.object(text))
	case n < 73: // one link behind the other
		between := "usr/" + g.letters(4)
		g.nameFile(between, g.object(text))
		g.nameFile(path, between)
	case n < 80: // with others of the same size, and a twin
		g.object(strings.Repeat("#", len(text)))
		file := g.object(text)
		g.object(text)
		g.nameFile(path, file)
	case n < 86: // the first name goes
		file := g.object(text)
		g.nameFile(path, file)
		g.unlink(file)
	case n < 92: // the first name becomes another file
		file := g.object(text)
		g.nameFile(path, file)
		g.text(file, strings.Repeat("#", len(text)))
	case n < 96: // the name that tells comes first, and goes
		g.text(path, text)
		g.nameFile("usr/"+g.letters(4), path)
		g.text(path, "#")
		g.nameFile(path, g.object(text))
	default:
		g.text(path, strings.Repeat("(", len(text))) // what is wrong is replaced
		g.text(path, text)
	}
}

// placeOld links the path to a file of a layer before, or of this one, if there
// is one like that.
func (g *generator) placeOld(path string, isWanted func(text string) bool) bool {
	for _, o := range g.boot.objects {
		if isWanted(o.text) && g.root.isRegular(o.path) && g.chance(60) {
			g.nameFile(path, o.path)
			return true
		}
	}
	return false
}

// goodPolicy makes a policy that hosts can read.
func (g *generator) goodPolicy() {
	g.placeConfig(g.configText())
	path := g.policyDirectory() + "/file_contexts"
	if !g.chance(40) || !g.placeOld(path, isContexts) {
		g.place(path, g.contextsText())
	}
}

func (g *generator) placeConfig(text string) {
	isConfig := func(old string) bool { return old == text }
	if !g.chance(20) || !g.placeOld(selinuxConfig, isConfig) {
		g.place(selinuxConfig, text)
	}
}

// kernel makes a kernel in /usr.
func (g *generator) kernel() {
	g.text(modulesDirectory+"/"+g.version()+"/vmlinuz", g.letters(g.between(1, 200)))
}

func (g *generator) version() string { return pick(g, "1.0", "1.0", "6.1", "6.1-x") }

// repairBoot takes away of most stacks what keeps hosts from booting them.
func (g *generator) repairBoot() {
	if g.chance(12) {
		return
	}
	for _, path := range []string{"etc", "boot", "sysroot"} {
		g.makeDirectory(path)
	}
	for _, path := range []string{
		"boot/EFI", linuxDirectory, "boot/loader", addonsDirectory, entriesDirectory,
		"usr/lib", modulesDirectory, selinuxDirectory,
	} {
		if found := g.root.lookup(path); found != nil && !found.isDirectory() {
			g.unlink(path)
		}
	}
	g.repairExecutables()
	if g.chance(5) {
		g.onlyAndroid()
	} else {
		g.repairEntries()
	}
	switch n := g.r.IntN(100); {
	case n < 80:
		g.repairPolicy()
		g.goodPolicy()
	case n < 90:
		g.unlink(selinuxDirectory)
	default:
		g.unlink(selinuxConfig)
	}
}

// repairPolicy removes what is in the way of a policy.
func (g *generator) repairPolicy() {
	directory := g.policyDirectory()
	for _, name := range policyNames {
		if path := directory + "/" + name; g.root.lookup(path) != nil && (!g.root.isRegular(path) || g.chance(30)) {
			g.unlink(path)
		}
	}
}

// repairExecutables removes executables that are none, and what Android boots.
func (g *generator) repairExecutables() {
	for _, directory := range []string{linuxDirectory, addonsDirectory, modulesDirectory} {
		found := g.root.lookup(directory)
		if !found.isDirectory() {
			continue
		}
		for _, path := range found.paths(false) {
			_, name := splitPath(path)
			if path = join(directory, path); strings.HasSuffix(name, ".efi") && !g.root.isRegular(path) {
				g.unlink(path)
			}
		}
	}
	for _, path := range g.root.lookup("boot").paths(false) {
		isAndroid := strings.HasPrefix(path, "aboot-") || strings.HasPrefix(path, "vbmeta-")
		if isAndroid && !strings.Contains(path, "/") && g.chance(95) {
			g.unlink("boot/" + path)
		}
	}
}

// repairEntries removes boot entries, and makes good ones.
func (g *generator) repairEntries() {
	if g.root.lookup(entriesDirectory).isDirectory() && g.chance(90) {
		g.opaque(entriesDirectory)
	}
	for range g.r.IntN(3) {
		g.place(entriesDirectory+"/"+g.letters(1)+".conf", g.goodEntry())
	}
}
