package stream

import (
	"bytes"
	"unicode/utf8"
)

// like is a pattern in which % stands for any text and _ for one character. A
// backslash takes the meaning from what follows.
type like struct {
	parts []likePart
	fold  bool
}

// likePart is a literal text, any one character, or any text.
type likePart struct {
	text []byte
	one  bool
	any  bool
}

func newLike(pattern string, fold bool) *like {
	l := &like{fold: fold}
	if fold {
		pattern = string(bytes.ToLower([]byte(pattern)))
	}
	var lit []byte
	end := func() {
		if len(lit) > 0 {
			l.parts = append(l.parts, likePart{text: lit})
			lit = nil
		}
	}
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '%':
			end()
			if n := len(l.parts); n == 0 || !l.parts[n-1].any {
				l.parts = append(l.parts, likePart{any: true})
			}
		case c == '_':
			end()
			l.parts = append(l.parts, likePart{one: true})
		case c == '\\' && i+1 < len(pattern):
			i++
			lit = append(lit, pattern[i])
		default:
			lit = append(lit, c)
		}
	}
	end()
	return l
}

// matches tells whether the whole text fits. It takes at most len(s) steps for
// each part.
func (l *like) matches(s []byte) bool {
	i, p := 0, 0
	// Where to go on if the parts behind the last % do not fit: one further.
	back, from := -1, 0
	for {
		switch {
		case p < len(l.parts) && l.parts[p].any:
			back, from = p+1, i
			p++
			if p == len(l.parts) {
				return true
			}
			continue
		case p < len(l.parts) && l.parts[p].one && i < len(s):
			_, size := utf8.DecodeRune(s[i:])
			i += size
			p++
			continue
		case p < len(l.parts) && l.parts[p].text != nil && l.prefix(s[i:], l.parts[p].text):
			i += len(l.parts[p].text)
			p++
			continue
		case p == len(l.parts) && i == len(s):
			return true
		}
		if back < 0 || from >= len(s) {
			return false
		}
		_, size := utf8.DecodeRune(s[from:])
		from += size
		i, p = from, back
	}
}

// prefix tells whether s begins with lit. Only ASCII letters fold.
func (l *like) prefix(s, lit []byte) bool {
	if len(s) < len(lit) {
		return false
	}
	if !l.fold {
		return bytes.Equal(s[:len(lit)], lit)
	}
	for i, c := range lit {
		d := s[i]
		if d >= 'A' && d <= 'Z' {
			d |= 0x20
		}
		if c != d {
			return false
		}
	}
	return true
}
