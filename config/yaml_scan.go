package config

import (
	"bytes"
	"errors"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kagarilog/kagari/option"
)

// The YAML reader follows YAML 1.1 as libyaml 0.2.5 reads it, token by token,
// because Fluent Bit reads its files with that library: a file is taken or
// refused, and every scalar has the same text, exactly as there.

// yamlError is a place where a file is no YAML.
type yamlError struct {
	msg  string // lower case, without the place
	mark mark
}

func (e *yamlError) Error() string { return e.msg }

// mark is a place in the text; line and col count from 0, col in characters.
type mark struct{ index, line, col int }

func (m mark) pos(file string) option.Pos {
	return option.Pos{File: file, Line: m.line + 1, Col: m.col + 1}
}

type tokenKind uint8

const (
	tokStreamEnd tokenKind = iota
	tokVersionDirective
	tokTagDirective
	tokDocumentStart
	tokDocumentEnd
	tokBlockSequenceStart
	tokBlockMappingStart
	tokBlockEnd
	tokFlowSequenceStart
	tokFlowSequenceEnd
	tokFlowMappingStart
	tokFlowMappingEnd
	tokBlockEntry
	tokFlowEntry
	tokKey
	tokValue
	tokAlias
	tokAnchor
	tokTag
	tokScalar
)

type token struct {
	kind  tokenKind
	mark  mark
	text  string // scalar, anchor, alias; handle of a tag
	plain bool   // scalar without quotes and not a block
}

// simpleKey remembers where a key without "?" may have started.
type simpleKey struct {
	possible, required bool
	number             int // of the token that would become the key
	mark               mark
}

// yamlScanner cuts a text into tokens.
type yamlScanner struct {
	buf []rune // ends with four NUL
	m   mark

	queue      []token
	parsed     int // tokens taken from the queue so far
	done       bool
	keyAllowed bool
	indent     int
	indents    []int
	flow       int
	keys       []simpleKey // one per flow level
}

// maxYAMLDepth bounds the nesting of collections. Fluent Bit's own structure
// needs about ten levels.
const maxYAMLDepth = 100

// maxSimpleKey is the length that a key without "?" may have, in characters.
const maxSimpleKey = 1024

func newYAMLScanner(text []byte) (*yamlScanner, error) {
	runes, err := yamlRunes(text)
	if err != nil {
		return nil, err
	}
	return &yamlScanner{buf: append(runes, 0, 0, 0, 0), indent: -1, keyAllowed: true,
		keys: make([]simpleKey, 1)}, nil
}

// yamlRunes decodes UTF-8, or UTF-16 with a byte order mark, and refuses the
// characters that YAML does not allow.
func yamlRunes(text []byte) ([]rune, error) {
	var runes []rune
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		if len(text)%2 != 0 {
			return nil, &yamlError{msg: "the file has half a UTF-16 character at its end"}
		}
		units := make([]uint16, 0, len(text)/2)
		for i := 0; i < len(text); i += 2 {
			hi, lo := text[i], text[i+1]
			if text[0] == 0xff {
				hi, lo = lo, hi
			}
			units = append(units, uint16(hi)<<8|uint16(lo))
		}
		runes = utf16.Decode(units)[1:]
	default:
		text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		runes = make([]rune, 0, len(text)+4)
		for i := 0; i < len(text); {
			r, n := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && n == 1 {
				return nil, &yamlError{msg: "the file is not valid UTF-8", mark: markAt(runes)}
			}
			runes = append(runes, r)
			i += n
		}
	}
	for i, r := range runes {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0x7e, r == 0x85,
			r >= 0xa0 && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000:
		default:
			return nil, &yamlError{msg: "the file has a control character", mark: markAt(runes[:i])}
		}
	}
	return runes, nil
}

// markAt is the place after the given text.
func markAt(before []rune) mark {
	s := yamlScanner{buf: append(before[:len(before):len(before)], 0, 0, 0, 0)}
	for s.m.index < len(before) {
		if isBreak(s.at(0)) {
			s.skipLine()
		} else {
			s.skip()
		}
	}
	return s.m
}

func isBreak(r rune) bool {
	return r == '\n' || r == '\r' || r == 0x85 || r == 0x2028 || r == 0x2029
}
func isBlank(r rune) bool  { return r == ' ' || r == '\t' }
func isBreakZ(r rune) bool { return r == 0 || isBreak(r) }
func isBlankZ(r rune) bool { return isBlank(r) || isBreakZ(r) }
func isWord(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '_' || r == '-'
}

// at looks n characters ahead, at most three; 0 is the end.
func (s *yamlScanner) at(n int) rune { return s.buf[s.m.index+n] }

// atEnd tells whether all text is used up.
func (s *yamlScanner) atEnd() bool { return s.m.index >= len(s.buf)-4 }

func (s *yamlScanner) skip() {
	s.m.index++
	s.m.col++
}

func (s *yamlScanner) skipLine() {
	if s.at(0) == '\r' && s.at(1) == '\n' {
		s.m.index++
	}
	s.m.index++
	s.m.line++
	s.m.col = 0
}

