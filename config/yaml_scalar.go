package config

import (
	"strings"
	"unicode/utf8"
)

// plainScalar scans text without quotes, folding its line breaks.
func (s *yamlScanner) plainScalar() error {
	var out, blanks, lead, trail []rune
	start, indent, folded := s.m, s.indent+1, false
	for !s.documentMark() && s.at(0) != '#' {
		for !isBlankZ(s.at(0)) {
			c, next := s.at(0), s.at(1)
			if s.flow > 0 && c == ':' && strings.ContainsRune(",?[]{}", next) && next != 0 {
				return s.fail(s.m, `a ":" needs a blank after it here`)
			}
			if c == ':' && isBlankZ(next) || s.flow > 0 && strings.ContainsRune(",[]{}", c) {
				break
			}
			if folded {
				out = fold(out, lead, trail)
				lead, trail, folded = lead[:0], trail[:0], false
			} else {
				out = append(out, blanks...)
			}
			blanks = blanks[:0]
			out = append(out, c)
			s.skip()
		}
		if !isBlank(s.at(0)) && !isBreak(s.at(0)) {
			break
		}
		for isBlank(s.at(0)) || isBreak(s.at(0)) {
			switch {
			case isBreak(s.at(0)) && !folded:
				blanks, folded = blanks[:0], true
				lead = s.readLine(lead)
			case isBreak(s.at(0)):
				trail = s.readLine(trail)
			case folded:
				if s.m.col < indent && s.at(0) == '\t' {
					return s.fail(s.m, "a tab stands where YAML allows only spaces")
				}
				s.skip()
			default:
				blanks = append(blanks, s.at(0))
				s.skip()
			}
		}
		if s.flow == 0 && s.m.col < indent {
			break
		}
	}
	s.queue = append(s.queue, token{kind: tokScalar, mark: start, text: string(out), plain: true})
	if folded {
		s.keyAllowed = true
	}
	return nil
}

// fold appends the line breaks between two lines of folded text: a single one
// becomes a blank.
func fold(out, lead, trail []rune) []rune {
	if len(lead) == 0 || lead[0] != '\n' {
		out = append(out, lead...)
		return append(out, trail...)
	}
	if len(trail) == 0 {
		return append(out, ' ')
	}
	return append(out, trail...)
}

// quotedScalar scans text in single or double quotes.
func (s *yamlScanner) quotedScalar(quote rune) error {
	var out, blanks, lead, trail []rune
	start := s.m
	s.skip()
	for {
		if s.documentMark() {
			return s.fail(start, "the quoted text does not end before the document does")
		}
		if s.atEnd() {
			return s.fail(start, "the quoted text has no closing quote")
		}
		folded := false
	text:
		for !isBlankZ(s.at(0)) {
			c := s.at(0)
			switch {
			case c == '\'' && quote == '\'' && s.at(1) == '\'':
				out = append(out, '\'')
				s.skip()
				s.skip()
			case c == quote:
				break text
			case c == '\\' && quote == '"' && isBreak(s.at(1)):
				s.skip()
				s.skipLine()
				folded = true
				break text
			case c == '\\' && quote == '"':
				r, err := s.escape()
				if err != nil {
					return err
				}
				out = append(out, r)
			default:
				out = append(out, c)
				s.skip()
			}
		}
		if s.at(0) == quote {
			break
		}
		for isBlank(s.at(0)) || isBreak(s.at(0)) {
			switch {
			case isBreak(s.at(0)) && !folded:
				blanks, folded = blanks[:0], true
				lead = s.readLine(lead)
			case isBreak(s.at(0)):
				trail = s.readLine(trail)
			case folded:
				s.skip()
			default:
				blanks = append(blanks, s.at(0))
				s.skip()
			}
		}
		if folded {
			out = fold(out, lead, trail)
			lead, trail = lead[:0], trail[:0]
		} else {
			out = append(out, blanks...)
		}
		blanks = blanks[:0]
	}
	s.skip()
	s.queue = append(s.queue, token{kind: tokScalar, mark: start, text: string(out)})
	return nil
}

