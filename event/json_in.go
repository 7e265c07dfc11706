package event

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxJSONDepth is how deeply arrays and objects may be nested in JSON text. It
// is below [MaxDepth] so that whatever was read can still be wrapped in other
// maps, and in a chunk, and be accepted by [Next].
const MaxJSONDepth = 200

// SyntaxError says where and why text is not JSON.
type SyntaxError struct {
	Offset int // In bytes from the start of the text given.
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at offset %d: %s", e.Offset, e.Msg)
}

// AppendJSON transcodes the first JSON value of src (RFC 8259) into msgpack,
// appends it to dst and returns what follows it in src. White space in front of
// the value is skipped. Nothing is allocated but the growth of dst.
//
// Order and duplicates of keys are kept. Integers that fit an int64 or a uint64
// stay integers (-0 becomes 0), other numbers become float64. A number beyond
// the range of float64 is an error.
//
// As Fluent Bit does, it is more lenient than the RFC with strings: control
// characters may stand in them unescaped, and bytes that are not UTF-8 are
// kept. Half of a surrogate pair becomes U+FFFD, a \u without four hexadecimal
// digits stays as it is written.
//
// The error is [io.ErrUnexpectedEOF] when src ends inside the value and could
// become valid with more text, [ErrDepth] for more than [MaxJSONDepth] levels,
// or a [*SyntaxError]. Then out is dst and rest is src. A number at the very
// end of src counts as complete.
func AppendJSON(dst, src []byte) (out, rest []byte, err error) {
	return appendJSON(dst, src, 0, false)
}

// AppendLooseJSON is [AppendJSON] as Fluent Bit's network and stream inputs
// (tcp, udp, http, stdin, …) understand JSON. It forgives more: leading commas,
// so that values may be separated by them; too many or too few commas; words
// that start like a literal (nope is null); and numbers followed by letters,
// with leading zeros, without digits or out of range (1e400 is an infinity). A
// number or word at the very end of src counts as incomplete.
func AppendLooseJSON(dst, src []byte) (out, rest []byte, err error) {
	i := 0
	for i < len(src) && (src[i] == ',' || isJSONSpace(src[i])) {
		i++
	}
	return appendJSON(dst, src, i, true)
}

// SkipJSONSpace returns b without the white space it starts with.
func SkipJSONSpace(b []byte) []byte {
	return b[skipJSONSpace(b, 0):]
}

// jsonFault is why a value could not be read; the zero value is success. A
// code instead of an error keeps the results of the recursion in registers.
type jsonFault uint8

const (
	faultNone jsonFault = iota
	faultEOF
	faultDepth
	faultValue
	faultLiteral
	faultKey
	faultColon
	faultObjectEnd
	faultArrayEnd
	faultEscape
	faultNumber
	faultLeadingZero
	faultRange
)

var faultMsgs = [...]string{
	faultValue:       "a value must start here",
	faultLiteral:     "expected true, false or null",
	faultKey:         "expected a key in quotes",
	faultColon:       "expected : behind the key",
	faultObjectEnd:   "expected , or } behind the value",
	faultArrayEnd:    "expected , or ] behind the value",
	faultEscape:      "unknown escape sequence in a string",
	faultNumber:      "expected a digit",
	faultLeadingZero: "a number must not start with 0",
	faultRange:       "the number is out of range",
}

func appendJSON(dst, src []byte, i int, loose bool) (out, rest []byte, err error) {
	out, i, fault := appendJSONValue(dst, src, i, 0, loose)
	switch fault {
	case faultNone:
		return out, src[i:], nil
	case faultEOF:
		err = io.ErrUnexpectedEOF
	case faultDepth:
		err = ErrDepth
	default:
		err = &SyntaxError{Offset: i, Msg: faultMsgs[fault]}
	}
	return dst, src, err
}

func isJSONSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t'
}

func skipJSONSpace(src []byte, i int) int {
	for i < len(src) && isJSONSpace(src[i]) {
		i++
	}
	return i
}

// appendJSONValue transcodes the value at offset i, or behind white space
// there. It returns the offset behind it, or that of the fault.
func appendJSONValue(out, src []byte, i, depth int, loose bool) ([]byte, int, jsonFault) {
	i = skipJSONSpace(src, i)
	if i >= len(src) {
		return out, i, faultEOF
	}
	switch c := src[i]; c {
	case '"':
		return appendJSONString(out, src, i+1)
	case '{':
		return appendJSONObject(out, src, i+1, depth, loose)
	case '[':
		return appendJSONArray(out, src, i+1, depth, loose)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if loose {
			return appendLooseWord(out, src, i)
		}
		return appendJSONNumber(out, src, i)
	case 't', 'f', 'n':
		if loose {
			return appendLooseWord(out, src, i)
		}
		return appendJSONLiteral(out, src, i)
	}
	return out, i, faultValue
}

