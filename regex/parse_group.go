package regex

// group reads what starts with "(".
func (p *parser) group() (*node, error) {
	start := p.pos
	p.pos++
	if p.eof() {
		return nil, p.errorf(p.pos, "end pattern with unmatched parenthesis")
	}
	if !p.accept("?") {
		num, err := p.newGroup("")
		if err != nil {
			return nil, err
		}
		return p.groupBody(&node{kind: nodeGroup, offset: start, group: num})
	}
	if p.eof() {
		return nil, p.errorf(p.pos, "end pattern in group")
	}
	c := p.src[p.pos]
	p.pos++
	switch c {
	case ':':
		return p.groupBody(nil)
	case '=', '!':
		return p.groupBody(&node{kind: nodeLook, offset: start, negative: c == '!'})
	case '>':
		return p.groupBody(&node{kind: nodeAtomic, offset: start})
	case '~':
		return p.groupBody(&node{kind: nodeAbsent, offset: start})
	case '\'':
		return p.namedGroup(start, '\'')
	case '<':
		if p.eof() {
			return nil, p.errorf(p.pos, "end pattern with unmatched parenthesis")
		}
		if c := p.src[p.pos]; c == '=' || c == '!' {
			p.pos++
			return p.groupBody(&node{kind: nodeLook, offset: start, behind: true, negative: c == '!'})
		}
		return p.namedGroup(start, '>')
	case '(':
		return p.condition(start)
	case '-', 'i', 'm', 'x', 'a', 'd', 'u':
		p.pos--
		return p.flagGroup(start)
	}
	return nil, p.errorf(start, "undefined group option")
}

// groupBody reads up to and including the ")" and puts what it finds under n, or returns it if n is nil.
func (p *parser) groupBody(n *node) (*node, error) {
	body, err := p.alternatives(true)
	if err != nil {
		return nil, err
	}
	p.pos++
	if n == nil {
		return body, nil
	}
	n.subs = []*node{body}
	return n, nil
}

func (p *parser) newGroup(name string) (int, error) {
	if len(p.names) > maxGroups {
		return 0, p.errorf(p.pos, "too many capture groups are specified")
	}
	p.names = append(p.names, name)
	return len(p.names) - 1, nil
}

// numGroups is the number of groups opened so far.
func (p *parser) numGroups() int { return len(p.names) - 1 }

func (p *parser) namedGroup(start int, end byte) (*node, error) {
	name, err := p.groupName(end)
	if err != nil {
		return nil, err
	}
	if !isNameStart(name) {
		return nil, p.errorf(p.pos, "invalid group name <%s>", name)
	}
	num, err := p.newGroup(name)
	if err != nil {
		return nil, err
	}
	p.byName[name] = append(p.byName[name], num)
	p.numNamed++
	return p.groupBody(&node{kind: nodeGroup, offset: start, group: num})
}

func isNameStart(name string) bool { return name[0] != '-' && (name[0] < '0' || name[0] > '9') }

// groupName reads word characters, or "-" and digits, up to end, which it consumes.
func (p *parser) groupName(end byte) (string, error) {
	start := p.pos
	for i := 0; ; i++ {
		if p.eof() || p.peek() == ')' && end != ')' {
			if i == 0 {
				return "", p.errorf(p.pos, "group name is empty")
			}
			return "", p.errorf(p.pos, "invalid group name <%s>", p.src[start:p.pos])
		}
		if p.peek() == end {
			break
		}
		if c := p.next(); !isWord(c) && (c != '-' || i != 0) {
			return "", p.errorf(start, "invalid char in group name <%s>", p.src[start:p.pos])
		}
	}
	name := string(p.src[start:p.pos])
	if name == "" || name == "-" {
		return "", p.errorf(p.pos, "group name is empty")
	}
	p.pos++
	return name, nil
}

// flagGroup reads (?imx-imx) or (?imx-imx:…), from the first letter on.
func (p *parser) flagGroup(start int) (*node, error) {
	outer, f, off := p.flags, p.flags, false
	set := func(which flags) {
		if off {
			f &^= which
		} else {
			f |= which
		}
	}
	for {
		if p.eof() {
			return nil, p.errorf(p.pos, "end pattern in group")
		}
		c := p.src[p.pos]
		p.pos++
		switch c {
		case '-':
			off = true
			continue
		case 'i':
			set(flagFold)
			continue
		case 'm':
			set(flagDotAll)
			continue
		case 'x':
			set(flagExtended)
			continue
		case 'a', 'd', 'u':
			if off {
				return nil, p.errorf(p.pos-1, "undefined group option")
			}
			f &^= flagASCII | flagASCIIPosix | flagASCIIBound
			if c == 'a' {
				f |= flagASCII | flagASCIIPosix | flagASCIIBound
			} else if c == 'd' {
				f |= flagASCII
			}
			continue
		case ':', ')':
		default:
			return nil, p.errorf(p.pos-1, "undefined group option")
		}
		p.flags = f
		n := &node{kind: nodeOption, offset: start}
		var err error
		if c == ':' {
			n, err = p.groupBody(n)
		} else {
			// The letters hold to the end of the enclosing group, across its bars: a(?i)b|c is a(?i:b|c).
			var rest *node
			rest, err = p.rest()
			n.subs = []*node{rest}
		}
		p.flags = outer
		return n, err
	}
}

