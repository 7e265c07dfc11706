package lua

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// spec is one conversion of string.format, as in printf of C.
type spec struct {
	minus, plus, blank, sharp, zero bool
	width                           int
	precision                       int // -1 if there is none
	verb                            byte
}

// parseSpec reads a conversion behind its % and returns what follows it.
func parseSpec(s string) (c spec, rest string, ok bool) {
	c.precision = -1
	i := 0
	for ; i < len(s) && i <= 5; i++ {
		switch s[i] {
		case '-':
			c.minus = true
			continue
		case '+':
			c.plus = true
			continue
		case ' ':
			c.blank = true
			continue
		case '#':
			c.sharp = true
			continue
		case '0':
			c.zero = true
			continue
		}
		break
	}
	number := func() (n int) {
		for digits := 0; i < len(s) && digits < 2 && isDigit(s[i]); digits++ {
			n = n*10 + int(s[i]-'0')
			i++
		}
		return n
	}
	c.width = number()
	if i < len(s) && s[i] == '.' {
		i++
		c.precision = number()
	}
	if i == len(s) {
		return c, s, false
	}
	c.verb = s[i]
	return c, s[i+1:], true
}

func strFormat(l *lua.LState) int {
	format := argString(l, 1)
	var room [128]byte
	out := room[:0]
	arg := 1
	for {
		text, rest, found := strings.Cut(format, "%")
		out = append(out, text...)
		if !found {
			break
		}
		if strings.HasPrefix(rest, "%") {
			out = append(out, '%')
			format = rest[1:]
			continue
		}
		c, after, ok := parseSpec(rest)
		if !ok || !strings.ContainsRune("aAcdeEfgGioqsuxX", rune(c.verb)) {
			l.RaiseError("invalid option '%%%s' to 'format'", rest[:len(rest)-len(after)])
		}
		format = after
		if arg++; arg > l.GetTop() {
			l.ArgError(arg, "no value")
		}
		out = c.append(out, l, arg)
	}
	l.Push(lua.LString(out))
	return 1
}

// append appends argument number arg in the form of c.
func (c spec) append(out []byte, l *lua.LState, arg int) []byte {
	switch c.verb {
	case 'd', 'i':
		return c.integer(out, truncate(number(l, arg)))
	case 'u', 'o', 'x', 'X':
		return c.unsigned(out, uint64(truncate(number(l, arg))))
	case 'c':
		return c.pad(out, "", []byte{byte(truncate(number(l, arg)))}, false)
	case 'q':
		return appendQuoted(out, argString(l, arg))
	case 's':
		s := textOf(l, l.Get(arg)).String()
		if c.precision >= 0 && c.precision < len(s) {
			s = s[:c.precision]
		}
		return c.pad(out, "", []byte(s), false)
	}
	return c.float(out, number(l, arg))
}

// number returns an argument that is a number or the text of one.
func number(l *lua.LState, arg int) float64 {
	if s, ok := l.Get(arg).(lua.LString); ok {
		if f, ok := parseNumber(string(s)); ok {
			return f
		}
		l.TypeError(arg, lua.LTNumber)
	}
	return float64(l.CheckNumber(arg))
}

// sign is what stands before a number.
func (c spec) sign(negative bool) string {
	switch {
	case negative:
		return "-"
	case c.plus:
		return "+"
	case c.blank:
		return " "
	}
	return ""
}

func (c spec) integer(out []byte, i int64) []byte {
	u := uint64(i)
	if i < 0 {
		u = -u
	}
	return c.digits(out, c.sign(i < 0), strconv.AppendUint(nil, u, 10))
}

func (c spec) unsigned(out []byte, u uint64) []byte {
	prefix := ""
	base := 10
	switch c.verb {
	case 'o':
		base = 8
	case 'x', 'X':
		base = 16
		if c.sharp && u != 0 {
			prefix = "0" + string(c.verb)
		}
	}
	digits := strconv.AppendUint(nil, u, base)
	if c.verb == 'X' {
		digits = bytes.ToUpper(digits)
	}
	if c.verb == 'o' && c.sharp && u != 0 {
		digits = append([]byte{'0'}, digits...)
	}
	return c.digits(out, prefix, digits)
}

// digits appends an integer; its precision is the least number of digits.
func (c spec) digits(out []byte, prefix string, digits []byte) []byte {
	if c.precision < 0 {
		return c.pad(out, prefix, digits, true)
	}
	if c.precision == 0 && string(digits) == "0" {
		digits = nil
	}
	if missing := c.precision - len(digits); missing > 0 {
		digits = append(bytes.Repeat([]byte{'0'}, missing), digits...)
	}
	return c.pad(out, prefix, digits, false)
}

func (c spec) float(out []byte, f float64) []byte {
	sign := c.sign(math.Signbit(f) && !math.IsNaN(f))
	f = math.Abs(f)
	upper := c.verb < 'a'
	verb := c.verb | 0x20
	if math.IsInf(f, 0) || math.IsNaN(f) {
		text := []byte("inf")
		if math.IsNaN(f) {
			text = []byte("nan")
		}
		if upper {
			text = bytes.ToUpper(text)
		}
		return c.pad(out, sign, text, false)
	}
	precision := c.precision
	var text []byte
	switch {
	case verb == 'a':
		text = strconv.AppendFloat(nil, f, 'x', precision, 64)
		// C writes as few digits of the exponent as there are.
		if n := len(text); text[n-2] == '0' && !isDigit(text[n-3]) {
			text = append(text[:n-2], text[n-1])
		}
		sign, text = sign+"0x", text[2:]
	case precision < 0:
		text = strconv.AppendFloat(nil, f, verb, 6, 64)
	case precision == 0 && verb == 'g':
		text = strconv.AppendFloat(nil, f, verb, 1, 64)
	default:
		text = strconv.AppendFloat(nil, f, verb, precision, 64)
	}
	if upper {
		sign, text = strings.ToUpper(sign), bytes.ToUpper(text)
	}
	return c.pad(out, sign, text, true)
}

// pad appends prefix and text, filled up to the width with blanks, or between
// them with zeros if that is asked for and allowed.
func (c spec) pad(out []byte, prefix string, text []byte, zeros bool) []byte {
	missing := c.width - len(prefix) - len(text)
	fill := func(b byte) {
		for ; missing > 0; missing-- {
			out = append(out, b)
		}
	}
	if !c.minus && (!c.zero || !zeros) {
		fill(' ')
	}
	out = append(out, prefix...)
	if !c.minus {
		fill('0')
	}
	out = append(out, text...)
	fill(' ')
	return out
}

// appendQuoted appends s as a string of Lua source.
func appendQuoted(out []byte, s string) []byte {
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '\n':
			out = append(out, '\\', c)
		case c < 0x20 || c == 0x7f:
			out = append(out, '\\')
			if i+1 < len(s) && isDigit(s[i+1]) && c < 100 {
				out = append(out, '0')
				if c < 10 {
					out = append(out, '0')
				}
			}
			out = strconv.AppendUint(out, uint64(c), 10)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
