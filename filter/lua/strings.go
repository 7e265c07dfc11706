package lua

import (
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// openStrings replaces functions of the library string that differ from
// LuaJIT's: gopher-lua changes the case of letters beyond ASCII and breaks bytes
// that are no UTF-8 in doing so, and knows fewer patterns and formats.
func (m *machine) openStrings() {
	m.replace(m.library("string"), map[string]lua.LGFunction{
		"find":    strFind,
		"match":   strMatch,
		"gmatch":  strGmatch,
		"gfind":   strGmatch,
		"gsub":    strGsub,
		"format":  strFormat,
		"len":     strLen,
		"sub":     strSub,
		"lower":   strLower,
		"upper":   strUpper,
		"rep":     strRep,
		"reverse": strReverse,
	})
}

// argString returns argument number n, which may be a number as well.
func argString(l *lua.LState, n int) string {
	switch v := l.Get(n).(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return formatNumber(float64(v))
	}
	return l.CheckString(n)
}

// optInt returns argument number n as an integer, or def if it is nil.
func optInt(l *lua.LState, n, def int) int {
	if l.Get(n) == lua.LNil {
		return def
	}
	return clampInt(float64(l.CheckNumber(n)))
}

// clampInt cuts f off after the point. The limit is far beyond all lengths and
// leaves room to calculate.
func clampInt(f float64) int {
	const limit = 1 << 40
	switch {
	case f > limit:
		return limit
	case f > -limit:
		return int(f)
	}
	return -limit // Also what is no number.
}

func strLen(l *lua.LState) int {
	l.Push(lua.LNumber(len(argString(l, 1))))
	return 1
}

func strSub(l *lua.LState) int {
	s := argString(l, 1)
	from, to := optInt(l, 2, 1), optInt(l, 3, -1)
	if from < 0 {
		from += len(s) + 1
	}
	if to < 0 {
		to += len(s) + 1
	}
	from, to = max(from, 1), min(to, len(s))
	if from > to {
		l.Push(lua.LString(""))
	} else {
		l.Push(lua.LString(s[from-1 : to]))
	}
	return 1
}

func strLower(l *lua.LState) int { return mapBytes(l, 'A', 'Z') }
func strUpper(l *lua.LState) int { return mapBytes(l, 'a', 'z') }

// mapBytes changes the case of the letters from low to high.
func mapBytes(l *lua.LState, low, high byte) int {
	s := argString(l, 1)
	for i := range len(s) {
		if c := s[i]; c < low || c > high {
			continue
		}
		var b strings.Builder
		b.Grow(len(s))
		b.WriteString(s[:i])
		for ; i < len(s); i++ {
			c := s[i]
			if low <= c && c <= high {
				c ^= 0x20
			}
			b.WriteByte(c)
		}
		s = b.String()
		break
	}
	l.Push(lua.LString(s))
	return 1
}

// maxString is how long a string may become by string.rep, as in LuaJIT.
const maxString = math.MaxInt32

func strRep(l *lua.LState) int {
	s, n := argString(l, 1), optInt(l, 2, math.MinInt)
	if l.Get(2) == lua.LNil {
		l.CheckNumber(2)
	}
	sep := ""
	if l.Get(3) != lua.LNil {
		sep = argString(l, 3)
	}
	if n <= 0 || len(s)+len(sep) == 0 {
		l.Push(lua.LString(""))
		return 1
	}
	if n > maxString/(len(s)+len(sep)) {
		l.RaiseError("resulting string too large")
	}
	l.Push(lua.LString(strings.Repeat(s+sep, n-1) + s))
	return 1
}

func strReverse(l *lua.LState) int {
	s := argString(l, 1)
	b := make([]byte, len(s))
	for i := range len(s) {
		b[len(s)-1-i] = s[i]
	}
	l.Push(lua.LString(b))
	return 1
}

func strFind(l *lua.LState) int  { return find(l, true) }
func strMatch(l *lua.LState) int { return find(l, false) }

// find is string.find, or string.match.
func find(l *lua.LState, where bool) int {
	s, pat := argString(l, 1), argString(l, 2)
	from := optInt(l, 3, 1)
	if from < 0 {
		from += len(s) + 1
	}
	if from = max(from, 1) - 1; from > len(s) {
		l.Push(lua.LNil)
		return 1
	}
	if where && (l.ToBool(4) || !strings.ContainsAny(pat, "^$*+?.([%-")) {
		i := strings.Index(s[from:], pat)
		if i < 0 {
			l.Push(lua.LNil)
			return 1
		}
		l.Push(lua.LNumber(from + i + 1))
		l.Push(lua.LNumber(from + i + len(pat)))
		return 2
	}
	m := matcher{state: l, src: s, pat: pat}
	p := 0
	if strings.HasPrefix(pat, "^") {
		p = 1
	}
	for start := from; start <= len(s); start++ {
		if end := m.at(start, p); end != noMatch {
			if !where {
				return m.pushCaptures(start, end)
			}
			l.Push(lua.LNumber(start + 1))
			l.Push(lua.LNumber(end))
			if m.count == 0 {
				return 2
			}
			return 2 + m.pushCaptures(start, end)
		}
		if p == 1 {
			break
		}
	}
	l.Push(lua.LNil)
	return 1
}

// capture returns capture number i of a match, which is all of the match if the
// pattern has none.
func (m *matcher) capture(i, start, end int) lua.LValue {
	if i >= m.count {
		if i > 0 {
			m.state.RaiseError("invalid capture index")
		}
		return lua.LString(m.src[start:end])
	}
	switch c := m.captures[i]; c.size {
	case positionCapture:
		return lua.LNumber(c.start + 1)
	case openCapture:
		m.state.RaiseError("unfinished capture")
	}
	return lua.LString(m.text(i))
}

func (m *matcher) pushCaptures(start, end int) int {
	n := max(m.count, 1)
	for i := range n {
		m.state.Push(m.capture(i, start, end))
	}
	return n
}

func strGmatch(l *lua.LState) int {
	s, pat := argString(l, 1), argString(l, 2)
	start := 0
	l.Push(l.NewFunction(func(l *lua.LState) int {
		m := matcher{state: l, src: s, pat: pat}
		for ; start <= len(s); start++ {
			end := m.at(start, 0)
			if end == noMatch {
				continue
			}
			from := start
			if start = end; end == from {
				start++
			}
			return m.pushCaptures(from, end)
		}
		l.Push(lua.LNil)
		return 1
	}))
	return 1
}

func strGsub(l *lua.LState) int {
	s, pat := argString(l, 1), argString(l, 2)
	repl := l.Get(3)
	switch v := repl.(type) {
	case lua.LNumber:
		repl = lua.LString(formatNumber(float64(v)))
	case lua.LString, *lua.LTable, *lua.LFunction:
	default:
		l.TypeError(3, lua.LTString)
	}
	limit := optInt(l, 4, len(s)+1)
	m := matcher{state: l, src: s, pat: pat}
	p := 0
	if strings.HasPrefix(pat, "^") {
		p = 1
	}
	var out []byte // nil as long as nothing was replaced
	copied, n := 0, 0
	for start := 0; n < limit; {
		end := m.at(start, p)
		if end != noMatch {
			n++
			out = append(out, s[copied:start]...)
			out = m.replacement(out, repl, start, end)
			copied = end
		}
		if end > start {
			start = end
		} else if start++; start > len(s) {
			break
		}
		if p == 1 {
			break
		}
	}
	if n == 0 {
		l.Push(lua.LString(s))
	} else {
		l.Push(lua.LString(append(out, s[copied:]...)))
	}
	l.Push(lua.LNumber(n))
	return 2
}

// replacement appends what replaces the match.
func (m *matcher) replacement(out []byte, repl lua.LValue, start, end int) []byte {
	l := m.state
	var v lua.LValue
	switch repl := repl.(type) {
	case lua.LString:
		for i := 0; i < len(repl); i++ {
			c := repl[i]
			if c != '%' {
				out = append(out, c)
				continue
			}
			i++
			switch {
			case i >= len(repl):
				out = append(out, 0) // As the end of a C string is.
			case !isDigit(repl[i]):
				out = append(out, repl[i])
			case repl[i] == '0':
				out = append(out, m.src[start:end]...)
			default:
				out = append(out, toString(m.capture(int(repl[i]-'1'), start, end))...)
			}
		}
		return out
	case *lua.LTable:
		v = l.GetTable(repl, m.capture(0, start, end))
	case *lua.LFunction:
		l.Push(repl)
		l.Call(m.pushCaptures(start, end), 1)
		v = l.Get(-1)
		l.Pop(1)
	}
	switch v := v.(type) {
	case lua.LString:
		return append(out, v...)
	case lua.LNumber:
		return appendNumberText(out, float64(v))
	}
	if !lua.LVIsFalse(v) {
		l.RaiseError("invalid replacement value (a %s)", v.Type().String())
	}
	return append(out, m.src[start:end]...)
}

// toString is the text of a string or number.
func toString(v lua.LValue) string {
	if n, ok := v.(lua.LNumber); ok {
		return formatNumber(float64(n))
	}
	return v.String()
}
