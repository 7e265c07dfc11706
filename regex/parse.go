package regex

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// flags are the switches that (?imx-imx) and its relatives change while a pattern is read.
type flags uint8

const (
	flagFold       flags = 1 << iota // i
	flagDotAll                       // m: the dot matches newline too
	flagExtended                     // x
	flagASCII                        // \d \s \w know ASCII only: the default, off after (?u)
	flagASCIIPosix                   // so do POSIX brackets: (?a)
	flagASCIIBound                   // so do \b and \B: (?a)
)

// Limits of Onigmo (onigmo.h, regint.h), which refuses what lies beyond.
const (
	maxDepth  = 4096
	maxGroups = 32767
	maxRepeat = 100000
)

// A parser reads one pattern by recursive descent.
type parser struct {
	src   []byte // what to parse
	pos   int
	flags flags
	depth int

	names      []string         // names[i] is the name of group i
	byName     map[string][]int // the groups of a name, in order
	numNamed   int
	callsWhole bool // \g<0> occurs

	sets    map[string]charset // the classes and properties used so far, which take long to build
	cluster *node              // \X, if used
}

// parse reads src, whose errors have offsets in src.
func parse(src []byte, f flags) (*parser, *node, error) {
	p := &parser{src: src, flags: f | flagASCII, names: []string{""}, byName: map[string][]int{}, sets: map[string]charset{}}
	root, err := p.alternatives(false)
	if err != nil {
		return nil, nil, err
	}
	if p.callsWhole {
		root = &node{kind: nodeGroup, subs: []*node{root}}
	}
	return p, root, nil
}

func (p *parser) errorf(offset int, format string, args ...any) error {
	return &SyntaxError{Offset: offset, Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) has(f flags) bool { return p.flags&f != 0 }
func (p *parser) eof() bool        { return p.pos >= len(p.src) }

// peek returns the next byte, or 0 at the end; no token starts with a NUL.
func (p *parser) peek() byte {
	if p.eof() {
		return 0
	}
	return p.src[p.pos]
}

func (p *parser) peekIs(s string) bool {
	return len(p.src)-p.pos >= len(s) && string(p.src[p.pos:p.pos+len(s)]) == s
}

func (p *parser) accept(s string) bool {
	if p.peekIs(s) {
		p.pos += len(s)
		return true
	}
	return false
}

// next reads one character; a stray byte comes back as rawBase plus the byte.
func (p *parser) next() rune {
	r, n := decodeChar(p.src, p.pos)
	p.pos += n
	return r
}

// deeper guards against patterns nested so deeply that walking them would exhaust the stack.
func (p *parser) deeper() error {
	p.depth++
	if p.depth > maxDepth {
		return p.errorf(p.pos, "pattern is nested too deeply")
	}
	return nil
}

// alternatives reads branches up to the end of the pattern or, in a group, up to its ")".
func (p *parser) alternatives(inGroup bool) (*node, error) {
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
			break
		}
	}
	if p.eof() == inGroup {
		if inGroup {
			return nil, p.errorf(p.pos, "end pattern with unmatched parenthesis")
		}
		return nil, p.errorf(p.pos, "unmatched close parenthesis")
	}
	p.depth--
	return alternate(start, branches), nil
}

