package regex

// escape reads an atom that starts with a backslash.
func (p *parser) escape() (*node, error) {
	start := p.pos
	p.pos++
	if p.eof() {
		return nil, p.errorf(p.pos, "end pattern at escape")
	}
	assert := func(a assertion) (*node, error) {
		p.pos++
		return &node{kind: nodeAssert, offset: start, assert: a}, nil
	}
	set := func(c charset) (*node, error) {
		p.pos++
		return &node{kind: nodeSet, offset: start, set: c}, nil
	}
	switch c := p.src[p.pos]; c {
	case 'A':
		return assert(beginText)
	case 'z':
		return assert(endText)
	case 'Z':
		return assert(endTextOrLine)
	case 'G':
		return assert(searchStart)
	case 'K':
		return assert(keepOut)
	case 'b', 'B':
		a := wordBoundary
		if p.has(flagASCIIBound) {
			a = asciiBoundary
		}
		if c == 'B' {
			a++
		}
		return assert(a)
	case 'w':
		return set(p.wordType())
	case 'W':
		return set(p.wordType().negate())
	case 'd', 's', 'h':
		return set(p.charType(c))
	case 'D', 'S', 'H':
		return set(p.charType(c | 0x20).negate())
	case 'R':
		p.pos++
		return lineBreak(start), nil
	case 'X':
		p.pos++
		if p.cluster == nil {
			p.cluster = graphemeCluster(start)
		}
		return p.cluster, nil
	case 'p', 'P':
		p.pos++
		if p.peek() != '{' {
			return p.char(start, rune(c)), nil
		}
		prop, not, err := p.property(c == 'P')
		if err != nil {
			return nil, err
		}
		if p.has(flagFold) {
			key := "fold:" + string(p.src[start:p.pos])
			if _, ok := p.sets[key]; !ok {
				p.sets[key] = prop.fold(prop)
			}
			prop = p.sets[key]
		}
		if not {
			prop = prop.negate()
		}
		return &node{kind: nodeSet, offset: start, set: prop}, nil
	case 'k', 'g':
		p.pos++
		open := p.peek()
		if open != '<' && open != '\'' {
			return p.char(start, rune(c)), nil
		}
		p.pos++
		if c == 'k' {
			return p.backrefName(start, open)
		}
		return p.call(start, open)
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		num, _ := p.number(maxGroups)
		if num <= 9 || num <= p.numGroups() {
			return &node{kind: nodeBackref, offset: start, groups: []int{num}, fold: p.has(flagFold)}, nil
		}
		p.pos = start + 1
		if c >= '8' {
			p.pos++
			return p.char(start, rune(c)), nil
		}
	}
	v, raw, err := p.escapedValue(false)
	if err != nil {
		return nil, err
	}
	if raw && v >= 0x80 {
		v += rawBase
	}
	if v >= rawBase {
		if p.has(flagFold) {
			return &node{kind: nodeSet, offset: start, set: charset{{v, v}}}, nil
		}
		return &node{kind: nodeLiteral, offset: start, lit: []byte{byte(v)}}, nil
	}
	return p.char(start, v), nil
}

// escapedValue reads what follows a backslash and stands for a character, in a class or outside.
// raw says that the value is a byte rather than a code point.
func (p *parser) escapedValue(inClass bool) (v rune, raw bool, err error) {
	start := p.pos
	c := p.next()
	switch c {
	case 'x':
		if p.peek() == '{' {
			v, found, err := p.bracedHex()
			if err != nil || found {
				return v, false, err
			}
			return 'x', false, nil
		}
		if p.eof() {
			return 'x', false, nil
		}
		v, _ := p.hex(2)
		return v, true, nil
	case 'u':
		if p.eof() {
			return 'u', false, nil
		}
		v, n := p.hex(4)
		if n < 4 {
			return 0, false, p.errorf(p.pos, "too short digits")
		}
		return v, false, nil
	case '0', '1', '2', '3', '4', '5', '6', '7':
		p.pos = start
		digits := 3
		if c == '0' && !inClass {
			digits, p.pos = 2, start+1
		}
		for ; digits > 0 && p.peek() >= '0' && p.peek() <= '7' && !p.eof(); digits-- {
			v = v*8 + rune(p.src[p.pos]-'0')
			p.pos++
		}
		if v > 0xFF {
			return 0, false, p.errorf(start, "too big number")
		}
		return v, true, nil
	}
	p.pos = start
	v, err = p.controlValue()
	return v, false, err
}

