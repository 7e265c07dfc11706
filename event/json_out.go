package event

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"
)

// JSONOptions says how values are written as JSON.
type JSONOptions struct {
	// EscapeUnicode writes characters outside ASCII as \u escapes, as Fluent Bit
	// does by default (service option json.escape_unicode). Bytes that are not
	// UTF-8 then become characters of the private use area, U+E000 plus the
	// byte, but of a sequence that the end of the string cuts off the leading
	// byte is left out.
	//
	// Without it characters stand for themselves and bytes that are not UTF-8
	// become U+FFFD.
	EscapeUnicode bool

	// inKey is set while the key of an object is written.
	inKey bool
}

// AppendValueJSON appends v as JSON text (RFC 8259), in the form Fluent Bit
// gives it: no white space, floats with 16 significant digits, and whole ones
// with ".0" at the end; binary values as if they were strings. Of entries of a
// map with the same string key only the last is written, at its place.
//
// The text is valid JSON for every value, also where Fluent Bit's is not: NaN
// and infinities are null; keys that are not strings are put in quotes (and "?"
// stands for an array or a map that is a key within such a key); an extension
// value is a string of its bytes in the form \x0a, with the backslash escaped.
//
// A value that is not complete, or nested deeper than [MaxDepth], is written as
// far as it can be read, with null for the rest. Nothing is allocated but the
// growth of dst, except for maps of more than 32 entries.
func AppendValueJSON(dst []byte, v Value, o JSONOptions) []byte {
	dst, _ = appendValueText(dst, v, 0, o)
	return dst
}

// AppendJSONString appends s as a JSON string in quotes.
func AppendJSONString[T ~string | ~[]byte](dst []byte, s T, o JSONOptions) []byte {
	return appendQuoted(dst, []byte(s), o)
}