// appendJSONObject transcodes the object whose { is in front of offset i.
func appendJSONObject(out, src []byte, i, depth int, loose bool) ([]byte, int, jsonFault) {
	if depth >= MaxJSONDepth {
		return out, i - 1, faultDepth
	}
	// The header is a guess until the number of entries is known.
	head := len(out)
	out = append(out, 0x80)
	var fault jsonFault
	for n := 0; ; n++ {
		i = skipJSONSpace(src, i)
		if loose {
			i = skipCommas(src, i)
		}
		if i >= len(src) {
			return out, i, faultEOF
		}
		if src[i] != '"' {
			if src[i] == '}' && (n == 0 || loose) {
				return patchHeader(out, head, n, 0x80, 0xde), i + 1, faultNone
			}
			return out, i, faultKey
		}
		if out, i, fault = appendJSONString(out, src, i+1); fault != faultNone {
			return out, i, fault
		}
		if i >= len(src) || src[i] != ':' {
			if i = skipJSONSpace(src, i); i >= len(src) {
				return out, i, faultEOF
			}
			if src[i] != ':' {
				return out, i, faultColon
			}
		}
		i++
		if i < len(src) && src[i] == '"' {
			out, i, fault = appendJSONString(out, src, i+1)
		} else {
			out, i, fault = appendJSONValue(out, src, i, depth+1, loose)
		}
		if fault != faultNone {
			return out, i, fault
		}
		i = skipJSONSpace(src, i)
		if i >= len(src) {
			return out, i, faultEOF
		}
		switch c := src[i]; {
		case c == ',':
			i++
		case c == '}':
			return patchHeader(out, head, n+1, 0x80, 0xde), i + 1, faultNone
		case !loose || c != '"':
			return out, i, faultObjectEnd
		}
	}
}

// appendJSONArray transcodes the array whose [ is in front of offset i.
func appendJSONArray(out, src []byte, i, depth int, loose bool) ([]byte, int, jsonFault) {
	if depth >= MaxJSONDepth {
		return out, i - 1, faultDepth
	}
	head := len(out)
	out = append(out, 0x90)
	var fault jsonFault
	for n := 0; ; n++ {
		i = skipJSONSpace(src, i)
		if loose {
			i = skipCommas(src, i)
		}
		if i < len(src) && src[i] == ']' && (n == 0 || loose) {
			return patchHeader(out, head, n, 0x90, 0xdc), i + 1, faultNone
		}
		if out, i, fault = appendJSONValue(out, src, i, depth+1, loose); fault != faultNone {
			return out, i, fault
		}
		i = skipJSONSpace(src, i)
		if i >= len(src) {
			return out, i, faultEOF
		}
		switch c := src[i]; {
		case c == ',':
			i++
		case c == ']':
			return patchHeader(out, head, n+1, 0x90, 0xdc), i + 1, faultNone
		case !loose || c == '}' || c == ':':
			return out, i, faultArrayEnd
		}
	}
}

// skipCommas skips commas and white space.
func skipCommas(src []byte, i int) int {
	for i < len(src) && (src[i] == ',' || isJSONSpace(src[i])) {
		i++
	}
	return i
}

// patchHeader sets the one-byte header at offset head to n elements: small|n,
// or, for more than 15, a longer one that starts with the code wide or wide+1.
func patchHeader(out []byte, head, n int, small, wide byte) []byte {
	if n < 16 {
		out[head] = small | byte(n)
		return out
	}
	end := len(out)
	if n <= math.MaxUint16 {
		out = append(out, 0, 0)
		copy(out[head+3:], out[head+1:end])
		out[head] = wide
		binary.BigEndian.PutUint16(out[head+1:], uint16(n))
		return out
	}
	out = append(out, 0, 0, 0, 0)
	copy(out[head+5:], out[head+1:end])
	out[head] = wide + 1
	binary.BigEndian.PutUint32(out[head+1:], uint32(n))
	return out
}

const (
	swarLow  = 0x0101010101010101
	swarHigh = 0x8080808080808080
)

