package lua

import (
	lua "github.com/yuin/gopher-lua"
)

// matcher matches Lua patterns (Lua 5.1 reference manual, 5.4.1), with the
// classes %f and %g that LuaJIT has. gopher-lua's own does not know them all and
// takes bytes for runes here and there.
type matcher struct {
	state    *lua.LState
	src, pat string
	depth    int
	steps    int
	count    int // captures so far
	captures [maxCaptures]capture
}

// capture is where a capture starts and how long it is.
type capture struct{ start, size int }

const (
	maxCaptures = 32
	// maxMatchDepth is how many parts of a pattern may wait for each other.
	maxMatchDepth = 200

	// stepsPerLook is how often a pattern that takes long looks at the brake.
	stepsPerLook = 1 << 14

	openCapture     = -1 // its end is not known yet
	positionCapture = -2 // () captures where it is
)

// noMatch is where a part ends that does not match.
const noMatch = -1

// at matches the whole pattern from offset p at offset s of the text and returns
// where the match ends.
func (m *matcher) at(s, p int) int {
	m.count = 0
	return m.match(s, p)
}

func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxMatchDepth {
		m.state.RaiseError("pattern too complex")
	}
	if m.steps++; m.steps%stepsPerLook == 0 {
		m.look()
	}
	end := m.rest(s, p)
	m.depth--
	return end
}

// look fails if the script has to stop.
func (m *matcher) look() {
	select {
	case <-m.state.Context().Done():
		m.state.RaiseError("%s", m.state.Context().Err().Error())
	default:
	}
}

// rest matches the rest of the pattern.
func (m *matcher) rest(s, p int) int {
	for p < len(m.pat) {
		switch m.pat[p] {
		case '(':
			if p+1 < len(m.pat) && m.pat[p+1] == ')' {
				return m.open(s, p+2, positionCapture)
			}
			return m.open(s, p+1, openCapture)
		case ')':
			return m.close(s, p+1)
		case '$':
			if p+1 == len(m.pat) {
				if s == len(m.src) {
					return s
				}
				return noMatch
			}
		case '%':
			if p+1 == len(m.pat) {
				break
			}
			switch c := m.pat[p+1]; {
			case c == 'b':
				if s = m.balance(s, p+2); s == noMatch {
					return noMatch
				}
				p += 4
				continue
			case c == 'f':
				p += 2
				if p == len(m.pat) || m.pat[p] != '[' {
					m.state.RaiseError("missing '[' after '%%f' in pattern")
				}
				end := m.classEnd(p)
				before, here := byte(0), byte(0)
				if s > 0 {
					before = m.src[s-1]
				}
				if s < len(m.src) {
					here = m.src[s]
				}
				if m.inSet(before, p, end-1) || !m.inSet(here, p, end-1) {
					return noMatch
				}
				p = end
				continue
			case isDigit(c):
				text := m.back(c)
				if len(m.src)-s < len(text) || m.src[s:s+len(text)] != text {
					return noMatch
				}
				s += len(text)
				p += 2
				continue
			}
		}
		end := m.classEnd(p)
		repeat := byte(0)
		if end < len(m.pat) {
			repeat = m.pat[end]
		}
		switch repeat {
		case '?':
			if m.single(s, p, end) {
				if e := m.match(s+1, end+1); e != noMatch {
					return e
				}
			}
			p = end + 1
		case '+':
			if !m.single(s, p, end) {
				return noMatch
			}
			return m.longest(s+1, p, end)
		case '*':
			return m.longest(s, p, end)
		case '-':
			return m.shortest(s, p, end)
		default:
			if !m.single(s, p, end) {
				return noMatch
			}
			s, p = s+1, end
		}
	}
	return s
}

// longest matches as many of the class at p as lets the rest match.
func (m *matcher) longest(s, p, end int) int {
	n := 0
	for m.single(s+n, p, end) {
		n++
	}
	for ; n >= 0; n-- {
		if e := m.match(s+n, end+1); e != noMatch {
			return e
		}
	}
	return noMatch
}

// shortest matches as few of the class at p as lets the rest match.
func (m *matcher) shortest(s, p, end int) int {
	for {
		if e := m.match(s, end+1); e != noMatch {
			return e
		}
		if !m.single(s, p, end) {
			return noMatch
		}
		s++
	}
}

