package event

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Accessor is the path to one value of a record, Fluent Bit's record accessor
// (manual page "Record Accessor"):
//
//	$log  $kubernetes['labels']['app.kubernetes.io/name']  $list[0]['name']
//
// It is read-only and safe for concurrent use.
type Accessor struct {
	pattern string
	key     string
	path    []pathStep
	rest    string
}

// pathStep is one step inside a value: a key of a map, or an index of an array.
type pathStep struct {
	key   string
	index int // Negative: key counts.
}

// ParseAccessor reads the path at the start of s. A path begins with $ and a
// name of letters, digits and any of _ - /, which does not begin with a digit;
// [n] and ['key'] follow; two quotes within a key stand for one. Text that does
// not begin with $ is the name of a top-level key, as it is.
//
// As in Fluent Bit the path ends at the first dot, space, comma or quotation
// mark, what follows has no meaning (see [Accessor.Ignored]), and characters
// that have no meaning in a path are skipped: $@timestamp is the key timestamp.
func ParseAccessor(s string) (*Accessor, error) {
	t, err := ParseTemplate(s)
	if err != nil {
		return nil, err
	}
	if len(t.parts) == 0 {
		return nil, fmt.Errorf("parse record accessor %q: there is no key", s)
	}
	switch p := t.parts[0]; p.kind {
	case partText:
		return &Accessor{pattern: s, key: p.text, rest: s[len(p.text):]}, nil
	case partKey:
		a := *p.key
		a.pattern = s
		return &a, nil
	default:
		return nil, fmt.Errorf("parse record accessor %q: it does not name a key of the record", s)
	}
}

// String returns the text the accessor was made from.
func (a *Accessor) String() string { return a.pattern }

// Key returns the name of the top-level key.
func (a *Accessor) Key() string { return a.key }

// Ignored returns the text behind the path, which has no effect. A
// configuration that has some is likely to mean something else.
func (a *Accessor) Ignored() string { return a.rest }

// EndsInIndex reports whether the last step of the path is an index. Such a
// place has no key, which is why some plugins of Fluent Bit do not find it.
func (a *Accessor) EndsInIndex() bool {
	n := len(a.path)
	return n > 0 && a.path[n-1].index >= 0
}

// Lookup returns the value at the path in rec, a packed map; it aliases rec. Of
// entries with the same key the last counts.
func (a *Accessor) Lookup(rec Value) (Value, bool) {
	v, ok := rec.Get(a.key)
	if !ok {
		return nil, false
	}
	return a.Descend(v)
}

// LookupIn is Lookup in a record whose top-level values first returns.
func (a *Accessor) LookupIn(first func(name string) (Value, bool)) (Value, bool) {
	v, ok := first(a.key)
	if !ok {
		return nil, false
	}
	return a.Descend(v)
}

// Descend follows the rest of the path in top, the value of the top-level key.
// If top is neither an array nor a map, it is the result, whatever the path
// says further: Fluent Bit takes the text of $log['level'] from a log that is
// just a string.
func (a *Accessor) Descend(top Value) (Value, bool) {
	if len(a.path) == 0 {
		return top, true
	}
	if k := top.Kind(); k != KindMap && k != KindArray {
		return top, true
	}
	v := top
	for i := range a.path {
		step := &a.path[i]
		var ok bool
		if step.index < 0 {
			v, ok = v.Get(step.key)
		} else {
			v, ok = v.index(step.index)
		}
		if !ok {
			return nil, false
		}
	}
	return v, true
}

// index returns the element of an array with the given index.
func (v Value) index(i int) (Value, bool) {
	n, b, err := ReadArrayHeader(v)
	if err != nil || i >= n {
		return nil, false
	}
	at, err := skip(b, 0, uint64(i), 0)
	if err != nil {
		return nil, false
	}
	item, _, err := Next(b[at:])
	return item, err == nil
}

var errPathSyntax = errors.New("expected $name, $name['key'] or $name[index]")

// parsePath reads a path that takes up all of s, which begins with $. The rules
// are those of Fluent Bit's lexer and grammar (ra.l and ra.y).
func parsePath(s string) (*Accessor, error) {
	a := &Accessor{pattern: s}
	p := pathScanner{s: s, i: 1}
	tok, text := p.next()
	if tok != 'a' {
		return nil, errPathSyntax
	}
	a.key = text
	for {
		switch tok, _ = p.next(); tok {
		case 0:
			return a, nil
		case '[':
		default:
			return nil, errPathSyntax
		}
		switch tok, text = p.next(); tok {
		case '\'':
			a.path = append(a.path, pathStep{key: text, index: -1})
		case '0':
			a.path = append(a.path, pathStep{index: parseIndex(text)})
		default:
			return nil, errPathSyntax
		}
		if tok, _ = p.next(); tok != ']' {
			return nil, errPathSyntax
		}
	}
}

// parseIndex returns the number that s begins with, as atoi does, or 0 if there
// is none. What is beyond any index becomes [math.MaxInt32].
func parseIndex(s string) int {
	s = strings.TrimLeft(s, " \t\n")
	neg := strings.HasPrefix(s, "-")
	if neg || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	n := 0
	for i := 0; i < len(s) && isDigit(s[i]); i++ {
		n = min(n*10+int(s[i]-'0'), math.MaxInt32)
	}
	if neg {
		return -n
	}
	return n
}

// pathScanner splits a path into tokens.
type pathScanner struct {
	s string
	i int
}

// next returns the kind of the next token: a for a name, a quote for a key in
// quotes, 0 for a number, the character itself for punctuation, or zero at the
// end.
func (p *pathScanner) next() (tok byte, text string) {
	for p.i < len(p.s) {
		c := p.s[p.i]
		start := p.i
		p.i++
		switch {
		case isNameStart(c):
			for p.i < len(p.s) && (isNameStart(p.s[p.i]) || isDigit(p.s[p.i]) || strings.IndexByte(".-/", p.s[p.i]) >= 0) {
				p.i++
			}
			return 'a', p.s[start:p.i]
		case isDigit(c):
			for c != '0' && p.i < len(p.s) && isDigit(p.s[p.i]) {
				p.i++
			}
			return '0', p.s[start:p.i]
		case c == '\'':
			if text, end, ok := quotedKey(p.s, p.i); ok {
				p.i = end
				return '\'', text
			}
		case strings.IndexByte("$[].,;", c) >= 0:
			return c, ""
		}
		// Everything else is skipped.
	}
	return 0, ""
}

func isNameStart(c byte) bool {
	return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// quotedKey returns the key in quotes whose first quote is in front of offset
// i, and the offset behind it. Two quotes stand for one.
func quotedKey(s string, i int) (key string, end int, ok bool) {
	for j := i; j < len(s); j++ {
		if s[j] != '\'' {
			continue
		}
		if j+1 < len(s) && s[j+1] == '\'' {
			j++
			continue
		}
		return strings.ReplaceAll(s[i:j], "''", "'"), j + 1, true
	}
	return "", 0, false
}
