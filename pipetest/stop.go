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

// stopOf finds where an expression stops that does not fit the line, or nil.
func stopOf(pattern string, line []byte) *Stop {
	body, wrap := unwrap(pattern)
	var best *Stop
	for _, alt := range alternatives(body) {
		ends := elementEnds(alt)
		if ends == nil || len(ends) > maxElements {
			return nil
		}
		s := longest(alt, ends, wrap, line)
		if s != nil && (best == nil || s.At > best.At) {
			best = s
		}
	}
	return best
}

// longest finds the longest beginning of an expression, up to one of ends, that
// fits the line.
func longest(expr string, ends []int, wrap func(string) string, line []byte) *Stop {
	for k := len(ends) - 1; k >= 0; k-- {
		// A beginning may be none by itself, such as one that refers to a later
		// group.
		re, err := regex.Compile(wrap(expr[:ends[k]]))
		if err != nil {
			continue
		}
		caps, ok, err := re.FindAt(line, 0, nil)
		switch {
		case err != nil:
			return nil // It takes too long, and the shorter ones would, too.
		case ok:
			if k == len(ends)-1 {
				return nil // It fits, so that something else is wrong.
			}
			return &Stop{At: caps[1], Fits: expr[:ends[k]], Next: expr[ends[k]:]}
		}
	}
	return &Stop{Next: expr}
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
// compiled before, so that it is well-formed. It is nil for an expression that is
// one element only.
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
