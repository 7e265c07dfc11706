package lua

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// withPlainEscapes rewrites the escapes that LuaJIT knows in strings and Lua 5.1
// does not: \xXX, \z and \u{XXX}. Lines keep their numbers.
func withPlainEscapes(text string) string {
	if !strings.Contains(text, `\x`) && !strings.Contains(text, `\z`) && !strings.Contains(text, `\u`) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		n := 1
		switch c := text[i]; {
		case strings.HasPrefix(text[i:], "--"):
			n = 2
			if long := longBracket(text[i+2:]); long > 0 {
				n += long
			} else if end := strings.IndexByte(text[i:], '\n'); end >= 0 {
				n = end
			} else {
				n = len(text) - i
			}
		case c == '[':
			n = max(longBracket(text[i:]), 1)
		case c == '"' || c == '\'':
			i += plainString(&out, text[i:])
			continue
		}
		out.WriteString(text[i : i+n])
		i += n
	}
	return out.String()
}

// longBracket returns the length of the [[text]] or [=[text]=] that s starts
// with, or 0.
func longBracket(s string) int {
	level := 1
	for level < len(s) && s[level] == '=' {
		level++
	}
	if len(s) <= level || s[0] != '[' || s[level] != '[' {
		return 0
	}
	end := "]" + s[1:level] + "]"
	if i := strings.Index(s, end); i >= 0 {
		return i + len(end)
	}
	return len(s)
}

// plainString writes the string that s starts with and returns its length.
func plainString(out *strings.Builder, s string) int {
	lines := 0 // that \z swallowed
	out.WriteByte(s[0])
	i := 1
	for i < len(s) && s[i] != s[0] && s[i] != '\n' {
		if s[i] != '\\' || i+1 == len(s) {
			out.WriteByte(s[i])
			i++
			continue
		}
		switch s[i+1] {
		case 'x':
			if i+4 > len(s) {
				break
			}
			if b, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				fmt.Fprintf(out, `\%03d`, b)
				i += 4
				continue
			}
		case 'z':
			rest := strings.TrimLeft(s[i+2:], " \t\n\v\f\r")
			lines += strings.Count(s[i:len(s)-len(rest)], "\n")
			i = len(s) - len(rest)
			continue
		case 'u':
			hex, _, ok := strings.Cut(strings.TrimPrefix(s[i+2:], "{"), "}")
			if r, err := strconv.ParseUint(hex, 16, 21); ok && err == nil && strings.HasPrefix(s[i+2:], "{") {
				for _, b := range utf8.AppendRune(nil, rune(r)) {
					fmt.Fprintf(out, `\%03d`, b)
				}
				i += len(`\u{}`) + len(hex)
				continue
			}
		}
		out.WriteString(s[i : i+2])
		i += 2
	}
	if i < len(s) && s[i] == s[0] {
		out.WriteByte(s[i])
		i++
	}
	out.WriteString(strings.Repeat("\n", lines))
	return i
}