// rest reads what is left of the enclosing group, but not its ")".
func (p *parser) rest() (*node, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	start := p.pos
	var branches []*node
	for {
		b, err := p.branch()
		if err != nil {
			return nil, err
		}
		branches = append(branches, b)
		if !p.accept("|") {
			p.depth--
			return alternate(start, branches), nil
		}
	}
}

// condition reads (?(cond)yes|no) after the second parenthesis.
func (p *parser) condition(start int) (*node, error) {
	n := &node{kind: nodeCondition, offset: start}
	switch c := p.peek(); {
	case c >= '0' && c <= '9':
		num, _ := p.number(maxGroups)
		if !p.accept(")") || num == 0 {
			return nil, p.errorf(start, "invalid group name")
		}
		n.group = num
	case c == '<' || c == '\'':
		p.pos++
		ref, err := p.backrefName(start, c)
		if err != nil {
			return nil, err
		}
		if !p.accept(")") {
			return nil, p.errorf(start, "undefined group option")
		}
		// Of several groups with the name only the last of the list counts, which is the leftmost.
		n.group, n.byName = ref.groups[len(ref.groups)-1], true
	default:
		return nil, p.errorf(start, "invalid conditional pattern")
	}
	body, err := p.alternatives(true)
	if err != nil {
		return nil, err
	}
	p.pos++
	n.subs = []*node{body, emptyNode(p.pos)}
	if body.kind == nodeAlternate {
		if len(body.subs) > 2 {
			return nil, p.errorf(start, "invalid conditional pattern")
		}
		n.subs = body.subs
	}
	return n, nil
}

// backrefName reads the inside of \k<…>, whose opening character was open:
// a name, a number, a number counted backwards, each with an optional recursion level.
func (p *parser) backrefName(start int, open byte) (*node, error) {
	end := closing(open)
	n := &node{kind: nodeBackref, offset: start, fold: p.has(flagFold)}
	from := p.pos
	p.accept("-")
	for !p.eof() && p.peek() != end && p.peek() != ')' && p.peek() != '+' && p.peek() != '-' {
		if c := p.next(); !isWord(c) {
			return nil, p.errorf(from, "invalid char in group name <%s>", p.src[from:p.pos])
		}
	}
	name := string(p.src[from:p.pos])
	if c := p.peek(); c == '+' || c == '-' {
		p.pos++
		level, found := p.number(maxRepeat)
		if !found || level > maxRepeat {
			return nil, p.errorf(p.pos, "invalid group name <%s>", p.src[from:p.pos])
		}
		if c == '-' {
			level = -level
		}
		n.hasLevel, n.level = true, level
	}
	if p.peek() != end || p.eof() {
		return nil, p.errorf(p.pos, "invalid group name <%s>", p.src[from:p.pos])
	}
	p.pos++
	if name == "" {
		return nil, p.errorf(from, "group name is empty")
	}
	if isNameStart(name) {
		groups := p.byName[name]
		if len(groups) == 0 {
			return nil, p.errorf(from, "undefined name <%s> reference", name)
		}
		n.byName = true
		for i := len(groups) - 1; i >= 0; i-- {
			n.groups = append(n.groups, groups[i])
		}
		return n, nil
	}
	num, ok := p.groupNumber(name)
	if !ok {
		return nil, p.errorf(from, "invalid group name <%s>", name)
	}
	if num <= 0 {
		return nil, p.errorf(from, "invalid backref number/name")
	}
	n.groups = []int{num}
	return n, nil
}

// groupNumber resolves a number from 1 on, or a negative one counted back from the groups opened so far.
func (p *parser) groupNumber(s string) (int, bool) {
	sub := parser{src: []byte(s)}
	back := sub.accept("-")
	num, found := sub.number(maxGroups)
	if !found || !sub.eof() || num == 0 || num > maxGroups {
		return 0, false
	}
	if back {
		return p.numGroups() + 1 - num, true
	}
	return num, true
}

func closing(open byte) byte {
	if open == '<' {
		return '>'
	}
	return open
}

// call reads the inside of \g<…>.
func (p *parser) call(start int, open byte) (*node, error) {
	n := &node{kind: nodeCall, offset: start}
	end := closing(open)
	if p.accept("0" + string(rune(end))) {
		p.callsWhole = true
		return n, nil
	}
	forward := p.accept("+")
	from := p.pos
	name, err := p.groupName(end)
	if err != nil {
		return nil, err
	}
	if isNameStart(name) {
		if forward {
			return nil, p.errorf(from, "invalid group name <%s>", name)
		}
		n.name, n.byName, n.group = name, true, -1
		return n, nil
	}
	num, ok := p.groupNumber(name)
	if !ok {
		return nil, p.errorf(from, "invalid group name <%s>", name)
	}
	if forward {
		num += p.numGroups()
	}
	if num <= 0 {
		return nil, p.errorf(from, "invalid backref number/name")
	}
	n.group = num
	return n, nil
}