func (p *parser) branch() (*node, error) {
	start := p.pos
	var items []*node
	for {
		if err := p.skipIgnored(); err != nil {
			return nil, err
		}
		if c := p.peek(); p.eof() || c == '|' || c == ')' {
			return concat(start, items), nil
		}
		item, err := p.item()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
}

// skipIgnored skips (?#…) and, with flag x, blanks and # comments.
func (p *parser) skipIgnored() error {
	for !p.eof() {
		switch c := p.peek(); {
		case p.peekIs("(?#"):
			p.pos += 3
			for {
				if p.eof() {
					return p.errorf(p.pos, "end pattern in group")
				}
				c := p.next()
				if c == '\\' && !p.eof() {
					p.next()
				} else if c == ')' {
					break
				}
			}
		case !p.has(flagExtended):
			return nil
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			p.pos++
		case c == '#':
			for !p.eof() && p.src[p.pos] != '\n' {
				p.pos++
			}
		default:
			return nil
		}
	}
	return nil
}

// item reads an atom and its quantifiers.
func (p *parser) item() (*node, error) {
	start := p.pos
	if _, found, err := p.quantifier(); err != nil {
		return nil, err
	} else if found {
		return nil, p.errorf(start, "target of repeat operator is not specified")
	}
	n, err := p.atom()
	if err != nil {
		return nil, err
	}
	for range maxDepth {
		if err := p.skipIgnored(); err != nil {
			return nil, err
		}
		q, found, err := p.quantifier()
		if err != nil {
			return nil, err
		}
		if !found {
			return n, nil
		}
		n = quantify(n, q)
	}
	return nil, p.errorf(p.pos, "pattern is nested too deeply")
}

func (p *parser) atom() (*node, error) {
	start := p.pos
	switch p.src[p.pos] {
	case '(':
		return p.group()
	case '[':
		p.pos++
		return p.class(start)
	case '\\':
		return p.escape()
	case '.':
		p.pos++
		return &node{kind: nodeSet, offset: start, set: p.dot()}, nil
	case '^':
		p.pos++
		return &node{kind: nodeAssert, offset: start, assert: beginLine}, nil
	case '$':
		p.pos++
		return &node{kind: nodeAssert, offset: start, assert: endLine}, nil
	}
	p.next()
	if c, n := decodeChar(p.src, start); n == p.pos-start && c < rawBase && utf8.RuneLen(c) == n {
		return p.char(start, c), nil
	}
	return &node{kind: nodeLiteral, offset: start, lit: p.src[start:p.pos:p.pos]}, nil
}

// dot is the set that "." stands for.
func (p *parser) dot() charset {
	if p.has(flagDotAll) {
		return charset{}.negate()
	}
	return charset{{'\n', '\n'}}.negate()
}

// char is a node for one code point, in all its cases if flag i is on.
func (p *parser) char(offset int, c rune) *node {
	if p.has(flagFold) && unicode.SimpleFold(c) != c {
		set := charset{{c, c}}
		return &node{kind: nodeSet, offset: offset, set: set.fold(set)}
	}
	return &node{kind: nodeLiteral, offset: offset, lit: appendRune(nil, c)}
}

// appendRune encodes c, surrogates included, which the standard library would replace.
func appendRune(dst []byte, c rune) []byte {
	if c >= 0xD800 && c <= 0xDFFF {
		return append(dst, byte(0xE0|c>>12), byte(0x80|c>>6&0x3F), byte(0x80|c&0x3F))
	}
	return utf8.AppendRune(dst, c)
}

// A quantifier is ?, *, + or {n,m} with what follows it.
type quantifier struct {
	low, high          int
	greedy, possessive bool
}

// quantifier reads a quantifier if there is one here.
func (p *parser) quantifier() (q quantifier, found bool, err error) {
	interval, fixed := false, false
	switch p.peek() {
	case '*':
		q.high = infinite
	case '+':
		q.low, q.high = 1, infinite
	case '?':
		q.high = 1
	case '{':
		interval = true
		q.low, q.high, fixed, found, err = p.interval()
		if err != nil || !found {
			return q, false, err
		}
	default:
		return q, false, nil
	}
	if !interval {
		p.pos++
	}
	q.greedy = true
	// Ruby reads {n}? as an optional {n}, and {n,m}+ as a repeated {n,m}.
	switch {
	case !fixed && p.accept("?"):
		q.greedy = false
	case !interval && p.accept("+"):
		q.possessive = true
	}
	return q, true, nil
}

// interval reads {n}, {n,}, {,m} or {n,m}; anything else that starts with a brace is text.
func (p *parser) interval() (low, high int, fixed, found bool, err error) {
	start := p.pos
	defer func() {
		if !found {
			p.pos = start
		}
	}()
	p.pos++
	low, hasLow, err := p.repeatNumber()
	if err != nil {
		return 0, 0, false, false, err
	}
	high = low
	if p.accept(",") {
		var hasHigh bool
		high, hasHigh, err = p.repeatNumber()
		if err != nil {
			return 0, 0, false, false, err
		}
		if !hasHigh {
			if !hasLow {
				return 0, 0, false, false, nil
			}
			high = infinite
		}
	} else if fixed = true; !hasLow {
		return 0, 0, false, false, nil
	}
	if !p.accept("}") {
		return 0, 0, false, false, nil
	}
	if high != infinite && low > high {
		return 0, 0, false, false, p.errorf(start, "upper is smaller than lower in repeat range")
	}
	return low, high, fixed, true, nil
}

func (p *parser) repeatNumber() (n int, found bool, err error) {
	start := p.pos
	n, found = p.number(maxRepeat)
	if n > maxRepeat {
		return 0, false, p.errorf(start, "too big number for repeat range")
	}
	return n, found, nil
}

// number reads decimal digits; the result is over limit, not exact, if the number is.
func (p *parser) number(limit int) (n int, found bool) {
	for !p.eof() && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
		if n <= limit {
			n = n*10 + int(p.src[p.pos]-'0')
		}
		p.pos++
		found = true
	}
	return n, found
}

