package event

import (
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"math"
)

// MaxDepth is how deeply arrays and maps may be nested in a value that [Next]
// accepts. Everything that walks a value may recurse up to this depth.
const MaxDepth = 256

// ErrMalformed is returned for bytes that no msgpack encoder writes.
var ErrMalformed = errors.New("malformed msgpack")

// ErrDepth is returned for a value that is nested deeper than [MaxDepth].
var ErrDepth = errors.New("value is nested too deeply")

// Value is one complete msgpack-encoded value (https://github.com/msgpack/msgpack/blob/master/spec.md).
//
// A Value aliases the bytes it was cut from and is read-only. [Next] is what
// makes one out of foreign bytes; the methods never panic and never read past
// the end, whatever the bytes are, but say something useful only of a complete
// value. The nil Value is of [KindInvalid].
type Value []byte

// Kind is the type of a [Value].
type Kind uint8

// The kinds of values.
const (
	KindInvalid Kind = iota // No value at all, or malformed.
	KindNil
	KindBool
	KindInt    // An integer that fits an int64, however it is encoded.
	KindUint   // An integer above [math.MaxInt64].
	KindFloat  // float32 or float64.
	KindString // Text; nothing promises that it is UTF-8.
	KindBinary
	KindArray
	KindMap
	KindExt
)

var kindNames = [...]string{"invalid", "nil", "bool", "int", "uint", "float", "string", "binary", "array", "map", "ext"}

// String returns the lower-case name of the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

// lead describes what a first byte says of its value.
type lead struct {
	size byte // The whole size when the first byte alone tells it, else 0.
	kind Kind
	// For the others, how many bytes hold the length, and what one unit of
	// length is: one payload byte, or one or two values.
	width byte
	unit  byte
}

// Units of a length field.
const (
	unitByte  = 0
	unitValue = 1
	unitPair  = 2
)

// leads is indexed by the first byte of a value.
var leads = func() (t [256]lead) {
	fill := func(from, to int, l lead) {
		for i := from; i <= to; i++ {
			t[i] = l
		}
	}
	fill(0x00, 0x7f, lead{size: 1, kind: KindInt})
	fill(0x80, 0x8f, lead{kind: KindMap, unit: unitPair})
	t[0x80].size = 1
	fill(0x90, 0x9f, lead{kind: KindArray, unit: unitValue})
	t[0x90].size = 1
	for i := range 32 {
		t[0xa0+i] = lead{size: byte(1 + i), kind: KindString}
	}
	t[0xc0] = lead{size: 1, kind: KindNil}
	t[0xc2] = lead{size: 1, kind: KindBool}
	t[0xc3] = lead{size: 1, kind: KindBool}
	for i := range 3 {
		t[0xc4+i] = lead{kind: KindBinary, width: 1 << i}
		t[0xc7+i] = lead{kind: KindExt, width: 1 << i}
		t[0xd9+i] = lead{kind: KindString, width: 1 << i}
	}
	t[0xca] = lead{size: 5, kind: KindFloat}
	t[0xcb] = lead{size: 9, kind: KindFloat}
	for i := range 4 {
		t[0xcc+i] = lead{size: byte(1 + 1<<i), kind: KindInt}
		t[0xd0+i] = lead{size: byte(1 + 1<<i), kind: KindInt}
	}
	for i := range 5 {
		t[0xd4+i] = lead{size: byte(2 + 1<<i), kind: KindExt}
	}
	t[0xdc] = lead{kind: KindArray, width: 2, unit: unitValue}
	t[0xdd] = lead{kind: KindArray, width: 4, unit: unitValue}
	t[0xde] = lead{kind: KindMap, width: 2, unit: unitPair}
	t[0xdf] = lead{kind: KindMap, width: 4, unit: unitPair}
	fill(0xe0, 0xff, lead{size: 1, kind: KindInt})
	return t
}()

// Next splits the first value off b after checking that it is complete down to
// its innermost element. v aliases b. It reads nothing behind the value,
// allocates nothing, and takes time in proportion to the bytes present, never
// to the lengths they claim.
//
// The error is [io.ErrUnexpectedEOF] when b, or the value in it, ends too
// early and more bytes could complete it, [ErrMalformed] or [ErrDepth].
// Then v is nil and rest is b.
func Next(b []byte) (v Value, rest []byte, err error) {
	end, err := skip(b, 0, 1, 0)
	if err != nil {
		return nil, b, err
	}
	return Value(b[:end:end]), b[end:], nil
}

// behind returns the offset behind the value at offset i of b, or one beyond the
// end of b if there is none.
func behind(b []byte, i int) int {
	if i < len(b) && b[i]&0xe0 == 0xa0 { // Most values are short strings.
		return i + 1 + int(b[i]&0x1f)
	}
	return behindOther(b, i)
}

func behindOther(b []byte, i int) int {
	if i >= len(b) {
		return len(b) + 1
	}
	end, err := skip(b, i, 1, 0)
	if err != nil {
		return len(b) + 1
	}
	return end
}

