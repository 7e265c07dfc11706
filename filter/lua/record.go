package lua

import (
	"bytes"
	"slices"
	"unsafe"

	lua "github.com/yuin/gopher-lua"

	"github.com/kagarilog/kagari/event"
)

// record is a table that reads a msgpack map on demand. For scripts it is a
// table like any other: the metatable lazyMeta, which they never get to see,
// leads every access to a key here, for the table itself is empty; and the
// functions that pass by metatables (pairs, next, rawget and so on, see
// library.go) know of it. What cannot be done so, such as a numeric key or a
// metatable of the script's, turns it into an ordinary table for good, with its
// keys in the same order.
//
// A record does not end with its call: a script may keep it. Therefore it owns
// its bytes.
type record struct {
	// The table has to come first: a pointer to it is one to the record.
	lua.LTable

	machine *machine
	data    []byte // encoded keys and values; only ever appended to
	entries []entry
	last    int // where the iteration stands: index of the key that next gave
	bound   int // where it ends: fields that are added meanwhile are not visited
}

// entry is one field. Its encoded key is data[key:raw] and, unless it was added
// by the script, its encoded value data[raw:end].
type entry struct {
	key, raw, end uint32
	val           lua.LValue // as the script sees it, nil if it has not looked
}

// maxEntries is how many fields a record has at most. Fields are found by
// looking at one after the other, so larger maps become ordinary tables.
const maxEntries = 48

// recordOf returns the record that t is part of, or nil if it is an ordinary
// table.
func (m *machine) recordOf(t *lua.LTable) *record {
	if t.Metatable != m.lazyMeta {
		return nil
	}
	// Nothing but newRecord sets this metatable.
	return (*record)(unsafe.Pointer(t))
}

// newRecord makes a table of a map whose bytes, up to their capacity, it may
// keep. It returns nil if the map does not suit: it is large, or some keys are no strings.
func (m *machine) newRecord(v event.Value) *record {
	n, rest, err := event.ReadMapHeader(v)
	if err != nil || n > maxEntries || uint64(len(v)) > maxRecord {
		return nil
	}
	r := &record{machine: m, data: v, entries: make([]entry, 0, n+spareEntries)}
	for range n {
		e := entry{key: uint32(len(v) - len(rest))}
		k, more, err := event.Next(rest)
		if err != nil || k.Kind() != event.KindString {
			return nil
		}
		e.raw = uint32(len(v) - len(more))
		if _, rest, err = event.Next(more); err != nil {
			return nil
		}
		e.end = uint32(len(v) - len(rest))
		// Of fields with the same key the last one counts.
		if i := r.findKey(k); i >= 0 {
			r.entries[i].val = lua.LNil
		}
		r.entries = append(r.entries, e)
	}
	r.Metatable = m.lazyMeta
	return r
}

const (
	// spareEntries is the room for what scripts add.
	spareEntries = 3
	// maxRecord is the size up to which offsets fit.
	maxRecord = 1 << 31
)

// key returns a key as it came.
func (r *record) key(i int) event.Value {
	e := &r.entries[i]
	return event.Value(r.data[e.key:e.raw])
}

// raw returns a value as it came. Appending to it, as a record inside this one
// does, does not write into data.
func (r *record) raw(i int) event.Value {
	e := &r.entries[i]
	return event.Value(r.data[e.raw:e.end:e.end])
}

// name returns the text of a key.
func (r *record) name(i int) []byte {
	s, _ := r.key(i).Str()
	return s
}

// findKey returns the index of the entry with the encoded key, or -1.
func (r *record) findKey(k event.Value) int {
	for i := len(r.entries) - 1; i >= 0; i-- {
		if e := &r.entries[i]; int(e.raw-e.key) == len(k) && bytes.Equal(r.data[e.key:e.raw], k) {
			return i
		}
	}
	return -1
}

// find returns the index of the entry with the key, or -1.
func (r *record) find(name string) int {
	for i := len(r.entries) - 1; i >= 0; i-- {
		e := &r.entries[i]
		head := int(e.raw-e.key) - len(name)
		if head == headSize(r.data[e.key]) && string(r.data[int(e.key)+head:e.raw]) == name {
			return i
		}
	}
	return -1
}

