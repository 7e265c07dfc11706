package lua

import (
	"errors"
	"fmt"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/kagarilog/kagari/event"
)

// Values come back from the script as in Fluent Bit (src/flb_lua.c):
//
//	nil, flb_null    nil
//	boolean          boolean
//	number           integer if it is whole and fits 64 bits, else float64
//	string           str
//	table            what its metatable's type says; else an array if it has
//	                 a number above 0 as key, else a map
//
// Three things differ. An integer that the script has not changed keeps all its
// digits, where Fluent Bit rounds it to a float64. Functions and other values
// that msgpack does not know are left out with their keys; Fluent Bit writes a
// broken record. A table that is nested too deeply, or in itself, is an error;
// Fluent Bit crashes.

var errDepth = errors.New("a table is nested too deeply, perhaps in itself")

// types is the options type_int_key and type_array_key.
type types struct{ ints, arrays []string }

// maxTypes is how many keys Fluent Bit splits off; the rest is one more key.
const maxTypes = 16

func parseTypes(ints, arrays string) *types {
	split := func(s string) []string {
		words := strings.FieldsFunc(s, func(c rune) bool { return c == ' ' })
		if len(words) > maxTypes {
			words = append(words[:maxTypes:maxTypes], strings.Join(words[maxTypes:], " "))
		}
		return words
	}
	t := &types{split(ints), split(arrays)}
	if len(t.ints)+len(t.arrays) == 0 {
		return nil
	}
	return t
}

// has tells whether a key is meant. Fluent Bit compares as many bytes as the
// key has, so beginnings of the configured keys are meant as well.
func has(keys []string, name []byte) bool {
	for _, k := range keys {
		if strings.HasPrefix(k, string(name)) {
			return true
		}
	}
	return false
}

// appendValue appends v to dst. dst must not be used after an error.
func (m *machine) appendValue(dst []byte, v lua.LValue, depth int) ([]byte, error) {
	switch v := v.(type) {
	case lua.LString:
		return event.AppendString(dst, v), nil
	case lua.LNumber:
		return appendNumber(dst, float64(v)), nil
	case lua.LBool:
		return event.AppendBool(dst, bool(v)), nil
	case *lua.LNilType:
		return event.AppendNil(dst), nil
	case *lua.LTable:
		if depth >= event.MaxDepth {
			return dst, errDepth
		}
		if r := m.recordOf(v); r != nil {
			return m.appendRecord(dst, r, depth)
		}
		return m.appendTable(dst, v, depth)
	}
	if v == m.null {
		return event.AppendNil(dst), nil
	}
	m.warnType(v)
	return event.AppendNil(dst), nil
}

// packs tells whether msgpack has a type for v.
func (m *machine) packs(v lua.LValue) bool {
	switch v.Type() {
	case lua.LTFunction, lua.LTThread, lua.LTChannel:
		return false
	case lua.LTUserData:
		return v == m.null
	}
	return true
}

func (m *machine) warnType(v lua.LValue) {
	m.leftOut.Add(1)
	m.log.Warn("the script put a value into a record that cannot be there, and it is left out", "type", v.Type().String())
}

func appendNumber(dst []byte, f float64) []byte {
	if i, ok := whole(f); ok {
		return event.AppendInt(dst, i)
	}
	return event.AppendFloat(dst, f)
}

// whole tells whether f is an integer that fits.
func whole(f float64) (int64, bool) {
	if !(f >= math.MinInt64 && f < -math.MinInt64) {
		return 0, false
	}
	return int64(f), float64(int64(f)) == f
}

// truncate is the conversion to an integer of C on amd64.
func truncate(f float64) int64 {
	if !(f >= math.MinInt64 && f < -math.MinInt64) {
		return math.MinInt64
	}
	return int64(f)
}

// toInteger is lua_tointeger.
func toInteger(v lua.LValue) int64 { return truncate(float64(lua.LVAsNumber(v))) }

// mapWriter writes a map whose size is not known before its end.
type mapWriter struct{ start, n int }

func startMap(dst []byte) ([]byte, mapWriter) {
	return append(dst, 0x80), mapWriter{start: len(dst)}
}

// end puts the header in its place.
func (w mapWriter) end(dst []byte) []byte {
	if w.n < 16 {
		dst[w.start] = 0x80 | byte(w.n)
		return dst
	}
	var room [5]byte
	header := event.AppendMapHeader(room[:0], w.n)
	dst = append(dst, header[1:]...)
	copy(dst[w.start+len(header):], dst[w.start+1:])
	copy(dst[w.start:], header)
	return dst
}