// swarEqual marks the bytes of x that equal c with their highest bit. Bits
// above the lowest one may be set in error.
func swarEqual(x uint64, c byte) uint64 {
	x ^= swarLow * uint64(c)
	return (x - swarLow) &^ x & swarHigh
}

// indexQuote returns the offset of the first quote or backslash at or behind
// offset i, or len(b).
func indexQuote(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if m := swarEqual(x, '"') | swarEqual(x, '\\'); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// appendJSONString transcodes the string whose opening quote is in front of
// offset i.
func appendJSONString(out, src []byte, i int) ([]byte, int, jsonFault) {
	end := indexQuote(src, i)
	if end < len(src) && src[end] == '"' {
		return AppendString(out, src[i:end]), end + 1, faultNone
	}
	return appendEscapedJSONString(out, src, i, end)
}

// appendEscapedJSONString transcodes a string that starts at offset start and
// has its first backslash, or the end of src, at offset i.
func appendEscapedJSONString(out, src []byte, start, i int) ([]byte, int, jsonFault) {
	// The header is a guess again: escapes only make a string shorter, so what
	// is in front of the first one is a fair estimate.
	head := len(out)
	out = AppendStringHeader(out, i-start)
	body := len(out)
	for {
		out = append(out, src[start:i]...)
		if i >= len(src) {
			return out, i, faultEOF
		}
		if src[i] == '"' {
			break
		}
		if i+1 >= len(src) {
			return out, len(src), faultEOF
		}
		c := unescaped[src[i+1]]
		switch c {
		case 0:
			return out, i, faultEscape
		case 'u':
			var fault jsonFault
			if out, i, fault = appendUnicodeEscape(out, src, i); fault != faultNone {
				return out, i, fault
			}
		default:
			out = append(out, c)
			i += 2
		}
		start = i
		i = indexQuote(src, i)
	}
	// Make room for the right header, or take some away.
	var buf [8]byte
	header := AppendStringHeader(buf[:0], len(out)-body)
	if grow := len(header) - (body - head); grow != 0 {
		size := len(out)
		if grow > 0 {
			out = append(out, buf[:grow]...)
		}
		copy(out[body+grow:], out[body:size])
		out = out[:size+grow]
	}
	copy(out[head:], header)
	return out, i + 1, faultNone
}

// unescaped is what the character behind a backslash stands for, u for itself.
var unescaped = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'u': 'u',
}

// appendUnicodeEscape decodes the \u at offset i, and a second one behind it
// if they are a surrogate pair.
func appendUnicodeEscape(out, src []byte, i int) ([]byte, int, jsonFault) {
	r, fault := hex4(src, i+2)
	switch {
	case fault == faultEOF:
		return out, len(src), fault
	case fault != faultNone:
		return append(out, '\\', 'u'), i + 2, faultNone
	}
	i += 6
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(out, r), i, faultNone
	}
	if r < 0xdc00 {
		// A high half: is the low one behind it?
		if i+1 >= len(src) && (i >= len(src) || src[i] == '\\') {
			return out, len(src), faultEOF
		}
		if src[i] == '\\' && src[i+1] == 'u' {
			low, fault := hex4(src, i+2)
			if fault == faultEOF {
				return out, len(src), fault
			}
			if fault == faultNone && low >= 0xdc00 && low < 0xe000 {
				return utf8.AppendRune(out, utf16.DecodeRune(r, low)), i + 6, faultNone
			}
		}
	}
	return utf8.AppendRune(out, utf8.RuneError), i, faultNone
}

// hex4 decodes four hexadecimal digits at offset i.
func hex4(src []byte, i int) (rune, jsonFault) {
	var r rune
	for j := i; j < i+4; j++ {
		if j >= len(src) {
			return 0, faultEOF
		}
		c := src[j]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, faultEscape
		}
		r = r<<4 | rune(c)
	}
	return r, faultNone
}

// appendJSONLiteral transcodes true, false or null at offset i.
func appendJSONLiteral(out, src []byte, i int) ([]byte, int, jsonFault) {
	word, code := "true", byte(0xc3)
	switch src[i] {
	case 'f':
		word, code = "false", 0xc2
	case 'n':
		word, code = "null", 0xc0
	}
	if b := src[i:]; len(b) < len(word) {
		if string(b) == word[:len(b)] {
			return out, len(src), faultEOF
		}
		return out, i, faultLiteral
	}
	if string(src[i:i+len(word)]) != word {
		return out, i, faultLiteral
	}
	return append(out, code), i + len(word), faultNone
}
