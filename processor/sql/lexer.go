package sql

import (
	"fmt"
	"strings"

	"github.com/kagarilog/kagari/option"
)

// kind is what a word of a query is. Punctuation and operators are their own
// text, keywords the word in capitals.
type kind string

const (
	kindEnd    kind = "the end"
	kindName   kind = "a name"
	kindInt    kind = "an integer"
	kindFloat  kind = "a number"
	kindString kind = "text"
)

var keywords = []kind{"SELECT", "AS", "FROM", "STREAM", "WHERE", "AND", "OR", "NOT", "IS", "NULL", "TRUE", "FALSE"}

// token is one word of a query.
type token struct {
	kind kind
	text string // of names, numbers and texts
	at   int    // offset in the query
}

func (t token) String() string {
	switch t.kind {
	case kindName, kindInt, kindFloat:
		return t.text
	case kindString:
		return "'" + t.text + "'"
	}
	return string(t.kind)
}

// split returns the words of a query, the end as the last.
func split(s string) ([]token, error) {
	var all []token
	for i := 0; i < len(s); {
		c := s[i]
		if c == ' ' || c == '\t' || c == '\n' || c == '\r' {
			i++
			continue
		}
		t, n := next(s[i:])
		if n == 0 {
			return nil, option.Within(s, i, fmt.Errorf("%q at offset %d has no meaning in a query", s[i:i+1], i))
		}
		t.at = i
		all = append(all, t)
		i += n
	}
	return append(all, token{kind: kindEnd, at: len(s)}), nil
}

// next reads the word at the start of s and returns how long it is; 0 if there
// is none.
func next(s string) (token, int) {
	for _, op := range []kind{"!=", "<>", "<=", ">=", "<", ">", "*", ",", "=", "(", ")", ";"} {
		if strings.HasPrefix(s, string(op)) {
			return token{kind: op}, len(op)
		}
	}
	switch c := s[0]; {
	case c == '\'':
		return text(s)
	case c == '-' || isDigit(c):
		return number(s)
	case c == '_' || isLetter(c):
		n := 1
		for n < len(s) && (s[n] == '_' || s[n] == '.' || isLetter(s[n]) || isDigit(s[n])) {
			n++
		}
		for _, k := range keywords {
			if strings.EqualFold(s[:n], string(k)) {
				return token{kind: k}, n
			}
		}
		return token{kind: kindName, text: s[:n]}, n
	}
	return token{}, 0
}

func isDigit(c byte) bool  { return c-'0' <= 9 }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// text reads text in single quotes, in which two stand for one.
func text(s string) (token, int) {
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			i++
			continue
		}
		return token{kind: kindString, text: strings.ReplaceAll(s[1:i], "''", "'")}, i + 1
	}
	return token{}, 0
}

// number reads an integer without leading zeros, or one with a fraction.
func number(s string) (token, int) {
	n := 0
	if s[0] == '-' {
		n++
	}
	start := n
	for n < len(s) && isDigit(s[n]) {
		n++
		if s[start] == '0' {
			break // What follows is a number of its own.
		}
	}
	if n == start {
		return token{}, 0
	}
	end := n
	if n+1 < len(s) && s[n] == '.' && isDigit(s[n+1]) {
		for end++; end < len(s) && isDigit(s[end]); end++ {
		}
	}
	if end > n {
		return token{kind: kindFloat, text: s[:end]}, end
	}
	return token{kind: kindInt, text: s[:n]}, n
}