func (m *matcher) open(s, p, size int) int {
	if m.count == maxCaptures {
		m.state.RaiseError("too many captures")
	}
	m.captures[m.count] = capture{s, size}
	m.count++
	e := m.match(s, p)
	if e == noMatch {
		m.count--
	}
	return e
}

func (m *matcher) close(s, p int) int {
	for i := m.count - 1; i >= 0; i-- {
		c := &m.captures[i]
		if c.size != openCapture {
			continue
		}
		c.size = s - c.start
		e := m.match(s, p)
		if e == noMatch {
			c.size = openCapture
		}
		return e
	}
	m.state.RaiseError("invalid pattern capture")
	return noMatch
}

// balance matches %bxy, whose x is at p.
func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		m.state.RaiseError("unbalanced pattern")
	}
	if s >= len(m.src) || m.src[s] != m.pat[p] {
		return noMatch
	}
	for i, open := s+1, 1; i < len(m.src); i++ {
		switch m.src[i] {
		case m.pat[p+1]:
			if open--; open == 0 {
				return i + 1
			}
		case m.pat[p]:
			open++
		}
	}
	return noMatch
}

// back returns the text of the capture that %1 to %9 stand for.
func (m *matcher) back(c byte) string {
	i := int(c) - '1'
	if i < 0 || i >= m.count || m.captures[i].size == openCapture {
		m.state.RaiseError("invalid capture index")
	}
	if m.captures[i].size == positionCapture {
		return ""
	}
	return m.text(i)
}

func (m *matcher) text(i int) string {
	c := m.captures[i]
	return m.src[c.start : c.start+c.size]
}

// classEnd returns the end of the class that starts at p.
func (m *matcher) classEnd(p int) int {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p == len(m.pat) {
			m.state.RaiseError("malformed pattern (ends with '%%')")
		}
		return p + 1
	case '[':
		if p < len(m.pat) && m.pat[p] == '^' {
			p++
		}
		for first := true; ; first = false {
			if p >= len(m.pat) {
				m.state.RaiseError("malformed pattern (missing ']')")
			}
			c := m.pat[p]
			p++
			if c == '%' && p < len(m.pat) {
				p++
			} else if c == ']' && !first {
				return p
			}
		}
	}
	return p
}

// single tells whether the byte at s is of the class in pat[p:end].
func (m *matcher) single(s, p, end int) bool {
	if s >= len(m.src) {
		return false
	}
	switch c := m.src[s]; m.pat[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pat[p+1])
	case '[':
		return m.inSet(c, p, end-1)
	default:
		return m.pat[p] == c
	}
}

// inSet tells whether c is in the set whose brackets are at p and end.
func (m *matcher) inSet(c byte, p, end int) bool {
	in := true
	if p++; m.pat[p] == '^' {
		in = false
		p++
	}
	for p < end {
		switch {
		case m.pat[p] == '%' && p+1 < len(m.pat):
			if inClass(c, m.pat[p+1]) {
				return in
			}
			p += 2
		case p+2 < end && m.pat[p+1] == '-':
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return in
			}
			p += 3
		default:
			if m.pat[p] == c {
				return in
			}
			p++
		}
	}
	return !in
}

// inClass tells whether c is of the class that a letter stands for, or is the
// character itself if that is none.
func inClass(c, class byte) bool {
	in := false
	switch class | 0x20 {
	case 'a':
		in = isAlpha(c)
	case 'c':
		in = c < 0x20 || c == 0x7f
	case 'd':
		in = isDigit(c)
	case 'g':
		in = 0x21 <= c && c < 0x7f
	case 'l':
		in = 'a' <= c && c <= 'z'
	case 'p':
		in = 0x21 <= c && c < 0x7f && !isAlpha(c) && !isDigit(c)
	case 's':
		in = c == ' ' || '\t' <= c && c <= '\r'
	case 'u':
		in = 'A' <= c && c <= 'Z'
	case 'w':
		in = isAlpha(c) || isDigit(c)
	case 'x':
		in = isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return class == c
	}
	if !isAlpha(class) {
		return class == c // Another character with this bit.
	}
	return in == (class >= 'a')
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
