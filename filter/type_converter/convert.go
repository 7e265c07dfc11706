package type_converter

import (
	"math"
	"strconv"
	"strings"

	"github.com/kagarilog/kagari/event"
)

// kind is a type that can be converted from or to.
type kind uint8

const (
	kindInt kind = iota
	kindUint
	kindFloat
	kindHex
	kindString
	kindBool
)

// kindNames is in the order in which Fluent Bit compares.
var kindNames = [...]string{"int", "uint", "float", "hex", "string", "bool"}

func (k kind) String() string { return kindNames[k] }

// parseKind finds a type by its name or the start of it, ignoring case.
func parseKind(s string) (kind, bool) {
	for k, name := range kindNames {
		if len(s) <= len(name) && strings.EqualFold(s, name[:len(s)]) {
			return kind(k), true
		}
	}
	return 0, false
}

// converts tells whether there is a conversion from k to to.
func (k kind) converts(to kind) bool {
	switch k {
	case kindString:
		return to != kindString
	case kindInt:
		return to == kindString || to == kindFloat || to == kindUint
	case kindUint:
		return to == kindString || to == kindFloat || to == kindInt
	default:
		return to == kindString || to == kindInt || to == kindUint
	}
}

// appendAs appends v, which has to be of kind k, as a value of kind to; false
// if it is not of that kind or cannot be converted.
func (k kind) appendAs(dst []byte, v event.Value, to kind) ([]byte, bool) {
	if !k.converts(to) {
		return dst, false
	}
	switch k {
	case kindString:
		if v.Kind() != event.KindString {
			return dst, false
		}
		s, _ := v.Str()
		return appendText(dst, s, to)
	case kindFloat:
		if v.Kind() != event.KindFloat {
			return dst, false
		}
		f, _ := v.Float()
		return appendFloat(dst, f, to), true
	}
	// An integer out of the range of its type has the value of its bits.
	var bits uint64
	switch v.Kind() {
	case event.KindInt:
		i, _ := v.Int()
		bits = uint64(i)
	case event.KindUint:
		bits, _ = v.Uint()
	default:
		return dst, false
	}
	switch {
	case to == kindString && k == kindInt:
		var room [20]byte
		return event.AppendString(dst, strconv.AppendInt(room[:0], int64(bits), 10)), true
	case to == kindString:
		var room [20]byte
		return event.AppendString(dst, strconv.AppendUint(room[:0], bits, 10)), true
	case to == kindFloat && k == kindInt:
		return event.AppendFloat(dst, float64(int64(bits))), true
	case to == kindFloat:
		return event.AppendFloat(dst, float64(bits)), true
	case to == kindInt:
		return event.AppendInt(dst, int64(bits)), true
	default:
		return event.AppendUint(dst, bits), true
	}
}

func appendFloat(dst []byte, f float64, to kind) []byte {
	switch to {
	case kindInt:
		return event.AppendInt(dst, toInt(f))
	case kindUint:
		switch {
		case f >= math.MaxUint64: // As on amd64.
			return event.AppendUint(dst, 0)
		case f >= math.MaxInt64:
			return event.AppendUint(dst, uint64(f))
		}
		return event.AppendUint(dst, uint64(toInt(f)))
	}
	var room [400]byte
	text := room[:0]
	switch {
	case math.IsNaN(f):
		text = append(text, "nan"...)
	case math.IsInf(f, 1):
		text = append(text, "inf"...)
	case math.IsInf(f, -1):
		text = append(text, "-inf"...)
	case f == float64(toInt(f)):
		text = strconv.AppendFloat(text, f, 'f', 1, 64)
	default:
		text = strconv.AppendFloat(text, f, 'g', 16, 64)
	}
	return event.AppendString(dst, text)
}

// toInt cuts off the fraction. What an int64 cannot hold becomes the least one,
// as on amd64.
func toInt(f float64) int64 {
	if f >= math.MinInt64 && f < math.MaxInt64 {
		return int64(f)
	}
	return math.MinInt64
}