// readLine appends the line break at hand to dst, in its normal form.
func (s *yamlScanner) readLine(dst []rune) []rune {
	r := s.at(0)
	if !isBreak(r) {
		return dst
	}
	if r != 0x2028 && r != 0x2029 {
		r = '\n'
	}
	s.skipLine()
	return append(dst, r)
}

func (s *yamlScanner) fail(at mark, msg string) error { return &yamlError{msg: msg, mark: at} }

// peek returns the next token without taking it.
func (s *yamlScanner) peek() (token, error) {
	for {
		need := len(s.queue) == 0
		if !need {
			if err := s.staleKeys(); err != nil {
				return token{}, err
			}
			for _, k := range s.keys {
				if k.possible && k.number == s.parsed {
					need = true
					break
				}
			}
		}
		if !need {
			return s.queue[0], nil
		}
		if s.done {
			return token{}, errors.New("BUG: the YAML scanner was read past its end")
		}
		if err := s.fetch(); err != nil {
			return token{}, err
		}
	}
}

// take removes the token that peek returned.
func (s *yamlScanner) take() {
	s.queue = s.queue[1:]
	s.parsed++
}

func (s *yamlScanner) add(kind tokenKind, n int) {
	s.queue = append(s.queue, token{kind: kind, mark: s.m})
	for range n {
		s.skip()
	}
}