// appendValueText appends the first value of b and returns what follows it.
func appendValueText(dst, b []byte, depth int, o JSONOptions) (out, rest []byte) {
	if len(b) == 0 {
		return append(dst, "null"...), nil
	}
	c := b[0]
	switch {
	case c < 0x80:
		return appendSmallInt(dst, c), b[1:]
	case c >= 0xe0:
		return strconv.AppendInt(dst, int64(int8(c)), 10), b[1:]
	case c&0xe0 == 0xa0:
		if end := 1 + int(c&0x1f); end <= len(b) {
			return appendQuoted(dst, b[1:end], o), b[end:]
		}
		return append(dst, "null"...), nil
	}
	l := &leads[c]
	switch l.kind {
	case KindMap:
		return appendMapText(dst, b, depth, o)
	case KindArray:
		return appendArrayText(dst, b, depth, o)
	}
	end, err := skip(b, 0, 1, 0)
	if err != nil {
		return append(dst, "null"...), nil
	}
	v := Value(b[:end])
	switch l.kind {
	case KindBool:
		dst = strconv.AppendBool(dst, c == 0xc3)
	case KindInt:
		if u, ok := v.Uint(); ok {
			dst = strconv.AppendUint(dst, u, 10)
		} else {
			i, _ := v.Int()
			dst = strconv.AppendInt(dst, i, 10)
		}
	case KindFloat:
		f, _ := v.Float()
		dst = appendFloatText(dst, f)
	case KindString, KindBinary:
		s, _ := v.Str()
		dst = appendQuoted(dst, s, o)
	case KindExt:
		_, data, _ := v.Ext()
		dst = append(dst, '"')
		for _, c := range data {
			dst = append(dst, '\\', '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
		dst = append(dst, '"')
	default:
		dst = append(dst, "null"...)
	}
	return dst, b[end:]
}

func appendSmallInt(dst []byte, c byte) []byte {
	if c < 10 {
		return append(dst, '0'+c)
	}
	return strconv.AppendUint(dst, uint64(c), 10)
}

func appendArrayText(dst, b []byte, depth int, o JSONOptions) (out, rest []byte) {
	n, b, err := ReadArrayHeader(b)
	if err != nil || depth >= MaxDepth {
		return append(dst, "null"...), nil
	}
	dst = append(dst, '[')
	for ; n > 0; n-- {
		dst, b = appendValueText(dst, b, depth+1, o)
		dst = append(dst, ',')
		if b == nil {
			break
		}
	}
	return closeText(dst, '[', ']'), b
}

// closeText replaces the comma behind the last element, if there is one, by
// the closing bracket.
func closeText(dst []byte, open, end byte) []byte {
	if last := len(dst) - 1; dst[last] != open {
		dst[last] = end
		return dst
	}
	return append(dst, end)
}

// appendKeyText appends the first value of b as the key of an object, in
// quotes whatever it is.
func appendKeyText(dst, b []byte, depth int, o JSONOptions) (out, rest []byte) {
	start := len(dst)
	nested := o.inKey
	o.inKey = true
	dst, rest = appendValueText(dst, b, depth, o)
	switch c := dst[start]; {
	case c == '"':
		return dst, rest
	case nested && (c == '{' || c == '['):
		// Quotes in quotes in quotes would take text of exponential size.
		return append(dst[:start], `"?"`...), rest
	}
	// Quote the text, behind itself, and move it into place.
	end := len(dst)
	dst = appendQuoted(dst, dst[start:end:end], o)
	return append(dst[:start], dst[end:]...), rest
}

// appendFloatText appends f as printf does with %.1f if it is whole and less
// than 2^63, else with %.16g.
func appendFloatText(dst []byte, f float64) []byte {
	if f >= -1<<63 && f < 1<<63 {
		if i := int64(f); float64(i) == f {
			if i == 0 && math.Signbit(f) {
				dst = append(dst, '-')
			}
			return append(strconv.AppendInt(dst, i, 10), '.', '0')
		}
		if out, ok := appendShortDecimal(dst, f); ok {
			return out
		}
	} else if f-f != 0 { // NaN or infinite.
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, f, 'g', 16, 64)
}

// appendShortDecimal appends f if it is what a decimal of few digits, such as
// 0.25 or 17.031, was read as, and if 16 digits of it show nothing but that
// decimal.
func appendShortDecimal(dst []byte, f float64) ([]byte, bool) {
	abs := math.Abs(f)
	if abs < 1e-4 || abs >= 1e9 {
		return dst, false
	}
	for k := 1; k <= 6; k++ {
		// abs is d / 10^k plus error / 10^k.
		d := math.RoundToEven(abs * pow10[k])
		err := math.Abs(math.FMA(abs, pow10[k], -d))
		if err > 1e-6 {
			continue
		}
		// d has digits digits, so that the 16th is worth 10^(digits-16); the
		// error must round to nothing there. A power of ten counts as one digit
		// less, because what is just below it has its 16th one place further.
		digits := 0
		for digits < 15 && d > pow10[digits] {
			digits++
		}
		whole, frac := uint64(d)/uint64(pow10[k]), uint64(d)%uint64(pow10[k])
		if err*pow10[16-digits] >= 0.499 || frac == 0 {
			return dst, false
		}
		if f < 0 {
			dst = append(dst, '-')
		}
		dst = append(strconv.AppendUint(dst, whole, 10), '.', '0', '0', '0', '0', '0', '0')
		dst = dst[:len(dst)-6+k]
		for i := len(dst) - 1; frac > 0; i-- {
			dst[i] = '0' + byte(frac%10)
			frac /= 10
		}
		return dst, true
	}
	return dst, false
}

const hexDigits = "0123456789abcdef"

// shortEscapes is the letter behind the backslash for characters that have one,
// and u for the others that must be escaped.
var shortEscapes = func() (t [256]byte) {
	for c := range 0x20 {
		t[c] = 'u'
	}
	t[0x7f] = 'u' // As Fluent Bit does, though the RFC does not ask for it.
	t['"'], t['\\'] = '"', '\\'
	t['\b'], t['\f'], t['\n'], t['\r'], t['\t'] = 'b', 'f', 'n', 'r', 't'
	return t
}()

// swarSpecial marks the bytes of x that are not ASCII or must be escaped. Bits
// above the lowest one may be set in error.
func swarSpecial(x uint64) uint64 {
	return swarEqual(x, '"') | swarEqual(x, '\\') |
		(x-swarLow*0x20)&^x&swarHigh | // Below 0x20.
		(x+swarLow|x)&swarHigh // From 0x7f on.
}

// indexSpecial returns the offset of the first byte at or behind offset i that
// is not ASCII or must be escaped, or len(s).
func indexSpecial(s []byte, i int) int {
	for ; i+8 <= len(s); i += 8 {
		if m := swarSpecial(binary.LittleEndian.Uint64(s[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for i < len(s) && s[i] < utf8.RuneSelf && shortEscapes[s[i]] == 0 {
		i++
	}
	return i
}

// appendQuoted appends s as a JSON string.
func appendQuoted(dst, s []byte, o JSONOptions) []byte {
	start, n := len(dst), len(s)
	if cap(dst)-start < n+2 {
		dst = slices.Grow(dst, n+2)
	}
	// Copy word by word, looking at each on the way; most strings are done then.
	dst = dst[:start+n+2]
	text := dst[start+1 : start+1+n]
	var special uint64
	if n >= 8 {
		for i := 0; i+8 <= n; i += 8 {
			x := binary.LittleEndian.Uint64(s[i:])
			if special = swarSpecial(x); special != 0 {
				break
			}
			binary.LittleEndian.PutUint64(text[i:], x)
		}
		if special == 0 { // The last word may overlap the one before.
			x := binary.LittleEndian.Uint64(s[n-8:])
			special = swarSpecial(x)
			binary.LittleEndian.PutUint64(text[n-8:], x)
		}
	} else if n >= 4 {
		x, y := binary.LittleEndian.Uint32(s), binary.LittleEndian.Uint32(s[n-4:])
		special = swarSpecial(uint64(x) | uint64(y)<<32)
		binary.LittleEndian.PutUint32(text, x)
		binary.LittleEndian.PutUint32(text[n-4:], y)
	} else {
		var x uint64 = swarLow * 'x' // Nothing special.
		for i, c := range s {
			text[i] = c
			x = x<<8 | uint64(c)
		}
		special = swarSpecial(x)
	}
	dst[start] = '"'
	if special == 0 {
		dst[start+1+n] = '"'
		return dst
	}
	i := indexSpecial(s, 0)
	return append(appendEscaped(append(dst[:start+1], s[:i]...), s, i, o), '"')
}

// appendEscaped appends s from offset i on, which needs attention.
func appendEscaped(dst, s []byte, i int, o JSONOptions) []byte {
	for i < len(s) {
		c := s[i]
		switch e := shortEscapes[c]; {
		case c >= utf8.RuneSelf:
			if o.EscapeUnicode {
				dst, i = appendEscapedRune(dst, s, i)
			} else if end := runesEnd(s, i); end > i {
				dst = append(dst, s[i:end]...)
				i = end
			} else {
				dst = append(dst, "\ufffd"...)
				i++
			}
			if i < len(s) && s[i] >= utf8.RuneSelf {
				continue // Text that is not ASCII comes in runs.
			}
		case e == 'u':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			i++
		default:
			dst = append(dst, '\\', e)
			i++
		}
		end := indexSpecial(s, i)
		dst = append(dst, s[i:end]...)
		i = end
	}
	return dst
}

// runesEnd returns the offset behind the characters outside ASCII at offset i.
func runesEnd(s []byte, i int) int {
	for i < len(s) && s[i] >= utf8.RuneSelf {
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}

// appendEscapedRune appends the \u escape, or two, for the character at offset
// i and returns the offset behind it.
func appendEscapedRune(dst, s []byte, i int) ([]byte, int) {
	r, n := utf8.DecodeRune(s[i:])
	if r == utf8.RuneError && n == 1 {
		return appendForeignBytes(dst, s, i)
	}
	return appendRuneEscape(dst, r), i + n
}

func appendRuneEscape(dst []byte, r rune) []byte {
	if r >= 0x10000 {
		r -= 0x10000
		dst = appendUnit(dst, 0xd800+r>>10)
		r = 0xdc00 + r&0x3ff
	}
	return appendUnit(dst, r)
}

// appendUnit appends the escape for one UTF-16 unit.
func appendUnit(dst []byte, u rune) []byte {
	return append(dst, '\\', 'u', hexDigits[u>>12&15], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
}

// appendForeignBytes appends what is at offset i of s and is not UTF-8, in the
// way of Fluent Bit's flb_utils_write_str on amd64.
func appendForeignBytes(dst, s []byte, i int) ([]byte, int) {
	n := min(6, bits.LeadingZeros8(^s[i])) // As many bytes as the first one promises.
	if i+n > len(s) {
		return dst, i + 1 // Cut off: the first byte is left out.
	}
	valid := 0
	r := rune(s[i])
	if n >= 2 && n <= 4 {
		r &= 0x7f >> n
		for valid = 1; valid < n && s[i+valid]&0xc0 == 0x80; valid++ {
			r = r<<6 | rune(s[i+valid]&0x3f)
		}
		if valid == n && utf8.ValidRune(r) {
			return appendRuneEscape(dst, r), i + n // An overlong form.
		}
	}
	for _, c := range s[i : i+max(1, valid)] {
		dst = append(dst, 0xee, 0x80|c>>6, 0x80|c&0x3f) // U+E000 + c in UTF-8.
	}
	return dst, i + max(1, valid)
}
