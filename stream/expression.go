package stream

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kagarilog/kagari/option"
)

// value reads an expression.
func (p *parser) value() node { return p.condition() }

// condition reads an expression with AND, OR and NOT. In Fluent Bit's grammar
// they are equal and lean to the right: a AND b OR c is a AND (b OR c), and NOT
// takes all that follows.
func (p *parser) condition() node {
	p.depth++
	if p.depth > maxNesting {
		p.fail(p.peek().pos, "", "the expression is nested too deeply")
	}
	defer func() { p.depth-- }()
	if p.opts.Exact {
		return p.disjunction()
	}
	t := p.peek()
	if p.accept("NOT") {
		x := p.condition()
		if b, ok := x.(*binaryNode); ok && logical(b.op) {
			p.warn(t.pos, "say what is meant with brackets", "NOT is for all that follows: NOT (… %s …)", b.op)
		}
		return &unaryNode{span{t.pos, p.end()}, "NOT", x}
	}
	l := p.predicate()
	op := p.peek()
	if !op.is("AND") && !op.is("OR") {
		return l
	}
	p.next()
	r := p.condition()
	if b, ok := r.(*binaryNode); ok && op.text == "AND" && b.op == "OR" {
		p.warn(op.pos, "say what is meant with brackets", "AND does not bind more tightly than OR: this is … AND (… OR …)")
	}
	return &binaryNode{span{t.pos, p.end()}, op.text, l, r}
}

func logical(op string) bool { return op == "AND" || op == "OR" }

// disjunction is condition with the precedence of standard SQL.
func (p *parser) disjunction() node {
	at := p.peek().pos
	l := p.conjunction()
	for p.accept("OR") {
		l = &binaryNode{op: "OR", l: l, r: p.conjunction(), span: span{at, p.end()}}
	}
	return l
}

func (p *parser) conjunction() node {
	at := p.peek().pos
	l := p.negation()
	for p.accept("AND") {
		l = &binaryNode{op: "AND", l: l, r: p.negation(), span: span{at, p.end()}}
	}
	return l
}

func (p *parser) negation() node {
	t := p.peek()
	p.depth++
	if p.depth > maxNesting {
		p.fail(t.pos, "", "the expression is nested too deeply")
	}
	defer func() { p.depth-- }()
	if p.accept("NOT") {
		return &unaryNode{op: "NOT", x: p.negation(), span: span{t.pos, p.end()}}
	}
	return p.predicate()
}

var comparisons = []string{"=", "!=", "<>", "<", "<=", ">", ">="}

// predicate reads a comparison, or what can be compared.
func (p *parser) predicate() node {
	start := p.peek().pos
	l := p.sum()
	t := p.peek()
	here := func() span { return span{start, p.end()} }
	if t.kind == kindSymbol && slices.Contains(comparisons, t.text) {
		p.next()
		r := p.sum()
		if lit, ok := r.(*literalNode); ok && simple(l) {
			lit.bare = true
		}
		op := t.text
		if op == "<>" {
			op = "!="
		}
		return &binaryNode{here(), op, l, r}
	}
	if t.symbol("=~") || t.symbol("!~") {
		p.next()
		return p.match(start, "REGEXP", l, t.text == "!~")
	}
	if p.accept("IS") {
		not := p.accept("NOT")
		p.word("NULL")
		return &isNullNode{here(), l, not}
	}
	not := false
	if t.is("NOT") {
		p.next()
		not = true
	}
	switch w := p.peek(); {
	case p.accept("LIKE"):
		return p.match(start, "LIKE", l, not)
	case p.accept("ILIKE"):
		return p.match(start, "ILIKE", l, not)
	case p.accept("REGEXP"):
		return p.match(start, "REGEXP", l, not)
	case p.accept("IN"):
		p.symbol("(")
		in := &inNode{x: l, not: not}
		for {
			in.list = append(in.list, p.sum())
			if !p.acceptSymbol(",") {
				break
			}
		}
		p.symbol(")")
		in.span = here()
		return in
	case p.accept("BETWEEN"):
		low := p.sum()
		p.word("AND")
		return &betweenNode{x: l, low: low, high: p.sum(), not: not, span: here()}
	case not:
		p.expected(w, "LIKE, ILIKE, REGEXP, IN or BETWEEN behind NOT", "LIKE", "ILIKE", "REGEXP", "IN", "BETWEEN")
	}
	return l
}