// fetch scans one more token, and the tokens that it implies.
func (s *yamlScanner) fetch() error {
	s.toNextToken()
	if err := s.staleKeys(); err != nil {
		return err
	}
	s.unroll(s.m.col)
	c, next := s.at(0), s.at(1)
	if s.atEnd() {
		return s.fetchEnd()
	}
	if s.m.col == 0 && c == '%' {
		return s.fetchDirective()
	}
	if s.documentMark() {
		kind := tokDocumentStart
		if c == '.' {
			kind = tokDocumentEnd
		}
		s.unroll(-1)
		if err := s.dropKey(); err != nil {
			return err
		}
		s.keyAllowed = false
		s.add(kind, 3)
		return nil
	}
	switch {
	case c == '[':
		return s.flowStart(tokFlowSequenceStart)
	case c == '{':
		return s.flowStart(tokFlowMappingStart)
	case c == ']':
		return s.flowEnd(tokFlowSequenceEnd)
	case c == '}':
		return s.flowEnd(tokFlowMappingEnd)
	case c == ',':
		if err := s.dropKey(); err != nil {
			return err
		}
		s.keyAllowed = true
		s.add(tokFlowEntry, 1)
		return nil
	case c == '-' && isBlankZ(next):
		return s.blockEntry()
	case c == '?' && (s.flow > 0 || isBlankZ(next)):
		return s.explicitKey()
	case c == ':' && (s.flow > 0 || isBlankZ(next)):
		return s.value()
	case c == '*':
		return s.keyed(func() error { return s.anchor(tokAlias) })
	case c == '&':
		return s.keyed(func() error { return s.anchor(tokAnchor) })
	case c == '!':
		return s.keyed(s.tag)
	case (c == '|' || c == '>') && s.flow == 0:
		if err := s.dropKey(); err != nil {
			return err
		}
		s.keyAllowed = true
		return s.blockScalar(c == '|')
	case c == '\'' || c == '"':
		return s.keyed(func() error { return s.quotedScalar(c) })
	}
	starts := !isBlankZ(c)
	switch c {
	case '-':
		starts = !isBlank(next)
	case '?', ':':
		starts = s.flow == 0 && !isBlankZ(next)
	case ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`':
		starts = false
	}
	if !starts {
		if c == '\t' {
			return s.fail(s.m, "a tab stands where YAML allows only spaces")
		}
		return s.fail(s.m, "a value cannot start with "+quoteRune(c)+"; put it in quotes")
	}
	return s.keyed(s.plainScalar)
}

func quoteRune(r rune) string {
	if r == '"' {
		return `'"'`
	}
	return `"` + string(r) + `"`
}

// keyed scans a token that may turn out to be a key.
func (s *yamlScanner) keyed(scan func() error) error {
	if err := s.saveKey(); err != nil {
		return err
	}
	s.keyAllowed = false
	return scan()
}

// documentMark tells whether --- or ... stands here, alone in its column.
func (s *yamlScanner) documentMark() bool {
	c := s.at(0)
	return s.m.col == 0 && (c == '-' || c == '.') && s.at(1) == c && s.at(2) == c && isBlankZ(s.at(3))
}

// toNextToken skips blanks, comments and line breaks. Tabs are refused where
// they could be taken for indentation.
func (s *yamlScanner) toNextToken() {
	for {
		if s.m.col == 0 && s.at(0) == 0xfeff {
			s.skip()
		}
		for s.at(0) == ' ' || s.at(0) == '\t' && (s.flow > 0 || !s.keyAllowed) {
			s.skip()
		}
		if s.at(0) == '#' {
			for !isBreakZ(s.at(0)) {
				s.skip()
			}
		}
		if !isBreak(s.at(0)) {
			return
		}
		s.skipLine()
		if s.flow == 0 {
			s.keyAllowed = true
		}
	}
}

// staleKeys gives up keys that are too long or went over the end of the line.
func (s *yamlScanner) staleKeys() error {
	for i := range s.keys {
		k := &s.keys[i]
		if k.possible && (k.mark.line < s.m.line || k.mark.index+maxSimpleKey < s.m.index) {
			if k.required {
				return s.fail(k.mark, `a ":" is missing after this key`)
			}
			k.possible = false
		}
	}
	return nil
}

func (s *yamlScanner) saveKey() error {
	required := s.flow == 0 && s.indent == s.m.col
	if !s.keyAllowed {
		return nil
	}
	if err := s.dropKey(); err != nil {
		return err
	}
	s.keys[len(s.keys)-1] = simpleKey{possible: true, required: required,
		number: s.parsed + len(s.queue), mark: s.m}
	return nil
}

func (s *yamlScanner) dropKey() error {
	k := &s.keys[len(s.keys)-1]
	if k.possible && k.required {
		return s.fail(k.mark, `a ":" is missing after this key`)
	}
	k.possible = false
	return nil
}

// roll opens a block collection if the column is deeper than the current one.
// number is that of the token in front of which it starts, or -1 for the end.
func (s *yamlScanner) roll(col, number int, kind tokenKind, at mark) error {
	if s.flow > 0 || s.indent >= col {
		return nil
	}
	if len(s.indents) >= maxYAMLDepth {
		return s.fail(at, "the nesting is too deep")
	}
	s.indents = append(s.indents, s.indent)
	s.indent = col
	t := token{kind: kind, mark: at}
	if number < 0 {
		s.queue = append(s.queue, t)
	} else {
		s.insert(number, t)
	}
	return nil
}

func (s *yamlScanner) insert(number int, t token) {
	i := number - s.parsed
	s.queue = append(s.queue, token{})
	copy(s.queue[i+1:], s.queue[i:])
	s.queue[i] = t
}

func (s *yamlScanner) unroll(col int) {
	for s.flow == 0 && s.indent > col {
		s.add(tokBlockEnd, 0)
		s.indent = s.indents[len(s.indents)-1]
		s.indents = s.indents[:len(s.indents)-1]
	}
}

func (s *yamlScanner) fetchEnd() error {
	if s.m.col != 0 {
		s.m.col = 0
		s.m.line++
	}
	s.unroll(-1)
	if err := s.dropKey(); err != nil {
		return err
	}
	s.keyAllowed = false
	s.add(tokStreamEnd, 0)
	s.done = true
	return nil
}

func (s *yamlScanner) flowStart(kind tokenKind) error {
	if err := s.saveKey(); err != nil {
		return err
	}
	if s.flow >= maxYAMLDepth {
		return s.fail(s.m, "the nesting is too deep")
	}
	s.keys = append(s.keys, simpleKey{})
	s.flow++
	s.keyAllowed = true
	s.add(kind, 1)
	return nil
}

func (s *yamlScanner) flowEnd(kind tokenKind) error {
	if err := s.dropKey(); err != nil {
		return err
	}
	if s.flow > 0 {
		s.flow--
		s.keys = s.keys[:len(s.keys)-1]
	}
	s.keyAllowed = false
	s.add(kind, 1)
	return nil
}

func (s *yamlScanner) blockEntry() error {
	if s.flow == 0 {
		if !s.keyAllowed {
			return s.fail(s.m, `a list entry "-" cannot stand here; start it on its own line`)
		}
		if err := s.roll(s.m.col, -1, tokBlockSequenceStart, s.m); err != nil {
			return err
		}
	}
	if err := s.dropKey(); err != nil {
		return err
	}
	s.keyAllowed = true
	s.add(tokBlockEntry, 1)
	return nil
}

func (s *yamlScanner) explicitKey() error {
	if s.flow == 0 {
		if !s.keyAllowed {
			return s.fail(s.m, `a key "?" cannot stand here`)
		}
		if err := s.roll(s.m.col, -1, tokBlockMappingStart, s.m); err != nil {
			return err
		}
	}
	if err := s.dropKey(); err != nil {
		return err
	}
	s.keyAllowed = s.flow == 0
	s.add(tokKey, 1)
	return nil
}

func (s *yamlScanner) value() error {
	k := &s.keys[len(s.keys)-1]
	if k.possible {
		s.insert(k.number, token{kind: tokKey, mark: k.mark})
		if err := s.roll(k.mark.col, k.number, tokBlockMappingStart, k.mark); err != nil {
			return err
		}
		k.possible = false
		s.keyAllowed = false
	} else {
		if s.flow == 0 {
			if !s.keyAllowed {
				return s.fail(s.m, `a ":" cannot stand here; a value that holds ": " must be in quotes`)
			}
			if err := s.roll(s.m.col, -1, tokBlockMappingStart, s.m); err != nil {
				return err
			}
		}
		s.keyAllowed = s.flow == 0
	}
	s.add(tokValue, 1)
	return nil
}
