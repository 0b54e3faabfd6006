// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"fmt"
	"strings"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// Detail is one aspect of a difference: what each side has.
type Detail struct {
	// Aspect is type, content, target, rdev, storage, mode, owner, mtime,
	// xattrs or hard-links.
	Aspect string
	// Name is that of an extended attribute.
	Name string
	// Has says which side has the attribute; of other aspects, both have it.
	Has    [2]bool
	Values [2]string
}

// Details returns what differs on the path. Of a path that one side does not
// have there is nothing to tell.
func (r *Result) Details(d *Difference) []Detail {
	var details []Detail
	if d.Aspects == Missing {
		return nil
	}
	for _, a := range aspectNames {
		if d.Aspects&a.aspect == 0 {
			continue
		}
		if a.aspect == Xattrs {
			details = append(details, r.xattrDetails(d)...)
			continue
		}
		values := [2]string{r.value(d, A, a.aspect), r.value(d, B, a.aspect)}
		details = append(details, Detail{Aspect: a.name, Has: [2]bool{true, true}, Values: values})
	}
	return details
}

func (r *Result) xattrDetails(d *Difference) []Detail {
	var details []Detail
	a, b := r.metas(d)
	for x := range r.xattrChanges(a.Xattrs, b.Xattrs) {
		details = append(details, Detail{Aspect: "xattrs", Name: x.name, Has: x.has, Values: x.values})
	}
	return details
}

// value returns what a side has of an aspect, in words.
func (r *Result) value(d *Difference, s Side, aspect Aspects) string {
	t, ino := r.trees[s], d.inos[s]
	m := t.Meta(ino)
	switch aspect {
	case Type:
		return t.Kind(ino).String()
	case Content:
		return r.contentText(s, ino)
	case Target:
		return string(t.Data(ino))
	case Rdev:
		return deviceText(t.Rdev(ino))
	case Storage:
		return storageText(t.Storage(ino))
	case Mode:
		return fmt.Sprintf("%04o", m.Mode&permBits)
	case Owner:
		return fmt.Sprintf("%d:%d", m.UID, m.GID)
	case Mtime:
		return fmt.Sprintf("%d.%09d", m.MtimeSec, m.MtimeNsec)
	case Links:
		return r.linksText(s, ino)
	case Xattrs, Missing: // have no single value
	}
	return ""
}

func (r *Result) contentText(s Side, ino tree.Ino) string {
	t := r.trees[s]
	text := fmt.Sprintf("%d bytes", t.Size(ino))
	object, ok := t.Object(ino)
	if !ok {
		return text
	}
	alg := r.alg
	if alg == 0 {
		alg = t.Algorithms()[0]
	}
	return fmt.Sprintf("%s, %s:%x", text, alg, t.Sum(object, alg))
}

// deviceText returns major and minor number (linux/include/linux/kdev_t.h,
// new_decode_dev).
func deviceText(rdev uint64) string {
	return fmt.Sprintf("%d,%d", rdev>>8&0xfff, rdev&0xff|rdev>>12&0xfff00)
}

func storageText(s tree.Storage) string {
	switch s {
	case tree.Inline:
		return "in the image"
	case tree.External:
		return "object"
	case tree.Unverified:
		return "object, unverified"
	default:
		return "sparse"
	}
}

// linksText names the paths that share the inode, as far as they differ.
func (r *Result) linksText(s Side, ino tree.Ino) string {
	const most = 3
	names := r.links[s][ino]
	var paths []string
	for _, i := range names[:min(len(names), most)] {
		paths = append(paths, r.Path(&r.Differences[i]))
	}
	switch {
	case len(names) == 1:
		return "a file of its own"
	case len(names) > most:
		paths = append(paths, fmt.Sprintf("%s more", Number(len(names)-most)))
	}
	return "one file: " + strings.Join(paths, " ")
}

// Kind returns the type of the path, on side A where both have it.
func (d *Difference) Kind() tree.Kind { return d.kind }

// Names returns the names of the aspects, as Detail has them; missing is one.
func (a Aspects) Names() []string {
	var names []string
	for _, n := range aspectNames {
		if a&n.aspect != 0 {
			names = append(names, n.name)
		}
	}
	return names
}
