package parser

import (
	"unicode/utf8"

	"github.com/kagarilog/kagari/event"
)

// unescaper appends text to dst with escapes resolved. What it appends is never
// longer than text.
type unescaper func(dst, text []byte) []byte

// appendUnescaped appends text without its escapes as a string.
func appendUnescaped(dst, text []byte, unescape unescaper) []byte {
	// The length is known only afterwards: the text is written behind a header for
	// the longest that it can be, and moved up if the header turns out shorter.
	start := len(dst)
	dst = event.AppendStringHeader(dst, len(text))
	body := len(dst)
	dst = unescape(dst, text)
	n := len(dst) - body
	var buf [5]byte
	header := event.AppendStringHeader(buf[:0], n)
	copy(dst[start:], header)
	if len(header) < body-start {
		copy(dst[start+len(header):], dst[body:])
		dst = dst[:start+len(header)+n]
	}
	return dst
}

// simpleEscapes are the escapes of one letter that all decoders know.
var simpleEscapes = [256]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f', 'v': '\v', 'a': '\a'}

// unescape is the decoder escaped: the backslash is taken off what is no known
// escape.
func unescape(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			i++
			c = text[i]
			if e := simpleEscapes[c]; e != 0 {
				c = e
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// unescapeUTF8 is the decoder escaped_utf8: also \u with four digits and
// surrogates, \U with up to eight, \x with up to two and up to three octal
// digits, each a code point that is written as UTF-8.
func unescapeUTF8(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c != '\\' || i+1 == len(text) {
			dst = append(dst, c)
			i++
			continue
		}
		i++
		c = text[i]
		if e := simpleEscapes[c]; e != 0 {
			dst = append(dst, e)
			i++
			continue
		}
		switch {
		case c-'0' < 8:
			v, n := digits(text[i:], 3, 8)
			dst = appendRune(dst, v)
			i += n
		case c == 'x' || c == 'U':
			limit := 2
			if c == 'U' {
				limit = 8
			}
			v, n := digits(text[i+1:], limit, 16)
			if n == 0 {
				v = uint32(c)
			}
			dst = appendRune(dst, v)
			i += 1 + n
		case c == 'u':
			v, n := utf16Escape(text[i+1:])
			dst = appendRune(dst, v)
			i += 1 + n
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

// utf16Escape reads what follows \u, the second half of a surrogate pair
// included, and returns how long it is. What is no character is U+FFFD; without
// any digit it is 0.
func utf16Escape(text []byte) (v uint32, n int) {
	v, n = digits(text, 4, 16)
	switch {
	case n == 0:
		return 0, 0
	case n < 4 || v >= 0xdc00 && v <= 0xdfff:
		return utf8.RuneError, n
	case v < 0xd800 || v > 0xdfff:
		return v, n
	}
	if len(text) <= n+2 || text[n] != '\\' || text[n+1] != 'u' {
		return utf8.RuneError, n
	}
	low, m := digits(text[n+2:], 4, 16)
	n += 2 + m
	if m < 4 || low < 0xdc00 || low > 0xdfff {
		return utf8.RuneError, n
	}
	return 0x10000 + (v-0xd800)<<10 + low - 0xdc00, n
}

// digits reads up to limit digits of base 8 or 16.
func digits(text []byte, limit int, base uint32) (v uint32, n int) {
	for n < len(text) && n < limit {
		d := hexDigit(text[n])
		if d < 0 || uint32(d) >= base {
			break
		}
		v = v*base + uint32(d)
		n++
	}
	return v, n
}

// appendRune appends v as UTF-8, and one byte of it if it is no code point.
func appendRune(dst []byte, v uint32) []byte {
	if v > utf8.MaxRune {
		return append(dst, byte(v))
	}
	return utf8.AppendRune(dst, rune(v))
}

// unquoteMySQL is the decoder mysql_quoted: what stands between single or double
// quotes, with the escapes of MySQL string literals. Text without quotes is left
// as it is.
func unquoteMySQL(dst, text []byte) []byte {
	last := len(text) - 1
	if last < 1 || text[0] != text[last] || text[0] != '\'' && text[0] != '"' {
		return append(dst, text...)
	}
	text = text[1:last]
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			i++
			switch c = text[i]; c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case '0':
				c = 0
			case 'Z':
				c = 0x1a
			case '\\', '\'', '"':
			default:
				dst = append(dst, '\\')
			}
		}
		dst = append(dst, c)
	}
	return dst
}
