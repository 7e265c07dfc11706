package event

import (
	"math"
	"strconv"
)

// AppendText appends v in the form of Fluent Bit's stdout output with its
// default format, which is msgpack-c's msgpack_object_print:
//
//	{"a"=>1, "b"=>nil, "c"=>1.500000, "d"=>["text as it is", "\x0a"]}
//
// Strings are not escaped. In binary values quotes are, and bytes outside
// printable ASCII have the form \x0a; extension values are such a text behind
// (ext: type). Duplicate keys are kept. A value that is not complete, or nested
// deeper than [MaxDepth], is written as far as it can be read.
func AppendText(dst []byte, v Value) []byte {
	dst, _ = appendText(dst, v, 0)
	return dst
}

// appendText appends the first value of b and returns what follows it; nil if
// the value is not complete.
func appendText(dst, b []byte, depth int) (out, rest []byte) {
	v := Value(b)
	switch v.Kind() {
	case KindMap:
		n, b, err := ReadMapHeader(b)
		if err != nil || depth >= MaxDepth {
			return dst, nil
		}
		dst = append(dst, '{')
		for i := 0; i < n && b != nil; i++ {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			if dst, b = appendText(dst, b, depth+1); b == nil {
				break
			}
			dst = append(dst, "=>"...)
			dst, b = appendText(dst, b, depth+1)
		}
		return append(dst, '}'), b
	case KindArray:
		n, b, err := ReadArrayHeader(b)
		if err != nil || depth >= MaxDepth {
			return dst, nil
		}
		dst = append(dst, '[')
		for i := 0; i < n && b != nil; i++ {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst, b = appendText(dst, b, depth+1)
		}
		return append(dst, ']'), b
	}
	v, rest, err := Next(b)
	if err != nil {
		return dst, nil
	}
	switch v.Kind() {
	case KindNil:
		dst = append(dst, "nil"...)
	case KindBool:
		b, _ := v.Bool()
		dst = strconv.AppendBool(dst, b)
	case KindInt:
		i, _ := v.Int()
		dst = strconv.AppendInt(dst, i, 10)
	case KindUint:
		u, _ := v.Uint()
		dst = strconv.AppendUint(dst, u, 10)
	case KindFloat:
		f, _ := v.Float()
		dst = appendFixed(dst, f)
	case KindString:
		s, _ := v.Str()
		dst = append(append(append(dst, '"'), s...), '"')
	case KindBinary:
		s, _ := v.Str()
		dst = appendPrintable(dst, s)
	case KindExt:
		typ, data, _ := v.Ext()
		dst = append(dst, "(ext: "...)
		dst = strconv.AppendInt(dst, int64(typ), 10)
		dst = appendPrintable(append(dst, ')'), data)
	}
	return dst, rest
}

// appendFixed appends f as printf does with %f.
func appendFixed(dst []byte, f float64) []byte {
	if f-f == 0 {
		return strconv.AppendFloat(dst, f, 'f', 6, 64)
	}
	if math.Signbit(f) {
		dst = append(dst, '-')
	}
	if f != f {
		return append(dst, "nan"...)
	}
	return append(dst, "inf"...)
}

// appendPrintable appends s in quotes, with quotes and bytes that are not
// printable ASCII escaped.
func appendPrintable(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"':
			dst = append(dst, '\\', '"')
		case c >= ' ' && c < 0x7f:
			dst = append(dst, c)
		default:
			dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(dst, '"')
}
