package regex

import "strings"

// A classToken is one element of a bracketed class.
type classToken uint8

const (
	classChar  classToken = iota
	classRange            // "-"
	classSet              // \d, \p{…}
	classPosix            // the "[" of [:alpha:]
	classOpen             // "[" of a class in the class
	classAnd              // &&
	classClose            // "]"
	classEnd              // end of the pattern
)

// A classParser reads one bracketed class.
//
// Next to what the class contains it keeps what of that is written out, as characters and ranges rather than as \w:
// only from there does case folding cross the ASCII border.
type classParser struct {
	*parser
	set, explicit charset
	// left and leftExplicit are what stands before the last &&.
	left, leftExplicit charset
	hasLeft            bool

	// The token at hand: its value, whether that is a stray byte (or ASCII), and its set.
	v        rune
	isByte   bool
	tokenSet charset
	asWord   bool

	// The value waiting to become a member or the start of a range.
	from       rune
	fromByte   bool
	fromClass  bool // the last element was a set: nothing waits
	state      classState
	tokenStart int
}

type classState uint8

const (
	stateStart    classState = iota // nothing read yet
	stateValue                      // one value or set read
	stateRange                      // a value and "-" read
	stateComplete                   // a range completed
)

// class reads a class after its "[" and returns a node for one character.
func (p *parser) class(start int) (*node, error) {
	set, explicit, negated, err := p.classSets()
	if err != nil {
		return nil, err
	}
	if c, ok := set.single(); ok && !negated {
		// Onigmo takes the byte of [\xE9] for a code point.
		if c >= rawBase {
			c -= rawBase
		}
		return p.char(start, c), nil
	}
	if p.has(flagFold) {
		set = set.fold(explicit)
	}
	set = set.withLeads()
	if negated {
		set = set.negate()
	}
	return &node{kind: nodeSet, offset: start, set: set}, nil
}

// classSets reads a class and returns what it contains before negation.
func (p *parser) classSets() (set, explicit charset, negated bool, err error) {
	if err := p.deeper(); err != nil {
		return nil, nil, false, err
	}
	c := &classParser{parser: p}
	negated = p.accept("^")
	// A bracket right at the start is text, if there is another one to close the class.
	closes := p.peek() == ']' && !p.eof()
	if closes && !p.hasClosingBracket(p.pos+1) {
		return nil, nil, false, p.errorf(p.pos, "empty char-class")
	}
	t, err := c.token()
	if closes {
		t = classChar
	}
	for ; err == nil && t != classClose; t, err = c.next(t) {
		if t == classEnd {
			return nil, nil, false, p.errorf(p.pos, "premature end of char-class")
		}
	}
	if err != nil {
		return nil, nil, false, err
	}
	c.flush()
	if c.hasLeft {
		c.set = c.left.intersect(c.set)
		c.explicit = c.leftExplicit.intersect(c.explicit)
	}
	p.depth--
	return c.set, c.explicit, negated, nil
}

func (p *parser) hasClosingBracket(from int) bool {
	for i := from; i < len(p.src); i++ {
		switch p.src[i] {
		case '\\':
			i++
		case ']':
			return true
		}
	}
	return false
}

// next handles token t and reads the following one.
func (c *classParser) next(t classToken) (classToken, error) {
	switch t {
	case classChar:
		if err := c.value(c.v, c.isByte); err != nil {
			return 0, err
		}
	case classSet:
		if err := c.addSet(c.tokenSet, !c.asWord); err != nil {
			return 0, err
		}
	case classPosix:
		name, not, found, err := c.posixName()
		if err != nil {
			return 0, err
		}
		if !found {
			if err := c.value('[', true); err != nil {
				return 0, err
			}
			break
		}
		set := c.posix(name, flagASCIIPosix)
		if not {
			set = set.negateRunes()
		}
		if err := c.addSet(set, name != "word" && name != "ascii" && !c.has(flagASCIIPosix)); err != nil {
			return 0, err
		}
	case classOpen:
		set, explicit, negated, err := c.classSets()
		if err != nil {
			return 0, err
		}
		if negated {
			set, explicit = set.negate(), explicit.negate()
		}
		c.set, c.explicit = c.set.union(set), c.explicit.union(explicit)
	case classAnd:
		c.flush()
		if c.hasLeft {
			c.set = c.left.intersect(c.set)
			c.explicit = c.leftExplicit.intersect(c.explicit)
		}
		c.left, c.leftExplicit, c.hasLeft = c.set, c.explicit, true
		c.set, c.explicit, c.state = nil, nil, stateStart
	case classRange:
		return c.dash()
	}
	return c.token()
}

