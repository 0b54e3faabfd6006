// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"strings"

	"github.com/cfs-label/cfs-label/composefs/tree"
)

// setPair is a set of xattrs of each tree.
type setPair [2]tree.XattrSet

// xattrKinds says in what way two sets differ: two bits for each kind, for the
// side that has the attribute, or both where its values differ.
type xattrKinds uint16

const (
	xattrCapability xattrKinds = 1 << (2 * iota) // security.capability
	xattrSELinux                                 // security.selinux
	xattrDropped                                 // what hosts never keep
	xattrUser                                    // user., which hosts keep only if they are told to
	xattrOther                                   // two values, but not of security.selinux
)

// on returns the kind for the sides that have it.
func (k xattrKinds) on(has [2]bool) xattrKinds {
	var kinds xattrKinds
	if has[A] {
		kinds |= k
	}
	if has[B] {
		kinds |= k << 1
	}
	return kinds
}

// sides returns a bit for each side that has the kind.
func (k xattrKinds) sides(of xattrKinds) sides { return sides(k/of) & 3 }

// xattrKind returns in what way an attribute differs.
func xattrKind(x *xattrChange) xattrKinds {
	both := x.has[A] && x.has[B]
	switch {
	case x.name == "security.selinux":
		return xattrSELinux.on(x.has)
	case both:
		return xattrOther.on(x.has)
	case x.name == "security.capability":
		return xattrCapability.on(x.has)
	case strings.HasPrefix(x.name, "user."):
		return xattrUser.on(x.has)
	default:
		return xattrDropped.on(x.has)
	}
}

// xattrKinds compares two sets. Each pair of sets is compared once.
func (r *Result) xattrKinds(a, b tree.XattrSet) xattrKinds {
	if a == 0 && b == 0 {
		return 0
	}
	kinds, ok := r.sets[setPair{a, b}]
	if !ok {
		for x := range r.xattrChanges(a, b) {
			kinds |= xattrKind(&x)
		}
		r.sets[setPair{a, b}] = kinds
	}
	return kinds
}

// xattrChange is an attribute that differs. A side that does not have it has
// an empty value.
type xattrChange struct {
	name   string
	has    [2]bool
	values [2]string
}

// xattrChanges yields what differs between two sets, sorted by name.
func (r *Result) xattrChanges(a, b tree.XattrSet) func(yield func(xattrChange) bool) {
	return func(yield func(xattrChange) bool) {
		la, lb := r.trees[A].XattrList(a), r.trees[B].XattrList(b)
		for len(la) > 0 || len(lb) > 0 {
			var x xattrChange
			if len(lb) == 0 || len(la) > 0 && la[0].Name <= lb[0].Name {
				x.name, x.has[A], x.values[A] = la[0].Name, true, la[0].Value
			}
			if len(la) == 0 || len(lb) > 0 && lb[0].Name <= la[0].Name {
				x.name, x.has[B], x.values[B] = lb[0].Name, true, lb[0].Value
			}
			if x.has[A] {
				la = la[1:]
			}
			if x.has[B] {
				lb = lb[1:]
			}
			if (x.has[A] != x.has[B] || x.values[A] != x.values[B]) && !yield(x) {
				return
			}
		}
	}
}
