// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// BootEntries holds the boot entries of a container image to what hosts demand
// of them, before Boot empties /boot. They change no digest, but hosts refuse
// an image whose entries they cannot read (composefs-rs, crate composefs-boot,
// module bootloader):
//
//   - a /boot/loader/entries/*.conf is a regular file and UTF-8, and what its
//     lines linux, initrd and efi name, from the root, is there;
//   - a *.efi anywhere in /boot/EFI/Linux, /boot/loader/addons and the
//     directories of /usr/lib/modules is a regular file;
//   - a directory of /usr/lib/modules that has a vmlinuz has a UTF-8 name;
//   - there is at most one /boot/aboot-VERSION.img, without other entries, and
//     no /boot/vbmeta-VERSION.img without it. Hosts also read them; we don't.
//
// Hosts do not ask this of a directory that they read from disk.
func BootEntries(t *tree.Tree, content Content) error {
	c, err := t.Check()
	if err != nil {
		return err
	}
	b := &bootEntries{c: c, content: content}
	err = b.check()
	*t = *c.Thaw()
	if err != nil {
		return err
	}
	return nil
}

type bootEntries struct {
	c       *tree.Checked
	content Content
	entries int
}

func (b *bootEntries) check() error {
	for _, check := range []func() error{b.loaderEntries, b.unifiedImages, b.modules, b.aboot} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// eachIn calls f for what is in the directory, if it is there.
func (b *bootEntries) eachIn(dir string, f func(name []byte, ino tree.Ino) error) error {
	ino, found, err := lookupDir(b.c, tree.Root, dir)
	if err != nil || !found {
		return err
	}
	for name, entry := range b.c.Entries(ino) {
		if err := f(name, entry); err != nil {
			return err
		}
	}
	return nil
}

func (b *bootEntries) mustBeFile(dir string, name []byte, ino tree.Ino) error {
	if kind := b.c.Kind(ino); kind != tree.Regular {
		return fmt.Errorf("%q is a %s and must be a regular file", dir+"/"+string(name), kind)
	}
	return nil
}

func (b *bootEntries) loaderEntries() error {
	const dir = "/boot/loader/entries"
	return b.eachIn(dir, func(name []byte, ino tree.Ino) error {
		if !bytes.HasSuffix(name, []byte(".conf")) {
			return nil
		}
		if err := b.mustBeFile(dir, name, ino); err != nil {
			return err
		}
		path := dir + "/" + string(name)
		data, _, err := fileReader{b.c, b.content}.read(path, ino)
		if err == nil && !utf8.Valid(data) {
			err = fmt.Errorf("%q is not UTF-8", path)
		}
		b.entries++
		for line := range strings.SplitSeq(string(data), "\n") {
			if named, ok := resource(line); ok && err == nil && !b.hasFile(named) {
				err = fmt.Errorf("%q names %.200q, and no regular file is there", path, named)
			}
		}
		return err
	})
}

// resource returns the path that a line of a loader entry names.
func resource(line string) (string, bool) {
	for _, key := range []string{"linux", "initrd", "efi"} {
		rest, ok := strings.CutPrefix(line, key)
		if ok && rest != "" && strings.IndexByte(" \t\r\f", rest[0]) >= 0 {
			return strings.TrimLeftFunc(rest, unicode.IsSpace), true
		}
	}
	return "", false
}

// hasFile reports whether the path names a regular file. Like all lookups it
// begins at the root and follows no links.
func (b *bootEntries) hasFile(path string) bool {
	for strings.HasSuffix(path, "/") || strings.HasSuffix(path, "/.") {
		path = strings.TrimSuffix(strings.TrimSuffix(path, "."), "/")
	}
	slash := strings.LastIndexByte(path, '/')
	dir, found, err := lookupDir(b.c, tree.Root, path[:slash+1])
	if err != nil || !found {
		return false
	}
	ino, found := b.c.Lookup(dir, []byte(path[slash+1:]))
	return found && b.c.Kind(ino) == tree.Regular
}

func (b *bootEntries) unifiedImages() error {
	for _, dir := range []string{"/boot/EFI/Linux", "/boot/loader/addons"} {
		if err := b.imagesIn(dir); err != nil {
			return err
		}
	}
	const modules = "/usr/lib/modules"
	return b.eachIn(modules, func(name []byte, ino tree.Ino) error {
		if b.c.Kind(ino) != tree.Directory {
			return nil
		}
		return b.imagesIn(modules + "/" + string(name))
	})
}

// imagesIn checks the *.efi below the directory.
func (b *bootEntries) imagesIn(top string) error {
	dir, found, err := lookupDir(b.c, tree.Root, top)
	if err != nil || !found {
		return err
	}
	return b.imagesBelow(top, dir)
}

func (b *bootEntries) imagesBelow(top string, dir tree.Ino) error {
	for name, ino := range b.c.Entries(dir) {
		kind := b.c.Kind(ino)
		switch {
		case kind == tree.Directory:
			if err := b.imagesBelow(top, ino); err != nil {
				return err
			}
		case !bytes.HasSuffix(name, []byte(".efi")):
		case kind != tree.Regular:
			return fmt.Errorf("%q, in %q, is a %s and must be a regular file", name, top, kind)
		case !bytes.HasSuffix(name, []byte(".addon.efi")):
			b.entries++
		}
	}
	return nil
}

func (b *bootEntries) modules() error {
	const modules = "/usr/lib/modules"
	return b.eachIn(modules, func(name []byte, ino tree.Ino) error {
		if b.c.Kind(ino) != tree.Directory {
			return nil
		}
		kernel, found := b.c.Lookup(ino, []byte("vmlinuz"))
		if !found || b.c.Kind(kernel) != tree.Regular {
			return nil
		}
		b.entries++
		if !utf8.Valid(name) {
			return fmt.Errorf("%q has a kernel, and its name is not UTF-8", modules+"/"+string(name))
		}
		return nil
	})
}

// aboot checks the payloads of Android's boot loader.
func (b *bootEntries) aboot() error {
	payloads := 0
	var orphan error
	boot, found, err := lookupDir(b.c, tree.Root, "/boot")
	if err != nil || !found {
		return err
	}
	err = b.eachIn("/boot", func(name []byte, ino tree.Ino) error {
		if version, ok := between(name, "vbmeta-", ".img"); ok {
			payload, found := b.c.Lookup(boot, []byte("aboot-"+version+".img"))
			if !utf8.ValidString(version) || !found || b.c.Kind(payload) != tree.Regular {
				orphan = fmt.Errorf("%q has no payload %q", "/boot/"+string(name), "aboot-"+version+".img")
			}
		}
		version, ok := between(name, "aboot-", ".img")
		if !ok {
			return nil
		}
		payloads++
		if version == "" || !utf8.ValidString(version) {
			return fmt.Errorf("%q has no kernel version in its name", "/boot/"+string(name))
		}
		vbmeta := []byte("vbmeta-" + version + ".img")
		if ino, found := b.c.Lookup(boot, vbmeta); found {
			if err := b.mustBeFile("/boot", vbmeta, ino); err != nil {
				return err
			}
		}
		return b.mustBeFile("/boot", name, ino)
	})
	switch {
	case err != nil:
		return err
	case orphan != nil:
		return orphan
	case payloads > 1:
		return fmt.Errorf("/boot has %d payloads aboot-*.img, and there can be one", payloads)
	case payloads == 1 && b.entries > 0:
		return fmt.Errorf("/boot has an aboot-*.img besides %d other boot entries", b.entries)
	}
	return nil
}

func between(name []byte, prefix, suffix string) (string, bool) {
	rest, ok := strings.CutPrefix(string(name), prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, suffix)
}
