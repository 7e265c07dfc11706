package lua

import (
	lua "github.com/yuin/gopher-lua"
)

// openLibrary makes the functions of gopher-lua that pass by metatables know of
// records.
func (m *machine) openLibrary() {
	m.openBase()
	m.openStrings()
	m.openOS()
	m.openBits()
	m.brakeCoroutines()
	g := m.state.G.Global
	set := func(t *lua.LTable, name string, fn lua.LGFunction) { t.RawSetString(name, m.state.NewFunction(fn)) }
	next := m.state.NewFunction(m.next)
	g.RawSetString("next", next)
	set(g, "pairs", func(l *lua.LState) int {
		t := l.CheckTable(1)
		l.Push(next)
		l.Push(t)
		l.Push(lua.LNil)
		return 3
	})
	set(g, "rawget", func(l *lua.LState) int {
		t, key := l.CheckTable(1), l.CheckAny(2)
		if r := m.recordOf(t); r != nil {
			l.Push(r.get(key))
		} else {
			l.Push(t.RawGet(key))
		}
		return 1
	})
	set(g, "rawset", func(l *lua.LState) int {
		t, key, val := l.CheckTable(1), l.CheckAny(2), l.CheckAny(3)
		if r := m.recordOf(t); r == nil || !r.set(key, val) {
			l.RawSet(m.opened(t), key, val)
		}
		l.SetTop(1)
		return 1
	})
	m.openArguments(g, "setmetatable")
	debug := m.library("debug")
	m.openArguments(debug, "setmetatable", "setfenv")
	for _, t := range []*lua.LTable{g, debug} {
		m.before(t, "getmetatable", func(l *lua.LState) { m.ownMeta(l.Get(1)) })
	}
}

// replace sets functions of a library.
func (m *machine) replace(t *lua.LTable, functions map[string]lua.LGFunction) {
	for name, fn := range functions {
		t.RawSetString(name, m.state.NewFunction(fn))
	}
}

// library returns the table of a library.
func (m *machine) library(name string) *lua.LTable {
	t, ok := m.state.G.Global.RawGetString(name).(*lua.LTable)
	if !ok {
		panic("BUG: gopher-lua has no library " + name)
	}
	return t
}

// before makes functions of a library call f first.
func (m *machine) before(t *lua.LTable, name string, f func(l *lua.LState)) {
	fn, ok := t.RawGetString(name).(*lua.LFunction)
	if !ok {
		return
	}
	inner := fn.GFunction
	fn.GFunction = func(l *lua.LState) int {
		f(l)
		return inner(l)
	}
}

// openArguments makes functions of a library get ordinary tables.
func (m *machine) openArguments(t *lua.LTable, names ...string) {
	for _, name := range names {
		m.before(t, name, func(l *lua.LState) {
			for i := range l.GetTop() {
				if t, ok := l.Get(i + 1).(*lua.LTable); ok {
					m.opened(t)
				}
			}
		})
	}
}

// ownMeta gives a table that was made from a record a metatable of its own, for
// in Fluent Bit every one has.
func (m *machine) ownMeta(v lua.LValue) {
	t, ok := v.(*lua.LTable)
	if !ok {
		return
	}
	switch m.opened(t); t.Metatable {
	case m.mapMeta:
		t.Metatable = m.newMeta(typeMap)
	case m.arrayMeta:
		t.Metatable = m.newMeta(typeArray)
	}
}

// next is the function next, and the iterator of pairs.
func (m *machine) next(l *lua.LState) int {
	t, key := l.CheckTable(1), l.Get(2)
	var k, v lua.LValue
	if r := m.recordOf(t); r != nil {
		var ok bool
		if k, v, ok = r.next(key); !ok {
			l.RaiseError("invalid key to 'next'")
		}
	} else {
		if key == lua.LNil {
			m.walks.start(t)
		}
		if k, v = t.Next(key); k != lua.LNil && m.walks.over(t, k) {
			k = lua.LNil
		}
	}
	l.Push(k)
	if k == lua.LNil {
		return 1
	}
	l.Push(v)
	return 2
}