// escape reads a backslash and what it stands for.
func (s *yamlScanner) escape() (rune, error) {
	at := s.m
	s.skip()
	c := s.at(0)
	digits := 0
	switch c {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		const from, to = "0abt\tnvfre \"/\\N_LP", "\x00\a\b\t\t\n\v\f\r\x1b \"/\\\u0085\u00a0\u2028\u2029"
		n := strings.IndexRune(from, c)
		if c == 0 {
			return 0, s.fail(at, "the quoted text has no closing quote")
		}
		if n < 0 {
			return 0, s.fail(at, `unknown escape "\`+string(c)+`"; write "\\" for a backslash, or use single quotes`)
		}
		s.skip()
		return []rune(to)[n], nil
	}
	s.skip()
	v := 0
	for range digits {
		d := hexDigit(s.at(0))
		if d < 0 {
			return 0, s.fail(at, "the escape needs more hexadecimal digits")
		}
		v = v<<4 | d
		s.skip()
	}
	if v > utf8.MaxRune || v >= 0xd800 && v <= 0xdfff {
		return 0, s.fail(at, "the escape is no Unicode character")
	}
	return rune(v), nil
}

func hexDigit(r rune) int {
	switch {
	case r >= '0' && r <= '9':
		return int(r - '0')
	case r >= 'a' && r <= 'f':
		return int(r-'a') + 10
	case r >= 'A' && r <= 'F':
		return int(r-'A') + 10
	}
	return -1
}

// blockScalar scans the text after | or >.
func (s *yamlScanner) blockScalar(literal bool) error {
	start := s.m
	s.skip()
	chomp, increment := 0, 0
	for range 2 {
		switch c := s.at(0); {
		case chomp == 0 && (c == '+' || c == '-'):
			chomp = 1
			if c == '-' {
				chomp = -1
			}
			s.skip()
		case increment == 0 && c >= '0' && c <= '9':
			if c == '0' {
				return s.fail(s.m, "the indentation of a block cannot be 0")
			}
			increment = int(c - '0')
			s.skip()
		}
	}
	for isBlank(s.at(0)) {
		s.skip()
	}
	if s.at(0) == '#' {
		for !isBreakZ(s.at(0)) {
			s.skip()
		}
	}
	if !isBreakZ(s.at(0)) {
		return s.fail(s.m, `the text of a block starts on the line after "|" or ">"`)
	}
	if isBreak(s.at(0)) {
		s.skipLine()
	}
	indent := 0
	if increment > 0 {
		indent = max(s.indent, 0) + increment
	}
	var out, lead, trail []rune
	trail, err := s.blockBreaks(&indent, trail)
	if err != nil {
		return err
	}
	leadBlank := false
	for s.m.col == indent && !s.atEnd() {
		blank := isBlank(s.at(0))
		if !literal && len(lead) > 0 && lead[0] == '\n' && !leadBlank && !blank {
			if len(trail) == 0 {
				out = append(out, ' ')
			}
		} else {
			out = append(out, lead...)
		}
		out = append(out, trail...)
		lead, trail = lead[:0], trail[:0]
		leadBlank = blank
		for !isBreakZ(s.at(0)) {
			out = append(out, s.at(0))
			s.skip()
		}
		lead = s.readLine(lead)
		if trail, err = s.blockBreaks(&indent, trail); err != nil {
			return err
		}
	}
	if chomp >= 0 {
		out = append(out, lead...)
	}
	if chomp > 0 {
		out = append(out, trail...)
	}
	s.queue = append(s.queue, token{kind: tokScalar, mark: start, text: string(out)})
	return nil
}

// blockBreaks reads empty lines and the indentation of the next one; an
// *indent of 0 is set to what it finds.
func (s *yamlScanner) blockBreaks(indent *int, breaks []rune) ([]rune, error) {
	deepest := 0
	for {
		for (*indent == 0 || s.m.col < *indent) && s.at(0) == ' ' {
			s.skip()
		}
		deepest = max(deepest, s.m.col)
		if (*indent == 0 || s.m.col < *indent) && s.at(0) == '\t' {
			return nil, s.fail(s.m, "a tab stands where YAML allows only spaces")
		}
		if !isBreak(s.at(0)) {
			break
		}
		breaks = s.readLine(breaks)
	}
	if *indent == 0 {
		*indent = max(deepest, s.indent+1, 1)
	}
	return breaks, nil
}

// anchor scans the name after & or *.
func (s *yamlScanner) anchor(kind tokenKind) error {
	start := s.m
	s.skip()
	from := s.m.index
	for isWord(s.at(0)) {
		s.skip()
	}
	name := string(s.buf[from:s.m.index])
	if c := s.at(0); name == "" || !isBlankZ(c) && !strings.ContainsRune("?:,]}%@`", c) {
		if kind == tokAlias {
			return s.fail(start, `a value cannot start with "*"; put it in quotes`)
		}
		return s.fail(start, `a value cannot start with "&"; put it in quotes`)
	}
	s.queue = append(s.queue, token{kind: kind, mark: start, text: name})
	return nil
}

// tag scans !x, !!x, !h!x or !<x>. Only the handle is kept: tags mean nothing
// to the configuration, but their syntax is checked.
func (s *yamlScanner) tag() error {
	start := s.m
	handle := ""
	if s.at(1) == '<' {
		s.skip()
		s.skip()
		if n, err := s.tagURI(start, true); err != nil || n == 0 {
			return s.tagError(start, err)
		}
		if s.at(0) != '>' {
			return s.tagError(start, nil)
		}
		s.skip()
	} else {
		h := s.tagHandle()
		if len(h) > 1 && h[len(h)-1] == '!' {
			handle = h
			if n, err := s.tagURI(start, false); err != nil || n == 0 {
				return s.tagError(start, err)
			}
		} else if n, err := s.tagURI(start, false); err != nil {
			return err
		} else if n == 0 && len(h) == 1 && !isBlankZ(s.at(0)) && (s.flow == 0 || s.at(0) != ',') {
			return s.tagError(start, nil)
		}
	}
	if (s.flow == 0 || s.at(0) != ',') && !isBlankZ(s.at(0)) {
		return s.tagError(start, nil)
	}
	s.queue = append(s.queue, token{kind: tokTag, mark: start, text: handle})
	return nil
}

func (s *yamlScanner) tagError(at mark, err error) error {
	if err != nil {
		return err
	}
	return s.fail(at, `a value cannot start with "!"; put it in quotes`)
}

// tagHandle reads !, !! or !word!, or as much of it as there is.
func (s *yamlScanner) tagHandle() string {
	from := s.m.index
	s.skip()
	for isWord(s.at(0)) {
		s.skip()
	}
	if s.at(0) == '!' {
		s.skip()
	}
	return string(s.buf[from:s.m.index])
}

// tagURI skips the characters of a tag and counts them.
func (s *yamlScanner) tagURI(start mark, verbatim bool) (n int, err error) {
	for ; ; n++ {
		c := s.at(0)
		switch {
		case isWord(c), c != 0 && strings.ContainsRune(";/?:@&=+$.!~*'()", c),
			verbatim && c != 0 && strings.ContainsRune(",[]", c):
			s.skip()
		case c == '%':
			if err := s.tagEscapes(start); err != nil {
				return n, err
			}
		default:
			return n, nil
		}
	}
}

// tagEscapes skips a run of %XX, which must be valid UTF-8.
func (s *yamlScanner) tagEscapes(start mark) error {
	var octets []byte
	for s.at(0) == '%' {
		hi, lo := hexDigit(s.at(1)), hexDigit(s.at(2))
		if hi < 0 || lo < 0 {
			return s.fail(start, "the tag has a bad % escape")
		}
		octets = append(octets, byte(hi<<4|lo))
		s.skip()
		s.skip()
		s.skip()
	}
	if !utf8.Valid(octets) {
		return s.fail(start, "the % escapes of the tag are not valid UTF-8")
	}
	return nil
}

// fetchDirective scans a line that starts with %.
func (s *yamlScanner) fetchDirective() error {
	s.unroll(-1)
	if err := s.dropKey(); err != nil {
		return err
	}
	s.keyAllowed = false
	start := s.m
	s.skip()
	from := s.m.index
	for isWord(s.at(0)) {
		s.skip()
	}
	name := string(s.buf[from:s.m.index])
	bad := func() error { return s.fail(start, "the directive %"+name+" is not understood") }
	if !isBlankZ(s.at(0)) {
		return bad()
	}
	for isBlank(s.at(0)) {
		s.skip()
	}
	switch name {
	case "YAML":
		from = s.m.index
		for s.at(0) >= '0' && s.at(0) <= '9' || s.at(0) == '.' {
			s.skip()
		}
		if v := string(s.buf[from:s.m.index]); v != "1.1" && v != "1.2" {
			return s.fail(start, "this version of YAML is not supported")
		}
		s.queue = append(s.queue, token{kind: tokVersionDirective, mark: start})
	case "TAG":
		if s.at(0) != '!' {
			return bad()
		}
		handle := s.tagHandle()
		if handle[len(handle)-1] != '!' || !isBlank(s.at(0)) {
			return bad()
		}
		for isBlank(s.at(0)) {
			s.skip()
		}
		if n, err := s.tagURI(start, true); err != nil || n == 0 || !isBlankZ(s.at(0)) {
			return bad()
		}
		s.queue = append(s.queue, token{kind: tokTagDirective, mark: start, text: handle})
	default:
		return bad()
	}
	for isBlank(s.at(0)) {
		s.skip()
	}
	if s.at(0) == '#' {
		for !isBreakZ(s.at(0)) {
			s.skip()
		}
	}
	if !isBreakZ(s.at(0)) {
		return bad()
	}
	if isBreak(s.at(0)) {
		s.skipLine()
	}
	return nil
}
