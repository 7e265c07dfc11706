package pipetest

import (
	"strings"

	"github.com/kagarilog/kagari/regex"
)

// The engine of expressions does not know how far it came before it gave up. So
// the expression is cut into its elements, and the longest beginning of it that
// still fits the line is searched for: what follows there is what does not fit.

// maxElements bounds the search.
const maxElements = 300

// stopper knows an expression cut into its elements.
type stopper struct {
	alternatives [][]beginning // each by rising length; nil if the search is too long
	tooLong      bool
}

// beginning is the first elements of an expression.
type beginning struct {
	fits, next string
	compiled   bool
	re         *regex.Regexp // nil if it is no expression by itself
	wrap       func(string) string
}

func newStopper(pattern string) *stopper {
	body, wrap := unwrap(pattern)
	s := &stopper{}
	n := 0
	for _, alt := range alternatives(body) {
		ends := elementEnds(alt)
		if n += len(ends); n > maxElements {
			return &stopper{tooLong: true}
		}
		begins := []beginning{{next: alt}}
		for _, end := range ends {
			begins = append(begins, beginning{fits: alt[:end], next: alt[end:], wrap: wrap})
		}
		s.alternatives = append(s.alternatives, begins)
	}
	return s
}

// stop finds where the expression stops that does not fit the line, or nil if
// that cannot be told.
func (s *stopper) stop(line []byte) *Stop {
	if s.tooLong {
		return nil
	}
	var best *Stop
	for _, begins := range s.alternatives {
		found, ok := longest(begins, line)
		if !ok {
			return nil
		}
		if best == nil || found.At > best.At {
			best = found
		}
	}
	return best
}

// longest finds the longest beginning of an expression that fits the line.
func longest(begins []beginning, line []byte) (*Stop, bool) {
	for k := len(begins) - 1; k > 0; k-- {
		b := &begins[k]
		caps, fits, err := b.find(line)
		switch {
		case err != nil:
			return nil, false // It takes too long, and shorter ones would, too.
		case fits && k == len(begins)-1:
			return nil, false // All of it fits, so that something else is wrong.
		case fits:
			return &Stop{At: caps[1], Fits: b.fits, Next: b.next}, true
		}
	}
	return &Stop{Next: begins[0].next}, true
}

func (b *beginning) find(line []byte) (caps []int, ok bool, err error) {
	if !b.compiled {
		// It may be no expression, such as one that refers to a later group.
		b.re, _ = regex.Compile(b.wrap(b.fits))
		b.compiled = true
	}
	if b.re == nil {
		return nil, false, nil
	}
	return b.re.FindAt(line, 0, nil)
}

// unwrap takes off the slashes and flags of /…/im; wrap puts them on again.
func unwrap(pattern string) (body string, wrap func(string) string) {
	last := strings.LastIndexByte(pattern, '/')
	if len(pattern) > 1 && pattern[0] == '/' && last > 0 && strings.Trim(pattern[last+1:], "imox") == "" {
		return pattern[1:last], func(s string) string { return "/" + s + pattern[last:] }
	}
	return pattern, func(s string) string { return s }
}

// alternatives splits an expression at the bars outside of groups.
func alternatives(expr string) []string {
	var out []string
	start := 0
	for i := 0; i < len(expr); {
		if expr[i] == '|' {
			out = append(out, expr[start:i])
			start = i + 1
		}
		i = atomEnd(expr, i)
	}
	return append(out, expr[start:])
}

// elementEnds returns where the elements of an expression end: characters,
// escapes, classes and groups with what repeats them. The expression was
// compiled before, so that it is well-formed.
func elementEnds(expr string) []int {
	var out []int
	for i := 0; i < len(expr); {
		i = quantifierEnd(expr, atomEnd(expr, i))
		out = append(out, i)
	}
	return out
}

// atomEnd returns the end of the atom at i.
func atomEnd(expr string, i int) int {
	switch expr[i] {
	case '\\':
		return escapeEnd(expr, i)
	case '[':
		return classEnd(expr, i)
	case '(':
		depth := 0
		for i < len(expr) {
			switch expr[i] {
			case '\\':
				i = escapeEnd(expr, i)
				continue
			case '[':
				i = classEnd(expr, i)
				continue
			case '(':
				depth++
			case ')':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return i
	}
	// A character of several bytes is one.
	for i++; i < len(expr) && expr[i]&0xc0 == 0x80; i++ {
	}
	return i
}

// escapeEnd returns the end of the escape at i.
func escapeEnd(expr string, i int) int {
	end := min(i+2, len(expr))
	if end == i+2 && strings.IndexByte("kgpPxuoMC", expr[i+1]) >= 0 && end < len(expr) {
		switch open := expr[end]; {
		case open == '<' && strings.IndexByte("kg", expr[i+1]) >= 0:
			if n := strings.IndexByte(expr[end:], '>'); n >= 0 {
				return end + n + 1
			}
		case open == '{':
			if n := strings.IndexByte(expr[end:], '}'); n >= 0 {
				return end + n + 1
			}
		}
	}
	digits := 0
	switch {
	case end < i+2:
	case expr[i+1] == 'x':
		digits = 2
	case expr[i+1] == 'u':
		digits = 4
	}
	for ; digits > 0 && end < len(expr) && strings.IndexByte("0123456789abcdefABCDEF", expr[end]) >= 0; digits-- {
		end++
	}
	return end
}

// classEnd returns the end of the class at i, which may hold others.
func classEnd(expr string, i int) int {
	depth := 0
	first := false
	for i < len(expr) {
		switch c := expr[i]; {
		case c == '\\':
			i = escapeEnd(expr, i)
			first = false
			continue
		case c == '[':
			depth++
			if i++; i < len(expr) && expr[i] == '^' {
				i++
			}
			first = true
			continue
		case c == ']' && !first:
			if depth--; depth == 0 {
				return i + 1
			}
		}
		first = false
		i++
	}
	return i
}

// quantifierEnd returns the end of what repeats the atom that ends at i.
func quantifierEnd(expr string, i int) int {
	for i < len(expr) {
		switch expr[i] {
		case '*', '+', '?':
			i++
			continue
		case '{':
			n := strings.IndexByte(expr[i:], '}')
			if n > 1 && strings.Trim(expr[i+1:i+n], "0123456789,") == "" {
				i += n + 1
				continue
			}
		}
		return i
	}
	return i
}