// skip returns the offset behind n values that start at offset i of b.
func skip(b []byte, i int, n uint64, depth int) (int, error) {
	for ; n > 0; n-- {
		if i >= len(b) {
			return i, io.ErrUnexpectedEOF
		}
		c := b[i]
		if c&0xe0 == 0xa0 {
			// Most values are short strings. Knowing where the next value starts
			// without waiting for the table saves a sixth of the time.
			i += 1 + int(c&0x1f)
			continue
		}
		if c == 0xd9 && i+1 < len(b) { // Strings up to 255 bytes come next.
			i += 2 + int(b[i+1])
			continue
		}
		l := &leads[c]
		if l.size != 0 {
			// May step over the end of b: seen by the next turn, or behind the loop.
			i += int(l.size)
			continue
		}
		count := uint64(c & 0x0f)
		i++
		if l.width != 0 {
			if len(b)-i < int(l.width) {
				return i, io.ErrUnexpectedEOF
			}
			switch l.width {
			case 1:
				count = uint64(b[i])
			case 2:
				count = uint64(binary.BigEndian.Uint16(b[i:]))
			default:
				count = uint64(binary.BigEndian.Uint32(b[i:]))
			}
			i += int(l.width)
		}
		switch l.kind {
		case KindArray, KindMap:
			if depth == MaxDepth {
				return i, ErrDepth
			}
			var err error
			if i, err = skip(b, i, count*uint64(l.unit), depth+1); err != nil {
				return i, err
			}
			continue
		case KindExt:
			count++ // The type byte.
		case KindInvalid:
			return i, ErrMalformed
		}
		if count > uint64(len(b)-i) {
			return i, io.ErrUnexpectedEOF
		}
		i += int(count)
	}
	if i > len(b) {
		return i, io.ErrUnexpectedEOF
	}
	return i, nil
}

// ReadMapHeader splits the header of a map off b; n keys and n values follow
// in rest, which need not be complete. The error is [io.ErrUnexpectedEOF] when
// b ends inside the header, [ErrMalformed] when b does not start with a map;
// then rest is b.
func ReadMapHeader(b []byte) (n int, rest []byte, err error) {
	return readHeader(b, KindMap)
}

// ReadArrayHeader is [ReadMapHeader] for an array of n values.
func ReadArrayHeader(b []byte) (n int, rest []byte, err error) {
	return readHeader(b, KindArray)
}

func readHeader(b []byte, want Kind) (n int, rest []byte, err error) {
	if len(b) == 0 {
		return 0, b, io.ErrUnexpectedEOF
	}
	l := &leads[b[0]]
	if l.kind != want {
		return 0, b, ErrMalformed
	}
	switch l.width {
	case 0:
		return int(b[0] & 0x0f), b[1:], nil
	case 2:
		if len(b) >= 3 {
			return int(binary.BigEndian.Uint16(b[1:])), b[3:], nil
		}
	default:
		if len(b) >= 5 {
			n := binary.BigEndian.Uint32(b[1:])
			if uint64(n) > math.MaxInt {
				return 0, b, ErrMalformed // Only where int has 32 bits.
			}
			return int(n), b[5:], nil
		}
	}
	return 0, b, io.ErrUnexpectedEOF
}

// Kind returns the kind of v.
func (v Value) Kind() Kind {
	if len(v) == 0 {
		return KindInvalid
	}
	if v[0] == 0xcf && len(v) >= 9 && v[1] >= 0x80 {
		return KindUint
	}
	return leads[v[0]].kind
}

// IsNil reports whether v is the value nil. It is false for the absent value.
func (v Value) IsNil() bool { return len(v) > 0 && v[0] == 0xc0 }

// Str returns the payload of a string or binary value; it aliases v.
func (v Value) Str() ([]byte, bool) {
	if len(v) == 0 {
		return nil, false
	}
	if c := v[0]; c&0xe0 == 0xa0 {
		if n := int(c & 0x1f); n < len(v) {
			return v[1 : 1+n : 1+n], true
		}
		return nil, false
	}
	return v.longStr()
}

// longStr is Str for payloads whose length is in bytes of its own. It is apart
// so that Str can be inlined.
func (v Value) longStr() ([]byte, bool) {
	l := &leads[v[0]]
	if l.kind != KindString && l.kind != KindBinary {
		return nil, false
	}
	return v.payload(1, int(l.width))
}

// payload returns the bytes that follow the width bytes of length at offset at.
func (v Value) payload(at, width int) ([]byte, bool) {
	if len(v) < at+width {
		return nil, false
	}
	var n uint64
	switch width {
	case 1:
		n = uint64(v[at])
	case 2:
		n = uint64(binary.BigEndian.Uint16(v[at:]))
	default:
		n = uint64(binary.BigEndian.Uint32(v[at:]))
	}
	b := v[at+width:]
	if n > uint64(len(b)) {
		return nil, false
	}
	return b[:n:n], true
}

