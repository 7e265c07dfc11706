package lua

import (
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// tableLayout is the memory of a lua.LTable of gopher-lua v1.1.2; a test compares
// them. It is needed because gopher-lua never forgets a key: a script that
// remembers what it has seen and deletes it later would grow for ever.
type tableLayout struct {
	metatable lua.LValue

	array   []lua.LValue
	dict    map[lua.LValue]lua.LValue
	strdict map[string]lua.LValue
	keys    []lua.LValue       // all keys ever set outside of array, in order
	k2i     map[lua.LValue]int // their indexes
}

func layout(t *lua.LTable) *tableLayout { return (*tableLayout)(unsafe.Pointer(t)) }

// slots is how many places an iteration has to look at.
func (t *tableLayout) slots() int { return len(t.array) + len(t.keys) }

// slot returns the place of a key, counted from 1.
func (t *tableLayout) slot(k lua.LValue) int {
	if n, ok := k.(lua.LNumber); ok {
		if i := int(n); i >= 1 && i <= len(t.array) && lua.LNumber(i) == n {
			return i
		}
	}
	return len(t.array) + t.k2i[k] + 1
}

// compact forgets deleted keys if there are many.
func (t *tableLayout) compact() {
	live := len(t.dict) + len(t.strdict)
	if len(t.keys) <= 2*live+64 {
		return
	}
	keys := make([]lua.LValue, 0, live)
	k2i := make(map[lua.LValue]int, live)
	for _, k := range t.keys {
		ok := false
		if s, isString := k.(lua.LString); isString {
			_, ok = t.strdict[string(s)]
		} else {
			_, ok = t.dict[k]
		}
		if ok {
			k2i[k] = len(keys)
			keys = append(keys, k)
		}
	}
	t.keys, t.k2i = keys, k2i
}

// walks remembers where the latest iterations end. gopher-lua also visits keys
// that are added during an iteration, so that one which adds would never end.
type walks struct {
	running [8]walk
	next    int
}

type walk struct {
	table *lua.LTable
	slots int
}

// start notes that an iteration over t starts.
func (w *walks) start(t *lua.LTable) {
	for i := range w.running {
		if w.running[i].table == t {
			w.running[i].slots = layout(t).slots()
			return
		}
	}
	w.running[w.next] = walk{t, layout(t).slots()}
	w.next = (w.next + 1) % len(w.running)
}

// over tells whether key k of t was added after the iteration over t started.
func (w *walks) over(t *lua.LTable, k lua.LValue) bool {
	for i := range w.running {
		if r := &w.running[i]; r.table == t {
			l := layout(t)
			return l.slots() > r.slots && l.slot(k) > r.slots
		}
	}
	return false
}

// clear lets go of the tables.
func (w *walks) clear() { *w = walks{} }

// sweepEvery is how many records there are at least between two sweeps.
const sweepEvery = 20_000

// sweep compacts the tables that the script keeps, when it is time. The time
// until the next one grows with their size, so that it costs next to nothing
// for a record.
func (m *machine) sweep(records int) {
	if m.untilSweep -= records; m.untilSweep > 0 {
		return
	}
	seen := map[lua.LValue]bool{}
	queue := []lua.LValue{m.state.G.Global, m.state.G.Registry}
	visited := 0
	for len(queue) > 0 {
		v := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if seen[v] {
			continue
		}
		seen[v] = true
		switch v := v.(type) {
		case *lua.LFunction:
			for _, u := range v.Upvalues {
				queue = appendTraced(queue, u.Value())
			}
		case *lua.LTable:
			if r := m.recordOf(v); r != nil {
				for i := range r.entries {
					queue = appendTraced(queue, r.entries[i].val)
				}
				continue
			}
			t := layout(v)
			t.compact()
			visited += t.slots()
			queue = appendTraced(queue, t.metatable)
			for _, e := range t.array {
				queue = appendTraced(queue, e)
			}
			for _, e := range t.strdict {
				queue = appendTraced(queue, e)
			}
			for k, e := range t.dict {
				queue = appendTraced(appendTraced(queue, k), e)
			}
		}
	}
	m.untilSweep = max(sweepEvery, 4*visited)
}

// appendTraced appends what may hold tables.
func appendTraced(queue []lua.LValue, v lua.LValue) []lua.LValue {
	switch v.(type) {
	case *lua.LTable, *lua.LFunction:
		return append(queue, v)
	}
	return queue
}