// headSize returns how many bytes stand before the text of an encoded string.
func headSize(first byte) int {
	switch {
	case first&0xe0 == 0xa0:
		return 1
	case first == 0xd9:
		return 2
	case first == 0xda:
		return 3
	}
	return 5
}

// at returns the value of an entry, LNil for one that was deleted.
func (r *record) at(i int) lua.LValue {
	e := &r.entries[i]
	if e.val == nil {
		e.val = r.machine.toLua(r.raw(i))
	}
	return e.val
}

// get returns the value of a key.
func (r *record) get(key lua.LValue) lua.LValue {
	if s, ok := key.(lua.LString); ok {
		if i := r.find(string(s)); i >= 0 {
			return r.at(i)
		}
	}
	return lua.LNil
}

// set sets the value of a key and tells whether it can; if not, the record has
// to become an ordinary table first.
func (r *record) set(key, val lua.LValue) bool {
	s, ok := key.(lua.LString)
	if !ok {
		return false
	}
	if i := r.find(string(s)); i >= 0 {
		r.entries[i].val = val
		return true
	}
	if val == lua.LNil {
		return true
	}
	if len(r.entries) >= maxEntries || len(r.data)+len(s) > maxRecord {
		return false
	}
	e := entry{key: uint32(len(r.data)), val: val}
	r.data = event.AppendString(r.data, s)
	e.raw = uint32(len(r.data))
	e.end = e.raw
	r.entries = append(r.entries, e)
	return true
}

// next returns the field after the one with the key, in order, LNil at the end.
// It fails if there is no field with that key.
func (r *record) next(key lua.LValue) (k, v lua.LValue, ok bool) {
	i := 0
	if key == lua.LNil {
		r.bound = len(r.entries)
	} else {
		s, isString := key.(lua.LString)
		if !isString {
			return nil, nil, false
		}
		i = r.last
		if i >= len(r.entries) || string(r.name(i)) != string(s) {
			if i = r.find(string(s)); i < 0 {
				return nil, nil, false
			}
		}
		if i >= r.bound {
			r.bound = len(r.entries) // The script has the key from elsewhere.
		}
		i++
	}
	for ; i < r.bound; i++ {
		if v = r.at(i); v != lua.LNil {
			r.last = i
			return lua.LString(r.name(i)), v, true
		}
	}
	return lua.LNil, lua.LNil, true
}

// open makes the record an ordinary table, with the metatable of one that came
// from a map.
func (r *record) open() *lua.LTable {
	entries := slices.Clone(r.entries)
	t := &r.LTable
	*t = *r.machine.state.CreateTable(0, len(entries))
	t.Metatable = r.machine.mapMeta
	for i := range entries {
		v := r.at(i)
		if v != lua.LNil {
			t.RawSetString(string(r.name(i)), v)
			continue
		}
		// An iteration that stands here has to find its way, unless a later
		// field has the same key.
		if name := string(r.name(i)); r.find(name) == i {
			t.RawSetString(name, lua.LTrue)
			t.RawSetString(name, lua.LNil)
		}
	}
	r.data, r.entries = nil, nil
	return t
}

// opened returns t, made an ordinary table if it is a record.
func (m *machine) opened(t *lua.LTable) *lua.LTable {
	if r := m.recordOf(t); r != nil {
		return r.open()
	}
	return t
}

// field returns a field of any table without its metatable.
func (m *machine) field(t *lua.LTable, name string) lua.LValue {
	if r := m.recordOf(t); r != nil {
		return r.get(lua.LString(name))
	}
	return t.RawGetString(name)
}

// index is the metamethod __index of records.
func (m *machine) index(l *lua.LState) int {
	r := m.recordOf(l.Get(1).(*lua.LTable))
	l.Push(r.get(l.Get(2)))
	return 1
}

// newIndex is the metamethod __newindex of records.
func (m *machine) newIndex(l *lua.LState) int {
	r := m.recordOf(l.Get(1).(*lua.LTable))
	key, val := l.Get(2), l.Get(3)
	if !r.set(key, val) {
		l.RawSet(r.open(), key, val)
	}
	return 0
}