// appendRecord appends a record: fields that the script has not looked at as
// they came, in the order in which they came, and then those that it added.
func (m *machine) appendRecord(dst []byte, r *record, depth int) ([]byte, error) {
	dst, w := startMap(dst)
	null := m.nullValue()
	var err error
	for i := range r.entries {
		e := &r.entries[i]
		if e.val == nil {
			if r.raw(i).IsNil() && null == lua.LNil {
				continue
			}
			dst = append(dst, r.data[e.key:e.raw]...)
			dst, err = m.appendRaw(dst, r.name(i), r.raw(i), depth+1)
		} else {
			if e.val == lua.LNil {
				continue
			}
			if !m.packs(e.val) {
				m.warnType(e.val)
				continue
			}
			dst = append(dst, r.data[e.key:e.raw]...)
			if e.raw < e.end && sameInteger(r.raw(i), e.val) && m.types == nil {
				dst = append(dst, r.data[e.raw:e.end]...)
			} else {
				dst, err = m.appendField(dst, r.name(i), e.val, depth+1)
			}
		}
		if err != nil {
			return dst, err
		}
		w.n++
	}
	return w.end(dst), nil
}

// sameInteger tells whether val is what the integer raw was converted to.
func sameInteger(raw event.Value, val lua.LValue) bool {
	n, ok := val.(lua.LNumber)
	if !ok {
		return false
	}
	if k := raw.Kind(); k != event.KindInt && k != event.KindUint {
		return false
	}
	f, _ := raw.Float()
	return f == float64(n)
}

// appendField appends the value of a map's field with that name, of the type
// that the options ask for.
func (m *machine) appendField(dst, name []byte, v lua.LValue, depth int) ([]byte, error) {
	if m.types != nil {
		switch v := v.(type) {
		case lua.LNumber:
			if has(m.types.ints, name) {
				return event.AppendInt(dst, truncate(float64(v))), nil
			}
		case *lua.LTable:
			if has(m.types.arrays, name) {
				if depth >= event.MaxDepth {
					return dst, errDepth
				}
				return m.appendArray(dst, v, arrayLen(v), depth)
			}
		}
	}
	return m.appendValue(dst, v, depth)
}

// appendTable appends an ordinary table.
func (m *machine) appendTable(dst []byte, t *lua.LTable, depth int) ([]byte, error) {
	switch metaType(t) {
	case typeArray:
		return m.appendArray(dst, t, arrayLen(t), depth)
	case noType:
		if n := arrayKeys(t); n > 0 {
			return m.appendArray(dst, t, n, depth)
		}
	}
	dst, w := startMap(dst)
	var err error
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		name, isString := k.(lua.LString)
		_, isTable := k.(*lua.LTable)
		if !m.packs(k) || isTable {
			m.warnType(k)
			continue
		}
		if !m.packs(v) {
			m.warnType(v)
			continue
		}
		if dst, err = m.appendValue(dst, k, depth+1); err != nil {
			return dst, err
		}
		if isString && m.types != nil {
			dst, err = m.appendField(dst, []byte(name), v, depth+1)
		} else {
			dst, err = m.appendValue(dst, v, depth+1)
		}
		if err != nil {
			return dst, err
		}
		w.n++
	}
	return w.end(dst), nil
}

// noType is the type of a table whose metatable says nothing.
const noType = -1

// metaType returns the type in the metatable of t.
func metaType(t *lua.LTable) int {
	mt, ok := t.Metatable.(*lua.LTable)
	if !ok {
		return noType
	}
	n, ok := mt.RawGetString(typeField).(lua.LNumber)
	if !ok || n <= -1 {
		return noType
	}
	return int(truncate(float64(n)))
}

// arrayLen is the length operator.
func arrayLen(t *lua.LTable) int { return t.Len() }

// arrayKeys returns the length of the array that a table without a type is, or
// 0 if it is none: the largest key if it is a whole number. A fraction counts
// only if all keys, without their fractions, make up an array.
func arrayKeys(t *lua.LTable) int {
	largest, count, top, mixed := 0.0, 0, int64(0), false
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		n, ok := k.(lua.LNumber)
		if !ok || truncate(float64(n)) <= 0 {
			mixed = true
		} else {
			count++
			top = max(top, truncate(float64(n)))
		}
		if ok {
			largest = max(largest, float64(n))
		}
	}
	if n, ok := whole(largest); ok && n <= math.MaxInt32 {
		return int(n)
	}
	if !mixed && top == int64(count) {
		return count
	}
	return 0
}

// maxHoles is how many elements that do not exist an array may have. Fluent Bit
// has no limit, and writes gigabytes of nil for {[2^30] = 1}.
const maxHoles = 1 << 16

// appendArray appends the first n elements of t.
func (m *machine) appendArray(dst []byte, t *lua.LTable, n, depth int) ([]byte, error) {
	dst = event.AppendArrayHeader(dst, n)
	holes := 0
	var err error
	for i := 1; i <= n; i++ {
		v := t.RawGet(lua.LNumber(i))
		if v == lua.LNil {
			if holes++; holes > maxHoles {
				return dst, fmt.Errorf("an array of %d elements has too many holes", n)
			}
		}
		if dst, err = m.appendValue(dst, v, depth+1); err != nil {
			return dst, err
		}
	}
	return dst, nil
}