// simple tells whether n can stand left of a comparison in Fluent Bit.
func simple(n node) bool {
	switch n := n.(type) {
	case *keyNode:
		return true
	case *callNode:
		return strings.HasPrefix(n.name, "@record.")
	}
	return false
}

// match reads the pattern of LIKE or a regular expression.
func (p *parser) match(start int, op string, x node, not bool) node {
	t := p.next()
	if t.kind != kindText {
		p.fail(t.pos, "write it in single quotes", "the pattern is a text, but %s", describe(t))
	}
	return &matchNode{span{start, p.end()}, op, x, t.text, t.pos, not}
}

// sum reads +, - and ||.
func (p *parser) sum() node {
	p.depth++
	if p.depth > maxNesting {
		p.fail(p.peek().pos, "", "the expression is nested too deeply")
	}
	defer func() { p.depth-- }()
	start := p.peek().pos
	l := p.product()
	for {
		t := p.peek()
		if !t.symbol("+") && !t.symbol("-") && !t.symbol("||") {
			return l
		}
		p.next()
		l = &binaryNode{op: t.text, l: l, r: p.product(), span: span{start, p.end()}}
	}
}

func (p *parser) product() node {
	start := p.peek().pos
	l := p.negative()
	for {
		t := p.peek()
		if !t.symbol("*") && !t.symbol("/") && !t.symbol("%") {
			return l
		}
		p.next()
		l = &binaryNode{op: t.text, l: l, r: p.negative(), span: span{start, p.end()}}
	}
}

func (p *parser) negative() node {
	t := p.peek()
	if !p.acceptSymbol("-") {
		return p.operand()
	}
	if n := p.peek(); n.kind == kindInt || n.kind == kindFloat {
		p.next()
		return &literalNode{span: span{t.pos, n.end}, v: number(n, true)}
	}
	if p.peek().symbol("-") {
		p.fail(p.peek().pos, "", "a sign is written once")
	}
	return &unaryNode{op: "-", x: p.operand(), span: span{t.pos, p.end()}}
}

// number is the value of a number; what does not fit 64 bits is a float.
func number(t token, negative bool) val {
	if t.kind == kindInt {
		if n, ok := parseInt([]byte(t.text), negative); ok {
			return val{k: integer, n: n}
		}
	}
	f, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		f = math.Inf(1)
	}
	if negative {
		f = -f
	}
	return val{k: floating, f: f}
}

// operand reads the smallest parts of an expression.
func (p *parser) operand() node {
	t := p.peek()
	switch t.kind {
	case kindInt, kindFloat:
		p.next()
		return &literalNode{span: span{t.pos, t.end}, v: number(t, false)}
	case kindText:
		p.next()
		return &literalNode{span: span{t.pos, t.end}, v: val{k: text, s: []byte(t.text)}}
	case kindRecord:
		return p.recordFunction()
	case kindKeyword:
		return p.reserved()
	case kindQuotedName:
		return p.key()
	case kindName:
		after := p.tokens[p.i+1]
		if after.symbol("(") {
			return p.call()
		}
		if t.is("CASE") && (after.kind == kindName || after.kind == kindQuotedName || after.kind == kindText || after.kind == kindInt) {
			return p.caseExpression()
		}
		return p.key()
	case kindSymbol:
		if t.text == "(" {
			p.next()
			x := p.condition()
			p.symbol(")")
			return &parenNode{span{t.pos, p.end()}, x}
		}
		if t.text == "*" {
			p.fail(t.pos, "", "* stands for all keys only at the start of a selection and in COUNT(*)")
		}
	}
	p.expected(t, "a value, such as a key of the record, 5, 'text' or true")
	return nil
}

// key reads a key with its path: a['b'][0].
func (p *parser) key() *keyNode {
	t := p.name("a key of the record")
	n := &keyNode{name: t.text}
	for p.acceptSymbol("[") {
		s := p.next()
		switch s.kind {
		case kindText, kindQuotedName:
			n.path = append(n.path, step{s.text, -1})
		case kindInt:
			i, ok := parseInt([]byte(s.text), false)
			if !ok || i > math.MaxInt32 {
				p.fail(s.pos, "", "the index %s is too large", s.text)
			}
			n.path = append(n.path, step{"", int(i)})
		default:
			p.fail(s.pos, "write it in single quotes: a['b']", "expected the name of a nested key, but %s", describe(s))
		}
		p.symbol("]")
	}
	n.span = span{t.pos, p.end()}
	return n
}

