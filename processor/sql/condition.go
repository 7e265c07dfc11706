package sql

import (
	"bytes"
	"cmp"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/cnum"
)

type operator uint8

const (
	opKey   operator = iota // the value of the key is true
	opValue                 // the literal is true
	opNot
	opAnd
	opOr
	opEq
	opNeq
	opLt
	opLte
	opGt
	opGte
)

// condition is a node of what stands behind WHERE.
type condition struct {
	op          operator
	left, right *condition // of opNot, opAnd and opOr
	key         string     // what comparisons and opKey look at
	value       value      // what comparisons compare with, or of opValue
}

func (c *condition) holds(e *event.Event) bool {
	switch c.op {
	case opKey:
		v, ok := lookup(e, c.key)
		return ok && v.truth()
	case opValue:
		return c.value.truth()
	case opNot:
		return !c.left.holds(e)
	case opAnd:
		return c.left.holds(e) && c.right.holds(e)
	case opOr:
		return c.left.holds(e) || c.right.holds(e)
	}
	v, ok := lookup(e, c.key)
	switch c.op {
	case opEq:
		return ok && v.equals(c.value)
	case opNeq:
		return !(ok && v.equals(c.value))
	}
	order, ok := v.compare(c.value, ok)
	switch c.op {
	case opLt:
		return ok && order < 0
	case opLte:
		return ok && order <= 0
	case opGt:
		return ok && order > 0
	default:
		return ok && order >= 0
	}
}

type valueKind uint8

const (
	isNull valueKind = iota
	isBool
	isInt
	isFloat
	isString
)

// value is a literal or the value of a key.
type value struct {
	kind valueKind
	b    bool
	i    int64
	f    float64
	s    []byte
}

// lookup returns the value of a top-level key. One that is missing, a map, an
// array or binary is none, and no comparison with it holds.
func lookup(e *event.Event, key string) (v value, ok bool) {
	got, ok := e.Get(key)
	if !ok {
		return v, false
	}
	switch got.Kind() {
	case event.KindNil:
	case event.KindBool:
		v.kind = isBool
		v.b, _ = got.Bool()
	case event.KindInt:
		v.kind = isInt
		v.i, _ = got.Int()
	case event.KindUint, event.KindFloat:
		v.kind = isFloat
		v.f, _ = got.Float()
	case event.KindString:
		v.kind = isString
		v.s, _ = got.Str()
	default:
		return v, false
	}
	return v, true
}

// truth takes numbers above 0 and any text for true.
func (v value) truth() bool {
	switch v.kind {
	case isBool:
		return v.b
	case isInt:
		return v.i > 0
	case isFloat:
		return v.f > 0
	case isString:
		return true
	}
	return false
}

// alike converts text that is compared with a number to one, and an integer
// that is compared with a float.
func alike(v, other value) (value, value) {
	if v.kind == isString && other.kind != isString {
		v = v.number()
	}
	switch {
	case v.kind == isInt && other.kind == isFloat:
		v.kind, v.f = isFloat, float64(v.i)
	case v.kind == isFloat && other.kind == isInt:
		other.kind, other.f = isFloat, float64(other.i)
	}
	return v, other
}

// number returns the number that text begins with: a float if there is one dot
// in the text. Text without a number, or with more dots, stays.
func (v value) number() value {
	switch bytes.Count(v.s, []byte(".")) {
	case 0:
		if i, n, fits := cnum.Int(v.s); n > 0 && fits {
			return value{kind: isInt, i: i}
		}
	case 1:
		if f, n := cnum.Float(v.s); n > 0 {
			return value{kind: isFloat, f: f}
		}
	}
	return v
}

func (v value) equals(other value) bool {
	v, other = alike(v, other)
	if v.kind != other.kind {
		return false
	}
	switch v.kind {
	case isNull:
		return true
	case isBool:
		return v.b == other.b
	}
	order, ok := v.compare(other, true)
	return ok && order == 0
}

// compare orders numbers and texts; false for anything else and if v is none.
func (v value) compare(other value, ok bool) (int, bool) {
	v, other = alike(v, other)
	if !ok || v.kind != other.kind {
		return 0, false
	}
	switch v.kind {
	case isInt:
		return cmp.Compare(v.i, other.i), true
	case isFloat:
		return cmp.Compare(v.f, other.f), v.f == v.f // not NaN
	case isString:
		return bytes.Compare(v.s, other.s), true
	}
	return 0, false
}
