package lua

import (
	"bytes"

	lua "github.com/yuin/gopher-lua"

	"github.com/kagarilog/kagari/event"
)

// appendRaw appends the value of a map's field that the script has not looked
// at, as if it had gone to the script and back. name is the field's, if it can
// be meant by the options for types.
func (m *machine) appendRaw(dst, name []byte, raw event.Value, depth int) ([]byte, error) {
	if m.types != nil {
		switch raw.Kind() {
		case event.KindFloat:
			if f, _ := raw.Float(); has(m.types.ints, name) {
				return event.AppendInt(dst, truncate(f)), nil
			}
		case event.KindMap:
			if has(m.types.arrays, name) {
				return m.appendField(dst, name, m.toLua(raw), depth)
			}
		}
	}
	return m.appendElement(dst, raw, depth)
}

// appendElement is appendRaw for what has no name.
func (m *machine) appendElement(dst []byte, raw event.Value, depth int) ([]byte, error) {
	switch raw.Kind() {
	case event.KindFloat:
		f, _ := raw.Float()
		return appendNumber(dst, f), nil
	case event.KindBinary:
		s, _ := raw.Str()
		return event.AppendString(dst, s), nil
	case event.KindExt:
		_, data, _ := raw.Ext()
		return event.AppendString(dst, data), nil
	case event.KindNil:
		return m.appendValue(dst, m.nullValue(), depth)
	case event.KindArray:
		return m.appendRawArray(dst, raw, depth)
	case event.KindMap:
		return m.appendRawMap(dst, raw, depth)
	default:
		return append(dst, raw...), nil
	}
}

func (m *machine) appendRawArray(dst []byte, raw event.Value, depth int) ([]byte, error) {
	if depth >= event.MaxDepth {
		return dst, errDepth
	}
	n := raw.Len()
	if m.nullValue() == lua.LNil {
		n = lengthOf(raw)
	}
	dst = event.AppendArrayHeader(dst, n)
	var err error
	for item := range raw.Items() {
		if n--; n < 0 {
			break
		}
		if dst, err = m.appendElement(dst, item, depth+1); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// lengthOf is the length that LuaJIT finds of a table made from an array: nulls
// are no elements for it, so it ends before one if the last element is null. It
// searches for the end by halves (lj_tab_len in LuaJIT's lj_tab.c).
func lengthOf(raw event.Value) int {
	n, rest, _ := event.ReadArrayHeader(raw)
	if n == 0 || len(rest) == 0 || rest[len(rest)-1] != 0xc0 {
		return n // The last byte is the last element if that is null.
	}
	null := make([]bool, 0, min(n, len(rest)))
	for item := range raw.Items() {
		null = append(null, item.IsNil())
	}
	if !null[n-1] {
		return n
	}
	low, high := 0, n // Element number low is there, or low is 0; number high is null.
	for high-low > 1 {
		if middle := (low + high) / 2; null[middle-1] {
			high = middle
		} else {
			low = middle
		}
	}
	return low
}

func (m *machine) appendRawMap(dst []byte, raw event.Value, depth int) ([]byte, error) {
	if depth >= event.MaxDepth {
		return dst, errDepth
	}
	if !simpleKeys(raw) {
		return m.appendValue(dst, m.toLua(raw), depth)
	}
	dst, w := startMap(dst)
	drop := m.nullValue() == lua.LNil
	var err error
	for key, val := range raw.Pairs() {
		if drop && val.IsNil() {
			continue
		}
		dst = append(dst, key...)
		name, _ := key.Str()
		if dst, err = m.appendRaw(dst, name, val, depth+1); err != nil {
			return dst, err
		}
		w.n++
	}
	return w.end(dst), nil
}

// simpleKeys tells whether the keys of a map are different strings.
func simpleKeys(raw event.Value) bool {
	if raw.Len() > maxEntries {
		return false
	}
	var room [maxEntries]event.Value
	keys := room[:0]
	for key := range raw.Pairs() {
		if key.Kind() != event.KindString {
			return false
		}
		for _, k := range keys {
			if len(k) == len(key) && bytes.Equal(k, key) {
				return false
			}
		}
		keys = append(keys, key)
	}
	return true
}
