package stream

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// tokenKind is the kind of a token. Symbols are of kindSymbol and keywords of
// kindKeyword; their text tells which.
type tokenKind uint8

const (
	kindEnd tokenKind = iota
	kindName
	kindQuotedName
	kindKeyword // reserved by Fluent Bit, in upper case
	kindText    // in single quotes, without them
	kindInt
	kindFloat
	kindSymbol
	kindFromStream // STREAM:
	kindFromTag    // TAG:
	kindRecord     // @record
)

type token struct {
	kind     tokenKind
	text     string
	pos, end int
}

// keywords are the words that Fluent Bit reserves. A key of that name needs
// double quotes. All other words of the language are known by where they stand.
var keywords = map[string]bool{
	"CREATE": true, "FLUSH": true, "STREAM": true, "SNAPSHOT": true, "WITH": true, "SELECT": true, "AS": true,
	"FROM": true, "WHERE": true, "AND": true, "OR": true, "NOT": true, "WINDOW": true, "LIMIT": true, "IS": true,
	"NULL": true, "SUM": true, "AVG": true, "COUNT": true, "MIN": true, "MAX": true, "TIMESERIES_FORECAST": true,
	"CONTAINS": true, "TIME": true, "TUMBLING": true, "HOPPING": true, "HOUR": true, "MINUTE": true, "SECOND": true,
	"NOW": true, "UNIX_TIMESTAMP": true, "RECORD_TAG": true, "RECORD_TIME": true, "TRUE": true, "FALSE": true,
}

// symbols of more than one character come first.
var symbols = []string{"!=", "<>", "<=", ">=", "=~", "!~", "||", "==", "*", ",", "=", "(", ")", "[", "]", ".", ";", "<", ">", "+", "-", "/", "%"}

// scan splits a statement into tokens; the last is of kindEnd. As in Fluent Bit,
// characters without a meaning are passed over, but here with a warning.
func scan(query string) (tokens []token, warnings []Warning, err error) {
	i := 0
	fail := func(pos int, fix, format string, args ...any) error {
		return &Error{Query: query, Offset: pos, Msg: fmt.Sprintf(format, args...), Fix: fix}
	}
	add := func(kind tokenKind, text string, start int) {
		tokens = append(tokens, token{kind, text, start, i})
	}
	for i < len(query) {
		c, start := query[i], i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case strings.HasPrefix(query[i:], "--"):
			for i < len(query) && query[i] != '\n' {
				i++
			}
		case isNameStart(c):
			for i < len(query) && (isNameStart(query[i]) || isDigit(query[i]) || query[i] == '.') {
				i++
			}
			word := query[start:i]
			upper := strings.ToUpper(word)
			switch {
			case i < len(query) && query[i] == ':' && upper == "STREAM":
				i++
				add(kindFromStream, "STREAM:", start)
			case i < len(query) && query[i] == ':' && upper == "TAG":
				i++
				add(kindFromTag, "TAG:", start)
			case keywords[upper]:
				add(kindKeyword, upper, start)
			default:
				add(kindName, word, start)
			}
		case isDigit(c):
			kind := kindInt
			digits := func() {
				for i < len(query) && isDigit(query[i]) {
					i++
				}
			}
			digits()
			if i+1 < len(query) && query[i] == '.' && isDigit(query[i+1]) {
				kind = kindFloat
				i++
				digits()
			}
			if e := exponent(query[i:]); e > 0 {
				kind = kindFloat
				i += e
			}
			if i < len(query) && isNameStart(query[i]) {
				return nil, nil, fail(i, "a name that begins with a digit needs double quotes", "a name follows a number without a space")
			}
			add(kind, query[start:i], start)
		case c == '\'':
			text, end, ok := quoted(query, i, '\'')
			if !ok {
				return nil, nil, fail(i, "a quote within a text is written twice", "the text has no closing quote")
			}
			i = end
			add(kindText, text, start)
		case c == '"' || c == '`':
			text, end, ok := quoted(query, i, c)
			if !ok {
				return nil, nil, fail(i, "", "the name has no closing %c", c)
			}
			if text == "" {
				return nil, nil, fail(i, "", "a name is empty")
			}
			i = end
			add(kindQuotedName, text, start)
		case c == '@' && len(query) >= i+7 && strings.EqualFold(query[i:i+7], "@record"):
			i += 7
			add(kindRecord, "@record", start)
		default:
			found := false
			for _, s := range symbols {
				if strings.HasPrefix(query[i:], s) {
					i += len(s)
					if s == "==" {
						s = "="
					}
					add(kindSymbol, s, start)
					found = true
					break
				}
			}
			if !found {
				r, size := utf8.DecodeRuneInString(query[i:])
				i += size
				warnings = append(warnings, Warning{Query: query, Offset: start, Msg: fmt.Sprintf("the character %q has no meaning here and is passed over", r),
					Fix: "a name with special characters needs double quotes"})
			}
		}
	}
	add(kindEnd, "", len(query))
	tokens[len(tokens)-1].pos = len(query)
	return tokens, warnings, nil
}

// exponent returns the length of the exponent that s begins with, or 0.
func exponent(s string) int {
	if s == "" || s[0]|0x20 != 'e' {
		return 0
	}
	i := 1
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	from := i
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == from || i < len(s) && isNameStart(s[i]) {
		return 0
	}
	return i
}

// quoted returns the text in quotes that starts at offset i of s. The quote
// written twice stands for one.
func quoted(s string, i int, quote byte) (text string, end int, ok bool) {
	for j := i + 1; j < len(s); j++ {
		if s[j] != quote {
			continue
		}
		if j+1 < len(s) && s[j+1] == quote {
			j++
			continue
		}
		q := string(quote)
		return strings.ReplaceAll(s[i+1:j], q+q, q), j + 1, true
	}
	return "", 0, false
}

func isNameStart(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
