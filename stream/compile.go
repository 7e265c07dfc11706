package stream

import (
	"fmt"
	"math"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/regex"
)

// plan is a compiled statement. It does not change.
type plan struct {
	keys    keyIndex
	where   expr // or nil
	columns []outColumn
	star    bool // the selection is * alone

	// With aggregates:
	aggregates []aggregate
	groups     []expr // the values that are grouped by
	having     expr   // or nil
	order      []order
}

// outColumn is a column of the result.
type outColumn struct {
	name []byte // as msgpack
	star bool
	slot int // a key, if not negative
	path []step
	expr expr
}

type order struct {
	expr expr
	desc bool
}

// compiler makes a plan.
type compiler struct {
	p        *parser
	opts     Options
	plan     *plan
	grouped  map[string]int // canonical form of what is grouped by → index
	inGroups bool           // the expression works on groups, not on events
}

// compile makes the plan of a statement that was validated. Mistakes are thrown
// like those of the parser.
func (p *parser) compile(st *statement) *plan {
	c := &compiler{p: p, opts: p.opts, plan: &plan{}, grouped: map[string]int{}}
	if st.where != nil {
		c.plan.where = c.expr(st.where)
	}
	aggregates := false
	for _, col := range st.columns {
		aggregates = aggregates || !col.star && hasAggregate(col.expr)
	}
	if aggregates {
		for _, g := range st.group {
			c.grouped[p.canon(g.at())] = len(c.plan.groups)
			c.plan.groups = append(c.plan.groups, c.expr(g))
		}
		c.inGroups = true
	}
	for _, col := range st.columns {
		out := outColumn{star: col.star, slot: -1, name: event.AppendString(nil, col.name)}
		if key, ok := col.expr.(*keyNode); ok && !aggregates {
			out.slot, out.path = c.plan.keys.slot(key.name), key.path
		} else if !col.star {
			out.expr = c.expr(col.expr)
		}
		c.plan.columns = append(c.plan.columns, out)
	}
	c.plan.star = len(st.columns) == 1 && st.columns[0].star
	if st.having != nil {
		c.plan.having = c.expr(st.having)
	}
	for _, s := range st.order {
		c.plan.order = append(c.plan.order, c.order(st, s))
	}
	return c.plan
}

// order compiles an entry of ORDER BY: a column by its name or number, or an
// expression.
func (c *compiler) order(st *statement, s sorting) order {
	n := s.expr
	switch key := s.expr.(type) {
	case *keyNode:
		for _, col := range st.columns {
			if !col.star && col.name == keyName(key) {
				n = col.expr
			}
		}
	case *literalNode:
		if key.v.k == integer {
			if key.v.n < 1 || key.v.n > int64(len(st.columns)) || st.columns[key.v.n-1].star {
				c.p.fail(key.pos, "", "there is no column %d", key.v.n)
			}
			n = st.columns[key.v.n-1].expr
		}
	}
	return order{c.expr(n), s.desc}
}

// expr compiles an expression.
func (c *compiler) expr(n node) expr {
	if c.inGroups {
		if i, ok := c.grouped[c.p.canon(n.at())]; ok {
			if c.opts.Exact {
				return func(r *row) val { return r.at.values[i] }
			}
			return func(r *row) val {
				v := r.at.values[i]
				if v.k == floating {
					v = val{k: narrow, f: float64(float32(v.f))}
				}
				return v
			}
		}
	}
	switch n := n.(type) {
	case *keyNode:
		return c.key(n)
	case *literalNode:
		v := n.v
		return func(*row) val { return v }
	case *parenNode:
		return c.expr(n.x)
	case *unaryNode:
		x := c.expr(n.x)
		if n.op == "NOT" {
			return func(r *row) val { return boolVal(!x(r).truthy()) }
		}
		return func(r *row) val { return calculate('-', val{k: integer}, x(r)) }
	case *binaryNode:
		return c.binary(n)
	case *isNullNode:
		x, not := c.expr(n.x), n.not
		return func(r *row) val { return boolVal((x(r).k == null) != not) }
	case *matchNode:
		return c.match(n)
	case *inNode:
		x, not := c.expr(n.x), n.not
		list := make([]expr, len(n.list))
		for i := range n.list {
			list[i] = c.expr(n.list[i])
		}
		return func(r *row) val {
			v, found := x(r), false
			for _, item := range list {
				if equal(v, item(r)) {
					found = true
					break
				}
			}
			return boolVal(found != not)
		}
	case *betweenNode:
		x, low, high, not, exact := c.expr(n.x), c.expr(n.low), c.expr(n.high), n.not, c.opts.Exact
		return func(r *row) val {
			v := x(r)
			return boolVal((ordered(">=", v, low(r), exact) && ordered("<=", v, high(r), exact)) != not)
		}
	case *callNode:
		return c.call(n)
	case *caseNode:
		return c.caseExpr(n)
	case *aggregateNode:
		return c.aggregate(n)
	}
	panic(fmt.Sprintf("BUG: unknown expression %T", n))
}