// Int returns an integer that fits an int64.
func (v Value) Int() (int64, bool) {
	if len(v) == 0 {
		return 0, false
	}
	c := v[0]
	if c < 0x80 || c >= 0xe0 {
		return int64(int8(c)), true
	}
	if l := &leads[c]; l.kind != KindInt || len(v) < int(l.size) {
		return 0, false
	}
	switch c {
	case 0xcc:
		return int64(v[1]), true
	case 0xcd:
		return int64(binary.BigEndian.Uint16(v[1:])), true
	case 0xce:
		return int64(binary.BigEndian.Uint32(v[1:])), true
	case 0xcf:
		u := binary.BigEndian.Uint64(v[1:])
		return int64(u), u <= math.MaxInt64
	case 0xd0:
		return int64(int8(v[1])), true
	case 0xd1:
		return int64(int16(binary.BigEndian.Uint16(v[1:]))), true
	case 0xd2:
		return int64(int32(binary.BigEndian.Uint32(v[1:]))), true
	default:
		return int64(binary.BigEndian.Uint64(v[1:])), true
	}
}

// Uint returns an integer that is not negative.
func (v Value) Uint() (uint64, bool) {
	if len(v) >= 9 && v[0] == 0xcf {
		return binary.BigEndian.Uint64(v[1:]), true
	}
	i, ok := v.Int()
	return uint64(i), ok && i >= 0
}

// Float returns a float32, a float64, or the nearest float64 to an integer.
func (v Value) Float() (float64, bool) {
	switch {
	case len(v) >= 9 && v[0] == 0xcb:
		return math.Float64frombits(binary.BigEndian.Uint64(v[1:])), true
	case len(v) >= 5 && v[0] == 0xca:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(v[1:]))), true
	case len(v) >= 9 && v[0] == 0xcf:
		return float64(binary.BigEndian.Uint64(v[1:])), true
	}
	i, ok := v.Int()
	return float64(i), ok
}

// Bool returns a boolean.
func (v Value) Bool() (b, ok bool) {
	if len(v) == 0 || v[0]|1 != 0xc3 {
		return false, false
	}
	return v[0] == 0xc3, true
}

// Ext returns the type and the payload of an extension value; data aliases v.
// Type -1 is the msgpack timestamp, type 0 the EventTime of the forward protocol.
func (v Value) Ext() (typ int8, data []byte, ok bool) {
	if len(v) < 2 {
		return 0, nil, false
	}
	l := &leads[v[0]]
	if l.kind != KindExt {
		return 0, nil, false
	}
	if l.size != 0 {
		if len(v) < int(l.size) {
			return 0, nil, false
		}
		return int8(v[1]), v[2:l.size:l.size], true
	}
	// The type byte is between the length and the payload.
	at := 1 + int(l.width)
	if len(v) <= at {
		return 0, nil, false
	}
	var n uint64
	switch l.width {
	case 1:
		n = uint64(v[1])
	case 2:
		n = uint64(binary.BigEndian.Uint16(v[1:]))
	default:
		n = uint64(binary.BigEndian.Uint32(v[1:]))
	}
	data = v[at+1:]
	if n > uint64(len(data)) {
		return 0, nil, false
	}
	return int8(v[at]), data[:n:n], true
}

// Len returns the number of elements of an array or entries of a map, and 0
// for everything else.
func (v Value) Len() int {
	switch v.Kind() {
	case KindMap:
		n, _, _ := ReadMapHeader(v)
		return n
	case KindArray:
		n, _, _ := ReadArrayHeader(v)
		return n
	}
	return 0
}

// Items yields the elements of an array in order; nothing for other kinds.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		n, rest, _ := ReadArrayHeader(v)
		for ; n > 0; n-- {
			item, r, err := Next(rest)
			if err != nil || !yield(item) {
				return
			}
			rest = r
		}
	}
}

// Pairs yields the entries of a map, key and value, in the order they are
// encoded, duplicates included; nothing for other kinds.
func (v Value) Pairs() iter.Seq2[Value, Value] {
	return func(yield func(Value, Value) bool) {
		n, rest, _ := ReadMapHeader(v)
		for ; n > 0; n-- {
			key, r, err := Next(rest)
			if err != nil {
				return
			}
			val, r, err := Next(r)
			if err != nil || !yield(key, val) {
				return
			}
			rest = r
		}
	}
}

// Get returns the value of a map's entry whose key is the string key; the last
// one if there are several, as lookups in Fluent Bit do.
func (v Value) Get(key string) (Value, bool) {
	n, b, err := ReadMapHeader(v)
	if err != nil {
		return nil, false
	}
	var found Value
	for i := 0; n > 0; n-- {
		mid := behind(b, i)
		if mid >= len(b) {
			break
		}
		hit := false
		if k := b[i:mid]; k[0]&0xe0 == 0xa0 {
			hit = string(k[1:]) == key
		} else if k := Value(k); k.Kind() == KindString {
			s, _ := k.Str()
			hit = string(s) == key
		}
		end := behind(b, mid)
		if end > len(b) {
			break
		}
		if hit {
			found = Value(b[mid:end:end])
		}
		i = end
	}
	return found, found != nil
}