// recordFunction reads @record.contains(key) and @record.time().
func (p *parser) recordFunction() node {
	start := p.next().pos
	p.symbol(".")
	switch t := p.next(); {
	case t.is("CONTAINS"):
		p.symbol("(")
		key := p.key()
		p.symbol(")")
		return &callNode{span{start, p.end()}, "@record.contains", []node{key}}
	case t.is("TIME"):
		p.symbol("(")
		p.symbol(")")
		return &callNode{span{start, p.end()}, "@record.time", nil}
	default:
		p.expected(t, "contains or time behind @record.", "contains", "time")
	}
	return nil
}

var aggregateNames = []string{"COUNT", "SUM", "AVG", "MIN", "MAX", "TIMESERIES_FORECAST"}

// reserved reads what begins with a keyword.
func (p *parser) reserved() node {
	t := p.peek()
	switch t.text {
	case "TRUE", "FALSE":
		p.next()
		return &literalNode{span: span{t.pos, t.end}, v: boolVal(t.text == "TRUE")}
	case "NULL":
		p.next()
		return &literalNode{span: span{t.pos, t.end}, v: val{k: null}}
	case "NOW", "UNIX_TIMESTAMP", "RECORD_TAG", "RECORD_TIME":
		if p.tokens[p.i+1].symbol("(") {
			p.i += 2
			p.symbol(")")
			return &callNode{span{t.pos, p.end()}, strings.ToLower(t.text), nil}
		}
	case "NOT":
		return p.negation()
	}
	if slices.Contains(aggregateNames, t.text) && p.tokens[p.i+1].symbol("(") {
		return p.aggregate()
	}
	if t.text == "CONTAINS" && p.tokens[p.i+1].symbol("(") {
		p.fail(t.pos, "write @record.contains(key)", "contains is a function of the record")
	}
	p.expected(t, "a key of the record or a value")
	return nil
}

func (p *parser) aggregate() node {
	t := p.next()
	if !p.aggregates {
		p.fail(t.pos, "conditions on groups stand behind HAVING", "%s cannot stand here, it is for selections", t.text)
	}
	p.aggregates = false
	n := &aggregateNode{name: t.text}
	p.symbol("(")
	if star := p.peek(); p.acceptSymbol("*") {
		if t.text != "COUNT" {
			p.fail(star.pos, "name a key", "only COUNT takes *")
		}
	} else {
		n.arg = p.value()
	}
	if t.text == "TIMESERIES_FORECAST" {
		p.symbol(",")
		n.distance = p.integer("a number of seconds")
	}
	p.symbol(")")
	p.aggregates = true
	n.span = span{t.pos, p.end()}
	return n
}

// call reads a function with its arguments.
func (p *parser) call() node {
	t := p.next()
	n := &callNode{name: strings.ToLower(t.text)}
	f, ok := functions[n.name]
	if !ok {
		var known []string
		for name := range functions {
			known = append(known, name)
		}
		slices.Sort(known)
		for _, name := range aggregateNames {
			known = append(known, strings.ToLower(name))
		}
		p.fail(t.pos, option.DidYouMean(t.text, known), "there is no function %q", t.text)
	}
	p.symbol("(")
	if !p.peek().symbol(")") {
		for {
			n.args = append(n.args, p.value())
			if !p.acceptSymbol(",") {
				break
			}
		}
	}
	p.symbol(")")
	if len(n.args) < f.min || f.max >= 0 && len(n.args) > f.max {
		p.fail(t.pos, "", "the function is %s, but there are %d arguments", f.usage, len(n.args))
	}
	n.span = span{t.pos, p.end()}
	return n
}

// caseExpression reads CASE [x] WHEN … THEN … [ELSE …] END.
func (p *parser) caseExpression() node {
	start := p.next().pos
	n := &caseNode{}
	if !p.peek().is("WHEN") {
		n.x = p.sum()
	}
	for p.accept("WHEN") {
		n.when = append(n.when, p.condition())
		p.word("THEN")
		n.then = append(n.then, p.value())
	}
	if len(n.when) == 0 {
		p.expected(p.peek(), "WHEN", "WHEN")
	}
	if p.accept("ELSE") {
		n.fallback = p.value()
	}
	p.word("END")
	n.span = span{start, p.end()}
	return n
}

// literalText returns the text that an argument of a function must be.
func literalText(n node, what string) (string, *Error) {
	if lit, ok := n.(*literalNode); ok && lit.v.k == text {
		return string(lit.v.s), nil
	}
	return "", &Error{Offset: n.at().pos, Msg: fmt.Sprintf("%s must be a text in single quotes", what)}
}