func (c *compiler) key(n *keyNode) expr {
	slot, path := c.plan.keys.slot(n.name), n.path
	if len(path) == 0 {
		return func(r *row) val { return decode(r.keys[slot]) }
	}
	return func(r *row) val {
		v, ok := descend(r.keys[slot], path)
		if !ok {
			return val{}
		}
		return decode(v)
	}
}

func (c *compiler) binary(n *binaryNode) expr {
	if lit, ok := n.r.(*literalNode); ok && lit.bare && !c.opts.Exact {
		n.r = &literalNode{span: lit.span, v: c.narrow(lit)}
	}
	l, r, exact := c.expr(n.l), c.expr(n.r), c.opts.Exact
	switch op := n.op; op {
	case "AND":
		return func(row *row) val { return boolVal(l(row).truthy() && r(row).truthy()) }
	case "OR":
		return func(row *row) val { return boolVal(l(row).truthy() || r(row).truthy()) }
	case "=", "!=":
		not := op == "!="
		if lit, ok := n.r.(*literalNode); ok {
			v := lit.v
			if key, ok := n.l.(*keyNode); ok && len(key.path) == 0 && v.k == text && !c.inGroups {
				// The most common condition of all, without decoding.
				slot, want := c.plan.keys.slot(key.name), string(v.s)
				return func(row *row) val {
					s, ok := row.keys[slot].Str()
					return boolVal((ok && string(s) == want && row.keys[slot].Kind() == event.KindString) != not)
				}
			}
			return func(row *row) val { return boolVal(equal(l(row), v) != not) }
		}
		return func(row *row) val { return boolVal(equal(l(row), r(row)) != not) }
	case "<", "<=", ">", ">=":
		return func(row *row) val { return boolVal(ordered(op, l(row), r(row), exact)) }
	case "||":
		return func(row *row) val { return concat(row, l(row), r(row)) }
	default:
		sign := op[0]
		return func(row *row) val { return calculate(sign, l(row), r(row)) }
	}
}

// narrow gives a literal the value that it has in Fluent Bit: integers and floats
// have 32 bits, and -0.5 is 0.5, as its lexer knows no negative numbers that begin
// with 0.
func (c *compiler) narrow(n *literalNode) val {
	const fix = "write the number in brackets to compare with it exactly"
	v := n.v
	s := c.p.query[n.pos:n.end]
	if len(s) > 1 && s[0] == '-' && (s[1] < '1' || s[1] > '9') && v.float() != 0 {
		v.n, v.f = -v.n, -v.f
		c.p.warn(n.pos, fix, "as in Fluent Bit the sign counts only directly before a number from 1 on, which makes it %s", v.appendText(nil))
	}
	switch v.k {
	case integer:
		if v.n = int64(int32(v.n)); v.n != n.v.n {
			c.p.warn(n.pos, fix, "as in Fluent Bit the number is taken to 32 bits, which makes it %d", v.n)
		}
	case floating:
		if !strings.ContainsAny(s, ".eE") { // An integer that does not fit.
			v = val{k: integer, n: -1} // What atoi makes of the greatest number.
			if n.v.f < 0 {
				v.n = 0
			}
			c.p.warn(n.pos, fix, "as in Fluent Bit the number is taken to 32 bits, which makes it %d", v.n)
			return v
		}
		v.f = float64(float32(v.f))
	}
	return v
}