// controlValue reads \n and its like, \cx, \C-x, \M-x, or a character that stands for itself.
func (p *parser) controlValue() (rune, error) {
	if p.eof() {
		return 0, p.errorf(p.pos, "end pattern at escape")
	}
	operand := func() (rune, error) {
		if p.eof() {
			return 0, p.errorf(p.pos, "end pattern at control")
		}
		if c := p.next(); c != '\\' {
			return c, nil
		}
		return p.controlValue()
	}
	switch c := p.next(); c {
	case 'n':
		return '\n', nil
	case 't':
		return '\t', nil
	case 'r':
		return '\r', nil
	case 'f':
		return '\f', nil
	case 'v':
		return '\v', nil
	case 'a':
		return '\a', nil
	case 'b':
		return '\b', nil
	case 'e':
		return 0x1B, nil
	case 'M':
		if !p.accept("-") {
			return 0, p.errorf(p.pos, "invalid meta-code syntax")
		}
		v, err := operand()
		return v&0xFF | 0x80, err
	case 'C', 'c':
		if c == 'C' && !p.accept("-") {
			return 0, p.errorf(p.pos, "invalid control-code syntax")
		}
		if p.accept("?") {
			return 0x7F, nil
		}
		v, err := operand()
		return v & 0x9F, err
	default:
		return c, nil
	}
}

// hex reads up to limit hexadecimal digits and says how many there were.
func (p *parser) hex(limit int) (v rune, n int) {
	for n < limit && !p.eof() {
		d, ok := hexDigit(p.src[p.pos])
		if !ok {
			break
		}
		v = v<<4 | d
		p.pos++
		n++
	}
	return v, n
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0'), true
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10, true
	}
	return 0, false
}

// bracedHex reads {hhhh}; if that is not what is here it goes back and the brace is text.
func (p *parser) bracedHex() (v rune, found bool, err error) {
	start := p.pos
	p.pos++
	v, n := p.hex(8)
	if n == 8 {
		if _, more := p.hex(1); more > 0 {
			return 0, false, p.errorf(start, "too long wide-char value")
		}
	}
	if v < 0 || v > maxRune {
		return 0, false, p.errorf(start, "too big wide-char value")
	}
	if n == 0 || !p.accept("}") {
		p.pos = start
		return 0, false, nil
	}
	return v, true, nil
}

// property reads {name} or {^name} and returns the set and whether it is to be negated.
func (p *parser) property(not bool) (set charset, negate bool, err error) {
	start := p.pos
	p.pos++
	if p.accept("^") {
		not = !not
	}
	from := p.pos
	for !p.eof() {
		switch c := p.src[p.pos]; c {
		case '}':
			name := string(p.src[from:p.pos])
			p.pos++
			if _, ok := p.sets[name]; !ok {
				if p.sets[name], ok = propertySet(name); !ok {
					return nil, false, p.errorf(start, "invalid character property name {%s}", name)
				}
			}
			return p.sets[name], not, nil
		case '(', ')', '{', '|':
			return nil, false, p.errorf(start, "invalid character property name {%s}", p.src[from:p.pos])
		}
		p.pos++
	}
	return nil, false, p.errorf(start, "invalid character property name {%s}", p.src[from:p.pos])
}

// charType is the set of \d, \s or \h.
func (p *parser) charType(c byte) charset {
	switch c {
	case 'd':
		return p.posix("digit", flagASCII)
	case 's':
		return p.posix("space", flagASCII)
	}
	return asciiClass("xdigit")
}

// wordType is the set of \w outside of a class. With (?u) a stray byte counts as the code point of its value.
func (p *parser) wordType() charset {
	set := p.posix("word", flagASCII)
	if p.has(flagASCII) {
		return set
	}
	var more []charRange
	for b := rune(0x80); b <= 0xFF; b++ {
		if isWord(b) {
			more = append(more, charRange{b, b})
		}
		if isWord(rawBase + b) {
			more = append(more, charRange{rawBase + b, rawBase + b})
		}
	}
	return set.union(newCharset(more))
}

// posix is the class with a POSIX name, cut down to ASCII if f is set.
func (p *parser) posix(name string, f flags) charset {
	if p.has(f) {
		return asciiClass(name)
	}
	key := "[:" + name // no property has such a name
	if _, ok := p.sets[key]; !ok {
		p.sets[key] = unicodeClass(name)
	}
	return p.sets[key]
}

// lineBreak is \R, which is (?>\r\n|[\n-\r\u0085\u2028\u2029]).
func lineBreak(offset int) *node {
	crlf := &node{kind: nodeLiteral, offset: offset, lit: []byte("\r\n")}
	one := &node{kind: nodeSet, offset: offset, set: charsetOf('\n', '\r', 0x85, 0x85, 0x2028, 0x2029)}
	return &node{kind: nodeAtomic, offset: offset, subs: []*node{alternate(offset, []*node{crlf, one})}}
}