// appendText converts the number or boolean that the text begins with. As in
// Fluent Bit an integer 0 cannot be told from text that is no number.
func appendText(dst, s []byte, to kind) ([]byte, bool) {
	switch to {
	case kindInt:
		n, neg := leadingInteger(s, 10)
		limit := uint64(math.MaxInt64)
		if neg {
			limit++
		}
		i := int64(min(n, limit))
		if neg {
			i = -i
		}
		return event.AppendInt(dst, i), i != 0
	case kindUint, kindHex:
		base := uint64(10)
		if to == kindHex {
			base = 16
		}
		n, neg := leadingInteger(s, base)
		if neg && n != math.MaxUint64 {
			n = -n
		}
		return event.AppendUint(dst, n), n != 0
	case kindFloat:
		return event.AppendFloat(dst, leadingFloat(s)), true
	default:
		switch {
		case len(s) >= 4 && strings.EqualFold(string(s[:4]), "true"):
			return event.AppendBool(dst, true), true
		case len(s) >= 5 && strings.EqualFold(string(s[:5]), "false"):
			return event.AppendBool(dst, false), true
		}
		return dst, false
	}
}

// skipSpace cuts off white space and a sign.
func skipSpace(s []byte) (rest []byte, neg bool) {
	for len(s) > 0 && (s[0] == ' ' || s[0] >= '\t' && s[0] <= '\r') {
		s = s[1:]
	}
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		return s[1:], s[0] == '-'
	}
	return s, false
}

// leadingInteger reads as strtoumax does: white space, a sign, for base 16 an
// optional 0x, and digits. What is too large is the largest number.
func leadingInteger(s []byte, base uint64) (n uint64, neg bool) {
	s, neg = skipSpace(s)
	if base == 16 && len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		if _, ok := digit(s[2], 16); ok {
			s = s[2:]
		}
	}
	for _, c := range s {
		d, ok := digit(c, base)
		if !ok {
			break
		}
		if n > (math.MaxUint64-d)/base {
			return math.MaxUint64, neg
		}
		n = n*base + d
	}
	return n, neg
}

func digit(c byte, base uint64) (uint64, bool) {
	var d uint64
	switch {
	case c >= '0' && c <= '9':
		d = uint64(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		d = uint64(c|0x20-'a') + 10
	default:
		return 0, false
	}
	return d, d < base
}

// leadingFloat reads as atof does: white space, a sign, and a decimal or
// hexadecimal number, inf or nan; 0 if there is none.
func leadingFloat(s []byte) float64 {
	s, neg := skipSpace(s)
	var f float64
	switch {
	case len(s) >= 3 && strings.EqualFold(string(s[:3]), "inf"):
		f = math.Inf(1)
	case len(s) >= 3 && strings.EqualFold(string(s[:3]), "nan"):
		f = math.NaN()
	case len(s) >= 3 && s[0] == '0' && s[1]|0x20 == 'x':
		if n, ok := mantissa(s[2:], 16); ok {
			text := string(s[:2+n+exponent(s[2+n:], 'p')])
			if !strings.ContainsAny(text, "pP") {
				text += "p0"
			}
			f, _ = strconv.ParseFloat(text, 64)
		}
	default:
		if n, ok := mantissa(s, 10); ok {
			// The error is that of a range, with the result that C gives too.
			f, _ = strconv.ParseFloat(string(s[:n+exponent(s[n:], 'e')]), 64)
		}
	}
	if neg {
		return -f
	}
	return f
}

// mantissa returns the length of digits with at most one dot, and whether there
// is a digit among them.
func mantissa(s []byte, base uint64) (n int, ok bool) {
	dot := false
	for n < len(s) {
		if s[n] == '.' && !dot {
			dot = true
		} else if _, d := digit(s[n], base); d {
			ok = true
		} else {
			break
		}
		n++
	}
	if !ok {
		return 0, false
	}
	return n, ok
}

// exponent returns the length of an exponent at the start of s.
func exponent(s []byte, letter byte) int {
	if len(s) < 2 || s[0]|0x20 != letter {
		return 0
	}
	n := 1
	if s[n] == '-' || s[n] == '+' {
		n++
	}
	start := n
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n == start {
		return 0
	}
	return n
}
