// SPDX-License-Identifier: Apache-2.0

package image

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// KV is a label or annotation to be set.
type KV struct{ Key, Value string }

// Action is what an edit did to a field.
type Action uint8

// The actions.
const (
	Added Action = iota + 1
	Replaced
	Removed
)

// String returns the action as a word: added, replaced or removed.
func (a Action) String() string {
	switch a {
	case Added:
		return "added"
	case Replaced:
		return "replaced"
	case Removed:
		return "removed"
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Change is one thing that an edit did.
type Change struct {
	Action Action
	Place  string // path of the object, like config.Labels; "" is the whole
	Key    string // in that object
	Old    string // what the value said; "" if there was none
	New    string // what it says now; "" if there is none
}

// String returns the change on one line, safe for a terminal: removed
// config.Labels["k"]: "v".
func (c Change) String() string {
	place := placeOf(c.Place, c.Key)
	switch c.Action {
	case Added:
		return fmt.Sprintf("added %s: %s", place, quote(c.New))
	case Removed:
		return fmt.Sprintf("removed %s: %s", place, quote(c.Old))
	default:
		return fmt.Sprintf("%s %s: %s by %s", c.Action, place, quote(c.Old), quote(c.New))
	}
}

// patch replaces a range of a document's text.
type patch struct {
	span
	text string
}

// editor collects patches of one document.
type editor struct {
	doc     *document
	patches []patch
	changes []Change
}

func (e *editor) replace(at span, text string) { e.patches = append(e.patches, patch{at, text}) }

func (e *editor) changed(a Action, o object, key, before, after string) {
	e.changes = append(e.changes, Change{Action: a, Place: o.place, Key: key, Old: before, New: after})
}

// finish returns the edited text and what changed. Without a patch that is the
// text as it came. What was written is read again: an edit must not make a
// document that is too large, or no JSON.
func (e *editor) finish(maxSize int) ([]byte, []Change, error) {
	if len(e.patches) == 0 {
		return e.doc.raw, nil, nil
	}
	slices.SortStableFunc(e.patches, func(a, b patch) int { return cmp.Compare(a.start, b.start) })
	var out []byte
	pos := 0
	for _, p := range e.patches {
		out = append(out, e.doc.raw[pos:p.start]...)
		out = append(out, p.text...)
		pos = p.end
	}
	out = append(out, e.doc.raw[pos:]...)
	if _, err := parse("edited "+e.doc.name, out, maxSize); err != nil {
		return nil, nil, err
	}
	return out, e.changes, nil
}

// objectEdit is the edit of one object. Members whose values are edited within
// must not be dropped.
type objectEdit struct {
	*editor
	object
	layout  layout
	dropped []bool // by member
	added   []addition
}

// edit returns an edit of the object, to be ended by flush. holder is the
// layout of the object that holds it.
func (e *editor) edit(o object, holder layout) *objectEdit {
	l := holder.child()
	if len(o.members) > 0 {
		l = o.layout()
	}
	return &objectEdit{editor: e, object: o, layout: l, dropped: make([]bool, len(o.members))}
}

// set replaces the value of member i.
func (e *objectEdit) set(i int, v newValue) { e.replace(e.members[i].value, v(e.layout)) }

func (e *objectEdit) drop(i int) { e.dropped[i] = true }

func (e *objectEdit) add(key string, v newValue) { e.added = append(e.added, addition{key, v}) }

// flush turns what was dropped and added into patches.
func (e *objectEdit) flush() {
	if !slices.Contains(e.dropped, false) {
		if len(e.members)+len(e.added) > 0 {
			e.replace(span{e.start + 1, e.end - 1}, e.layout.fill(e.added))
		}
		return
	}
	var tail strings.Builder
	for _, a := range e.added {
		tail.WriteString(e.layout.sep + a.text(e.layout))
	}
	e.cut(e.items(), e.dropped, tail.String())
}

// cut removes those of the items of an object or array that are dropped, with
// the comma and the white space that go with them. tail goes behind the last of
// those that stay, which are one or more.
func (e *editor) cut(items []span, dropped []bool, tail string) {
	first, last := slices.Index(dropped, false), lastIndex(dropped, false)
	if first > 0 {
		e.replace(span{items[0].start, items[first].start}, "")
	}
	for i := first + 1; i <= last; i++ {
		if dropped[i] {
			e.replace(span{items[i-1].end, items[i].end}, "")
		}
	}
	end := span{items[last].end, items[len(items)-1].end}
	if end.start < end.end || tail != "" {
		e.replace(end, tail)
	}
}

// cutElements removes the dropped elements of an array.
func (e *editor) cutElements(array node, elements []node, dropped []bool) {
	switch {
	case !slices.Contains(dropped, true):
	case !slices.Contains(dropped, false):
		e.replace(span{array.start + 1, array.end - 1}, "")
	default:
		e.cut(spans(elements), dropped, "")
	}
}

func lastIndex(s []bool, v bool) int {
	for i, b := range slices.Backward(s) {
		if b == v {
			return i
		}
	}
	return -1
}

// mapEdit says what to do with an object of strings: labels or annotations.
type mapEdit struct {
	set   []KV                  // in the order in which new ones are added
	stale func(key string) bool // whether to remove a key that is not set
}

// check returns an error if what is to be set cannot be.
func (m mapEdit) check() error {
	seen := map[string]bool{}
	for _, kv := range m.set {
		switch {
		case seen[kv.Key]:
			return fmt.Errorf("%w: %s is set twice", ErrEdit, quote(kv.Key))
		case !utf8.ValidString(kv.Key), !utf8.ValidString(kv.Value):
			return fmt.Errorf("%w: %s: %w", ErrEdit, quote(kv.Key), ErrEncoding)
		}
		seen[kv.Key] = true
	}
	return nil
}

func (m mapEdit) isStale(key string) bool { return m.stale != nil && m.stale(key) }

func (m mapEdit) value(key string) (value string, ok bool) {
	for _, kv := range m.set {
		if kv.Key == key {
			return kv.Value, true
		}
	}
	return "", false
}

// removes reports whether the edit of before removes key. A signature goes by
// what it signs: it stays if and only if its digest is there and stays.
func (m mapEdit) removes(key string, before map[string]string) bool {
	if _, ok := m.value(key); ok {
		return false
	}
	digestKey, ok := signedKey(key)
	if !ok {
		return m.isStale(key)
	}
	was, had := before[digestKey]
	if is, ok := m.value(digestKey); ok {
		return !had || is != was
	}
	if had {
		return m.isStale(digestKey)
	}
	return m.isStale(key)
}

// editMap edits the object of strings that the path leads to from e's object.
// What is missing on the way is made, if there is something to set.
func (e *objectEdit) editMap(m mapEdit, path ...string) error {
	key := path[0]
	i := e.find(key)
	if i < 0 || !e.at(i).given() {
		if len(m.set) > 0 {
			e.makeMap(i, m.set, path)
		}
		return nil
	}
	o, err := e.at(i).object()
	if err != nil {
		return err
	}
	within := e.edit(o, e.layout)
	if len(path) > 1 {
		err = within.editMap(m, path[1:]...)
	} else {
		err = within.editStrings(m)
	}
	within.flush()
	return err
}

// makeMap adds the objects on the path, or puts them where member i has null.
func (e *objectEdit) makeMap(i int, set []KV, path []string) {
	v := newStrings(set)
	for _, key := range slices.Backward(path[1:]) {
		v = newObject(addition{key, v})
	}
	if i < 0 {
		e.add(path[0], v)
	} else {
		e.set(i, v)
	}
	made := e.object
	for _, key := range path {
		made.place = placeOf(made.place, key)
	}
	for _, kv := range set {
		e.changed(Added, made, kv.Key, "", kv.Value)
	}
}

// editStrings edits an object of strings.
func (e *objectEdit) editStrings(m mapEdit) error {
	before, err := e.stringMap()
	if err != nil {
		return err
	}
	for i, member := range e.members {
		was := before[member.key]
		if is, ok := m.value(member.key); ok && is != was {
			e.set(i, verbatim(encode(is)))
			e.changed(Replaced, e.object, member.key, was, is)
		} else if m.removes(member.key, before) {
			e.drop(i)
			e.changed(Removed, e.object, member.key, was, "")
		}
	}
	for _, kv := range m.set {
		if _, ok := before[kv.Key]; !ok {
			e.add(kv.Key, verbatim(encode(kv.Value)))
			e.changed(Added, e.object, kv.Key, "", kv.Value)
		}
	}
	return nil
}