// dash handles "-" and returns the token after it.
func (c *classParser) dash() (classToken, error) {
	start := c.pos - 1
	if c.state == stateRange {
		if err := c.value('-', true); err != nil { // [!--]
			return 0, err
		}
		return c.token()
	}
	t, err := c.token()
	if err != nil {
		return 0, err
	}
	switch {
	case c.state == stateStart, c.state == stateComplete, t == classClose, t == classAnd:
		// A dash at an end, or after a range, is text.
		err = c.value('-', true)
	case c.fromClass:
		return 0, c.errorf(start, "unmatched range specifier in char-class")
	default:
		c.state = stateRange
	}
	return t, err
}

// token reads one token.
func (c *classParser) token() (classToken, error) {
	c.tokenStart = c.pos
	if c.eof() {
		return classEnd, nil
	}
	switch c.src[c.pos] {
	case ']':
		c.pos++
		c.v, c.isByte = ']', true
		return classClose, nil
	case '-':
		c.pos++
		return classRange, nil
	case '&':
		if c.accept("&&") {
			return classAnd, nil
		}
	case '[':
		c.pos++
		if c.peek() == ':' && !c.eof() && c.closesPosix() {
			c.pos++
			return classPosix, nil
		}
		return classOpen, nil
	case '\\':
		return c.escapeToken()
	}
	c.v = c.parser.next()
	c.isByte = c.v < 0x80 || c.v >= rawBase
	return classChar, nil
}

func (c *classParser) escapeToken() (classToken, error) {
	c.pos++
	if c.eof() {
		return 0, c.errorf(c.pos, "end pattern at escape")
	}
	set := func(s charset) (classToken, error) {
		c.pos++
		c.tokenSet, c.asWord = s, false
		return classSet, nil
	}
	switch b := c.src[c.pos]; b {
	case 'w', 'W':
		s := c.posix("word", flagASCII)
		if b == 'W' {
			s = s.negateRunes()
		}
		t, err := set(s)
		c.asWord = true
		return t, err
	case 'd', 's', 'h':
		return set(c.charType(b))
	case 'D', 'S', 'H':
		return set(c.charType(b | 0x20).negateRunes())
	case 'p', 'P':
		c.pos++
		if c.peek() != '{' {
			c.v, c.isByte = rune(b), true
			return classChar, nil
		}
		s, not, err := c.property(b == 'P')
		if err != nil {
			return 0, err
		}
		if not {
			s = s.negateRunes()
		}
		c.tokenSet, c.asWord = s, false
		return classSet, nil
	}
	v, raw, err := c.escapedValue(true)
	if err != nil {
		return 0, err
	}
	if raw && v >= 0x80 {
		v = c.rawSequence(v)
	}
	c.v, c.isByte = v, v < 0x80 || v >= rawBase
	return classChar, nil
}

// rawSequence joins the bytes of a character written as \xE3\x81\x82; first is the one already read.
func (c *classParser) rawSequence(first rune) rune {
	buf := [4]byte{byte(first)}
	start, n := c.pos, 1
	var ends [4]int
	ends[0] = start
	for ; n < len(buf) && c.peek() == '\\'; n++ {
		c.pos++
		if b := c.peek(); b != 'x' && (b < '0' || b > '7') {
			break
		}
		v, raw, err := c.escapedValue(true)
		if err != nil || !raw {
			break
		}
		buf[n], ends[n] = byte(v), c.pos
	}
	r, size := decodeChar(buf[:n], 0)
	c.pos = ends[size-1]
	return r
}

