package stream

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"unsafe"

	"github.com/kagarilog/kagari/event"
)

// valKind is the kind of a val.
type valKind uint8

const (
	missing valKind = iota // no value at all
	null
	boolean
	integer
	floating
	narrow // a float that is written with 32 bits
	text
	mapping // s is the msgpack
	other   // an array, binary or extension value; s is the msgpack
)

// val is a value while it is worked on. A boolean is 0 or 1 in n. s aliases the
// record, the statement or the row's buffer.
type val struct {
	k valKind
	n int64
	f float64
	s []byte
}

func boolVal(b bool) val {
	if b {
		return val{k: boolean, n: 1}
	}
	return val{k: boolean}
}

// decode reads a msgpack value.
func decode(v event.Value) val {
	switch v.Kind() {
	case event.KindInvalid:
		return val{}
	case event.KindNil:
		return val{k: null}
	case event.KindBool:
		b, _ := v.Bool()
		return boolVal(b)
	case event.KindInt:
		n, _ := v.Int()
		return val{k: integer, n: n}
	case event.KindUint, event.KindFloat:
		f, _ := v.Float()
		return val{k: floating, f: f}
	case event.KindString:
		s, _ := v.Str()
		return val{k: text, s: s}
	case event.KindMap:
		return val{k: mapping, s: v}
	}
	return val{k: other, s: v}
}

// append appends the value as msgpack; a missing one as nil.
func (v val) append(dst []byte) []byte {
	switch v.k {
	case boolean:
		return event.AppendBool(dst, v.n != 0)
	case integer:
		return event.AppendInt(dst, v.n)
	case floating:
		return event.AppendFloat(dst, v.f)
	case narrow:
		return appendFloat32(dst, v.f)
	case text:
		return event.AppendString(dst, v.s)
	case mapping, other:
		return append(dst, v.s...)
	}
	return event.AppendNil(dst)
}

// appendText appends the value as text: nothing for a missing value and null,
// JSON for maps and arrays.
func (v val) appendText(dst []byte) []byte {
	switch v.k {
	case boolean:
		return strconv.AppendBool(dst, v.n != 0)
	case integer:
		return strconv.AppendInt(dst, v.n, 10)
	case floating, narrow:
		if v.f == math.Trunc(v.f) && math.Abs(v.f) < 1e15 {
			return strconv.AppendFloat(dst, v.f, 'f', 1, 64)
		}
		return strconv.AppendFloat(dst, v.f, 'g', -1, 64)
	case text:
		return append(dst, v.s...)
	case mapping, other:
		return event.AppendValueJSON(dst, event.Value(v.s), event.JSONOptions{})
	}
	return dst
}

// truthy tells what a value means as a condition: numbers above zero and all
// texts are true.
func (v val) truthy() bool {
	switch v.k {
	case boolean:
		return v.n != 0
	case integer:
		return v.n > 0
	case floating, narrow:
		return v.f > 0
	case text, mapping, other:
		return true
	}
	return false
}

// float returns a number as a float.
func (v val) float() float64 {
	if v.k == integer {
		return float64(v.n)
	}
	return v.f
}

func (v val) numeric() bool { return v.k == integer || v.k == floating || v.k == narrow }

// textToNumber reads the number that a text begins with, as C's strtoll and
// strtold do: a text with one dot is a float, with more it is none.
func textToNumber(s []byte) (val, bool) {
	dots := bytes.Count(s, []byte("."))
	if dots > 1 {
		return val{}, false
	}
	t := bytes.TrimLeft(s, " \t\n\v\f\r")
	i := 0
	if i < len(t) && (t[i] == '-' || t[i] == '+') {
		i++
	}
	from := i
	for i < len(t) && isDigit(t[i]) {
		i++
	}
	if dots == 0 {
		if i == from {
			return val{}, false
		}
		n, ok := parseInt(t[from:i], t[0] == '-')
		return val{k: integer, n: n}, ok
	}
	digits := i - from
	if i < len(t) && t[i] == '.' {
		i++
		for i < len(t) && isDigit(t[i]) {
			i++
			digits++
		}
	}
	if digits == 0 {
		return val{}, false
	}
	i += exponentC(t[i:])
	// ParseFloat keeps nothing of the text but in errors, which are dropped here.
	f, err := strconv.ParseFloat(unsafe.String(&t[0], i), 64)
	return val{k: floating, f: f}, err == nil
}

// parseInt reads digits; false if they do not fit.
func parseInt(digits []byte, negative bool) (int64, bool) {
	var n uint64
	for _, c := range digits {
		if n > (math.MaxUint64-9)/10 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	if negative {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}

// exponentC is the length of the exponent that s begins with; more text may
// follow.
func exponentC(s []byte) int {
	if len(s) == 0 || s[0]|0x20 != 'e' {
		return 0
	}
	i := 1
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	from := i
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == from {
		return 0
	}
	return i
}

// compare tells the order of two values. ok is false if they have none: one is
// missing, they are of different kinds, or not of an ordered one. A text that
// looks like a number is compared with a number as one, but only on the left
// side, as in Fluent Bit; a map counts as true.
//
// Unless it is to be exact, texts are compared as Fluent Bit does it, over the
// length of the left one.
func compare(l, r val, exact bool) (order int, ok bool) {
	if l.k == missing || r.k == missing {
		return 0, false
	}
	if l.k != r.k {
		if l.k == text {
			if n, isNumber := textToNumber(l.s); isNumber {
				l = n
			}
		}
		if l.k == mapping {
			l = val{k: boolean, n: 1}
		}
		if l.k != r.k {
			if !l.numeric() || !r.numeric() {
				return 0, false
			}
			return orderFloats(l.float(), r.float())
		}
	}
	switch l.k {
	case null:
		return 0, true
	case boolean:
		return orderInts(l.n, r.n), true
	case integer:
		return orderInts(l.n, r.n), true
	case floating, narrow:
		return orderFloats(l.f, r.f)
	case text:
		if !exact {
			r.s = r.s[:min(len(r.s), len(l.s))]
		}
		return bytes.Compare(l.s, r.s), true
	case mapping:
		return 0, true
	}
	return 0, false
}

func orderInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func orderFloats(a, b float64) (int, bool) {
	switch {
	case a < b:
		return -1, true
	case a > b:
		return 1, true
	}
	return 0, a == b
}

// equal tells whether two values are the same under SQL's =.
func equal(l, r val) bool {
	if l.k == text && r.k == text {
		return bytes.Equal(l.s, r.s)
	}
	if l.k == mapping && r.k == mapping || l.k == other && r.k == other {
		return bytes.Equal(l.s, r.s)
	}
	order, ok := compare(l, r, true)
	return ok && order == 0
}

// ordered tells whether <, <=, > or >= holds. Only numbers and texts are ordered.
func ordered(op string, l, r val, exact bool) bool {
	order, ok := compare(l, r, exact)
	if !ok || l.k < integer || r.k < integer {
		return false
	}
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// appendFloat32 appends a float of 32 bits, which is what Fluent Bit's
// aggregates are.
func appendFloat32(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0xca), math.Float32bits(float32(f)))
}
