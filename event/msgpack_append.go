package event

import (
	"encoding/binary"
	"math"
)

// The Append functions append one value, or the header of one, to dst in the
// smallest encoding that holds it, the choice that msgpack-c, and so Fluent
// Bit, makes: integers that are not negative are written as unsigned ones, and
// floats always as float64. They return the extended slice, as append does.

// AppendNil appends nil.
func AppendNil(dst []byte) []byte { return append(dst, 0xc0) }

// AppendBool appends a boolean.
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

// AppendInt appends an integer.
func AppendInt(dst []byte, i int64) []byte {
	if i >= 0 {
		return AppendUint(dst, uint64(i))
	}
	switch {
	case i >= -32:
		return append(dst, byte(i))
	case i >= math.MinInt8:
		return append(dst, 0xd0, byte(i))
	case i >= math.MinInt16:
		return append(dst, 0xd1, byte(i>>8), byte(i))
	case i >= math.MinInt32:
		return append(dst, 0xd2, byte(i>>24), byte(i>>16), byte(i>>8), byte(i))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(i))
}

// AppendUint appends an integer that is not negative.
func AppendUint(dst []byte, u uint64) []byte {
	switch {
	case u < 0x80:
		return append(dst, byte(u))
	case u <= math.MaxUint8:
		return append(dst, 0xcc, byte(u))
	case u <= math.MaxUint16:
		return append(dst, 0xcd, byte(u>>8), byte(u))
	case u <= math.MaxUint32:
		return append(dst, 0xce, byte(u>>24), byte(u>>16), byte(u>>8), byte(u))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), u)
}

// AppendFloat appends a float64.
func AppendFloat(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
}

// AppendString appends a string of less than 4 GiB.
func AppendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(AppendStringHeader(dst, len(s)), s...)
}

// AppendStringHeader appends the header of a string; its n bytes must follow.
func AppendStringHeader(dst []byte, n int) []byte {
	if n < 32 {
		return append(dst, 0xa0|byte(n))
	}
	if n <= math.MaxUint8 {
		return append(dst, 0xd9, byte(n))
	}
	return appendLength(dst, 0xda, n)
}

// AppendBinary appends a binary value of less than 4 GiB.
func AppendBinary(dst, b []byte) []byte {
	if n := len(b); n <= math.MaxUint8 {
		dst = append(dst, 0xc4, byte(n))
	} else {
		dst = appendLength(dst, 0xc5, n)
	}
	return append(dst, b...)
}

// AppendExt appends an extension value of less than 4 GiB.
func AppendExt(dst []byte, typ int8, data []byte) []byte {
	switch n := len(data); {
	case n == 1:
		dst = append(dst, 0xd4)
	case n == 2:
		dst = append(dst, 0xd5)
	case n == 4:
		dst = append(dst, 0xd6)
	case n == 8:
		dst = append(dst, 0xd7)
	case n == 16:
		dst = append(dst, 0xd8)
	case n <= math.MaxUint8:
		dst = append(dst, 0xc7, byte(n))
	default:
		dst = appendLength(dst, 0xc8, n)
	}
	return append(append(dst, byte(typ)), data...)
}

// AppendMapHeader appends the header of a map; n keys, each followed by its
// value, must follow.
func AppendMapHeader(dst []byte, n int) []byte {
	if n < 16 {
		return append(dst, 0x80|byte(n))
	}
	return appendLength(dst, 0xde, n)
}

// AppendArrayHeader appends the header of an array; n values must follow.
func AppendArrayHeader(dst []byte, n int) []byte {
	if n < 16 {
		return append(dst, 0x90|byte(n))
	}
	return appendLength(dst, 0xdc, n)
}

// appendLength appends code and n in 16 bits, or the code above it, which
// stands for the same type with a 32-bit length.
func appendLength(dst []byte, code byte, n int) []byte {
	if n <= math.MaxUint16 {
		return append(dst, code, byte(n>>8), byte(n))
	}
	if uint64(n) > math.MaxUint32 {
		panic("BUG: msgpack cannot hold a length of 4 GiB or more")
	}
	return append(dst, code+1, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}