// quantify applies q to n.
func quantify(n *node, q quantifier) *node {
	out := n
	if q.low != 1 || q.high != 1 {
		out = &node{kind: nodeRepeat, offset: n.offset, subs: []*node{n}, low: q.low, high: q.high, greedy: q.greedy}
		if n.kind == nodeRepeat {
			out = nestRepeat(out, n)
		}
	}
	if q.possessive {
		return &node{kind: nodeAtomic, offset: n.offset, subs: []*node{out}}
	}
	return out
}

// simpleQuantifier numbers the forms that Onigmo reduces when nested: ?:0 *:1 +:2 ??:3 *?:4 +?:5, else -1.
func simpleQuantifier(n *node) int {
	k := -1
	switch {
	case n.low == 0 && n.high == 1:
		k = 0
	case n.low == 0 && n.high == infinite:
		k = 1
	case n.low == 1 && n.high == infinite:
		k = 2
	}
	if k >= 0 && !n.greedy {
		k += 3
	}
	return k
}

// The results of nesting simple quantifiers.
const (
	nestKeep       = iota // as written
	nestInner             // the inner one alone
	nestStar              // *
	nestLazyStar          // *?
	nestLazyOpt           // ??
	nestPlusOpt           // (?:+)??
	nestLazyPlOpt         // (?:+?)?
	numQuantifiers = 6
)

// nesting[inner][outer] says what Onigmo makes of nested quantifiers. It is part of the dialect:
// (?:a+?)* is (?:a+?)? in Ruby, which matches only one a.
var nesting = [numQuantifiers][numQuantifiers]int{
	{nestInner, nestStar, nestStar, nestLazyOpt, nestLazyStar, nestKeep},
	{nestInner, nestInner, nestInner, nestPlusOpt, nestPlusOpt, nestInner},
	{nestStar, nestStar, nestInner, nestKeep, nestPlusOpt, nestInner},
	{nestInner, nestLazyStar, nestLazyStar, nestInner, nestLazyStar, nestLazyStar},
	{nestInner, nestInner, nestInner, nestInner, nestInner, nestInner},
	{nestKeep, nestLazyPlOpt, nestInner, nestLazyStar, nestLazyStar, nestInner},
}

// nestRepeat simplifies outer, a repetition of the repetition inner.
func nestRepeat(outer, inner *node) *node {
	in, out := simpleQuantifier(inner), simpleQuantifier(outer)
	if in < 0 {
		return outer
	}
	if out < 0 {
		// (?:a*){n,m} gains nothing from going round more than n times.
		if (in == 1 || in == 2) && outer.high > 1 && outer.greedy {
			outer.high = max(1, outer.low)
		}
		return outer
	}
	repeat := func(sub *node, low, high int, greedy bool) *node {
		return &node{kind: nodeRepeat, offset: outer.offset, subs: []*node{sub}, low: low, high: high, greedy: greedy}
	}
	sub := inner.subs[0]
	switch nesting[in][out] {
	case nestInner:
		return inner
	case nestStar:
		return repeat(sub, 0, infinite, true)
	case nestLazyStar:
		return repeat(sub, 0, infinite, false)
	case nestLazyOpt:
		return repeat(sub, 0, 1, false)
	case nestPlusOpt:
		return repeat(repeat(sub, 1, infinite, true), 0, 1, false)
	case nestLazyPlOpt:
		return repeat(repeat(sub, 1, infinite, false), 0, 1, true)
	}
	return outer
}
