package lua

import (
	"math"

	lua "github.com/yuin/gopher-lua"

	"github.com/kagarilog/kagari/event"
)

// Values go to the script as in Fluent Bit (src/flb_lua.c):
//
//	nil                the global flb_null, which is nil unless enabled
//	boolean            boolean
//	integer, float     number
//	str, bin, ext      string
//	array              table with the metatable {type = 1}
//	map                table with the metatable {type = 2}

// nullName is the global variable that nulls are converted to.
const nullName = "flb_null"

// typeField of a table's metatable says what the table becomes.
const (
	typeField = "type"
	typeArray = 1
	typeMap   = 2
)

// toLua converts v, whose bytes the result may keep.
func (m *machine) toLua(v event.Value) lua.LValue {
	switch v.Kind() {
	case event.KindBool:
		b, _ := v.Bool()
		return lua.LBool(b)
	case event.KindInt, event.KindUint, event.KindFloat:
		f, _ := v.Float()
		return lua.LNumber(f)
	case event.KindString, event.KindBinary:
		// A copy: a script that keeps one field must not keep them all.
		s, _ := v.Str()
		return lua.LString(s)
	case event.KindExt:
		_, data, _ := v.Ext()
		return lua.LString(data)
	case event.KindArray:
		t := m.state.CreateTable(min(v.Len(), len(v)), 0)
		i := 0
		for item := range v.Items() {
			i++
			t.RawSetInt(i, m.toLua(item))
		}
		t.Metatable = m.arrayMeta
		return t
	case event.KindMap:
		if r := m.newRecord(v); r != nil {
			return &r.LTable
		}
		t := m.state.CreateTable(0, min(v.Len(), len(v)))
		for key, val := range v.Pairs() {
			k := m.toLua(key)
			if n, ok := k.(lua.LNumber); ok && math.IsNaN(float64(n)) || k == lua.LNil {
				continue // Fluent Bit ends the process here.
			}
			t.RawSet(k, m.toLua(val))
		}
		t.Metatable = m.mapMeta
		return t
	default:
		return m.nullValue()
	}
}

// nullValue is what nulls are for the script at this moment.
func (m *machine) nullValue() lua.LValue { return m.state.G.Global.RawGetString(nullName) }