// closesPosix looks for ":]" before the next unescaped "]".
func (c *classParser) closesPosix() bool {
	for i := c.pos + 1; i < len(c.src); i++ {
		switch c.src[i] {
		case '\\':
			i++
		case ':':
			if i+1 < len(c.src) && c.src[i+1] == ']' {
				return true
			}
		case ']':
			return false
		}
	}
	return false
}

// posixName reads [:name:] after the first colon. Not every text between brackets and colons is one.
func (c *classParser) posixName() (name string, not, found bool, err error) {
	start := c.pos
	not = c.accept("^")
	for _, name := range posixNames {
		if c.peekIs(name) {
			if !strings.HasPrefix(string(c.src[c.pos+len(name):]), ":]") {
				return "", false, false, c.errorf(start, "invalid POSIX bracket type")
			}
			c.pos += len(name) + 2
			return name, not, true, nil
		}
	}
	const limit = 20
	i := c.pos
	for n := 0; n <= limit && i < len(c.src) && c.src[i] != ':' && c.src[i] != ']'; n++ {
		i++
	}
	if i+1 < len(c.src) && c.src[i] == ':' && c.src[i+1] == ']' {
		return "", false, false, c.errorf(start, "invalid POSIX bracket type")
	}
	c.pos = start - 1 // read on after the bracket
	return "", false, false, nil
}

// addSet adds a predefined set.
func (c *classParser) addSet(set charset, explicit bool) error {
	if c.state == stateRange {
		return c.errorf(c.tokenStart, "char-class value at end of range")
	}
	c.flush()
	c.set = c.set.union(set)
	if explicit {
		c.explicit = c.explicit.union(set)
	}
	c.state, c.fromClass = stateValue, true
	return nil
}

// value takes in one character or stray byte.
func (c *classParser) value(v rune, isByte bool) error {
	if c.state == stateRange {
		if err := c.addRange(c.from, v, c.fromByte, isByte); err != nil {
			return err
		}
		c.state = stateComplete
		return nil
	}
	c.flush()
	c.from, c.fromByte, c.fromClass, c.state = v, isByte, false, stateValue
	return nil
}

// flush adds the waiting value. A range left open, as in [a-[b]], is forgotten, as Onigmo does.
func (c *classParser) flush() {
	if c.state == stateValue && !c.fromClass {
		c.add(charRange{c.from, c.from})
	}
	c.fromClass = true
}

func (c *classParser) add(rs ...charRange) {
	set := newCharset(rs)
	c.set, c.explicit = c.set.union(set), c.explicit.union(set)
}

// addRange adds from–to. A range between a byte and a code point means both, as far as each goes.
func (c *classParser) addRange(from, to rune, fromByte, toByte bool) error {
	plain := func(r rune) rune {
		if r >= rawBase {
			return r - rawBase
		}
		return r
	}
	lo, hi := plain(from), plain(to)
	if lo > hi {
		return c.errorf(c.tokenStart, "empty range in char class")
	}
	bytes := []charRange{{lo, min(hi, 0x7F)}, {max(rawBase+lo, rawLo), rawBase + min(hi, 0xFF)}}
	switch {
	case fromByte && toByte:
		c.addNonEmpty(bytes)
	case !fromByte && !toByte:
		c.addNonEmpty([]charRange{{lo, hi}})
	default:
		c.addNonEmpty(append(bytes, charRange{lo, hi}))
	}
	return nil
}

func (c *classParser) addNonEmpty(rs []charRange) {
	var out []charRange
	for _, r := range rs {
		if r.lo <= r.hi {
			out = append(out, r)
		}
	}
	c.add(out...)
}