// calculate does sums and products. Texts that look like numbers are numbers;
// what is none makes the result null, and so does a division by zero. A result
// that does not fit an integer is a float.
func calculate(op byte, l, r val) val {
	l, r = operandOf(l), operandOf(r)
	if l.k == missing || r.k == missing {
		return val{}
	}
	if !l.numeric() || !r.numeric() {
		return val{k: null}
	}
	if l.k == integer && r.k == integer {
		switch op {
		case '+':
			if s := l.n + r.n; (s > l.n) == (r.n > 0) {
				return val{k: integer, n: s}
			}
		case '-':
			if s := l.n - r.n; (s < l.n) == (r.n > 0) {
				return val{k: integer, n: s}
			}
		case '*':
			if l.n == 0 || r.n == 0 {
				return val{k: integer}
			}
			if s := l.n * r.n; s/r.n == l.n && (l.n != -1 || r.n != math.MinInt64) && (r.n != -1 || l.n != math.MinInt64) {
				return val{k: integer, n: s}
			}
		case '%':
			if r.n == 0 {
				return val{k: null}
			}
			if r.n == -1 {
				return val{k: integer}
			}
			return val{k: integer, n: l.n % r.n}
		}
	}
	a, b := l.float(), r.float()
	switch op {
	case '+':
		a += b
	case '-':
		a -= b
	case '*':
		a *= b
	case '/':
		a /= b
	case '%':
		a = math.Mod(a, b)
	}
	if math.IsNaN(a) || math.IsInf(a, 0) {
		return val{k: null}
	}
	return val{k: floating, f: a}
}

func operandOf(v val) val {
	if v.k == text {
		if n, ok := textToNumber(v.s); ok {
			return n
		}
	}
	return v
}

// concat joins two values as text; it is missing if both are.
func concat(r *row, l, m val) val {
	if l.k == missing && m.k == missing {
		return val{}
	}
	from := len(r.buf)
	r.buf = m.appendText(l.appendText(r.buf))
	return val{k: text, s: r.buf[from:]}
}

func (c *compiler) match(n *matchNode) expr {
	x, not := c.expr(n.x), n.not
	if n.op != "REGEXP" {
		like := newLike(n.pattern, n.op == "ILIKE")
		return func(r *row) val {
			v := x(r)
			return boolVal((v.k == text && like.matches(v.s)) != not)
		}
	}
	re, err := regex.Compile(n.pattern)
	if err != nil {
		c.p.fail(n.where, "", "the regular expression is wrong: %v", err)
	}
	return func(r *row) val {
		v := x(r)
		if v.k != text {
			return boolVal(not)
		}
		ok, err := re.TryMatch(v.s)
		if err != nil {
			r.gaveUp++
		}
		return boolVal(ok != not)
	}
}

func (c *compiler) caseExpr(n *caseNode) expr {
	var x, fallback expr
	if n.x != nil {
		x = c.expr(n.x)
	}
	if n.fallback != nil {
		fallback = c.expr(n.fallback)
	}
	when, then := make([]expr, len(n.when)), make([]expr, len(n.then))
	for i := range n.when {
		when[i], then[i] = c.expr(n.when[i]), c.expr(n.then[i])
	}
	return func(r *row) val {
		var v val
		if x != nil {
			v = x(r)
		}
		for i := range when {
			w := when[i](r)
			if x == nil && w.truthy() || x != nil && equal(v, w) {
				return then[i](r)
			}
		}
		if fallback != nil {
			return fallback(r)
		}
		return val{k: null}
	}
}

// aggregate adds an aggregate to the plan and returns what reads its result. The
// same aggregate written twice is kept once.
func (c *compiler) aggregate(n *aggregateNode) expr {
	form := c.p.canon(n.at())
	i := -1
	for j := range c.plan.aggregates {
		if c.plan.aggregates[j].form == form {
			i = j
		}
	}
	if i < 0 {
		a := aggregate{form: form, function: n.name}
		if n.arg != nil {
			c.inGroups = false
			a.arg = c.expr(n.arg)
			c.inGroups = true
		}
		c.plan.aggregates = append(c.plan.aggregates, a)
		i = len(c.plan.aggregates) - 1
	}
	name, distance, exact := n.name, float64(n.distance), c.opts.Exact && n.arg != nil
	return func(r *row) val { return r.at.sums[i].result(name, r.at.records, distance, exact) }
}
