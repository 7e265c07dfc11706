package stream

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/kagarilog/kagari/option"
)

// Options adjust how statements are read and run. The zero value is a stream
// task of Fluent Bit.
type Options struct {
	// Exact takes the language at its word where Fluent Bit departs from it: AND
	// binds more tightly than OR, literals and results are 64-bit floats,
	// aggregates leave out records without the key, groups keep their values as
	// they are, and LIMIT limits.
	Exact bool
	// Loose allows a statement without FROM and without the semicolon.
	Loose bool
	// Whole leaves aggregates without a window to Report, instead of reporting them
	// after each batch.
	Whole bool
	// KeepText stops aggregates and GROUP BY from taking texts that look like
	// numbers for numbers (sp.convert_from_str_to_num off).
	KeepText bool
	// StateLimit bounds the memory of groups and snapshots of a task, in bytes; 0
	// means 16 MiB.
	StateLimit int
}

// maxNesting is how deeply expressions may be nested.
const maxNesting = 200

// parser reads one statement.
type parser struct {
	query    string
	opts     Options
	tokens   []token
	i        int
	depth    int
	warnings []Warning
	// aggregates says where aggregate functions are allowed.
	aggregates bool
}

// compiled is a statement with its plan.
type compiled struct {
	*statement
	plan *plan
}

// parse reads and compiles a statement. The error is an *Error.
func parse(query string, opts Options) (st compiled, warnings []Warning, err error) {
	p := &parser{query: query, opts: opts}
	if p.tokens, p.warnings, err = scan(query); err != nil {
		return st, nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			e, ours := r.(*Error)
			if !ours {
				panic(r)
			}
			err = e
		}
	}()
	st.statement = p.statement()
	st.plan = p.compile(st.statement)
	return st, p.warnings, nil
}

// fail ends the parsing; parse recovers it.
func (p *parser) fail(pos int, fix, format string, args ...any) {
	panic(&Error{Query: p.query, Offset: pos, Msg: fmt.Sprintf(format, args...), Fix: fix})
}

func (p *parser) warn(pos int, fix, format string, args ...any) {
	p.warnings = append(p.warnings, Warning{Query: p.query, Offset: pos, Msg: fmt.Sprintf(format, args...), Fix: fix})
}

func (p *parser) peek() token { return p.tokens[p.i] }

func (p *parser) next() token {
	t := p.tokens[p.i]
	if t.kind != kindEnd {
		p.i++
	}
	return t
}

// end is where the token taken last ends.
func (p *parser) end() int {
	if p.i == 0 {
		return 0
	}
	return p.tokens[p.i-1].end
}

// is tells whether t is a keyword or, if it is not reserved, that word.
func (t token) is(word string) bool {
	return t.kind == kindKeyword && t.text == word || t.kind == kindName && strings.EqualFold(t.text, word)
}

func (t token) symbol(s string) bool { return t.kind == kindSymbol && t.text == s }

// accept takes the word if it comes next.
func (p *parser) accept(word string) bool {
	if p.peek().is(word) {
		p.i++
		return true
	}
	return false
}

func (p *parser) acceptSymbol(s string) bool {
	if p.peek().symbol(s) {
		p.i++
		return true
	}
	return false
}

// describe names a token in messages.
func describe(t token) string {
	switch t.kind {
	case kindEnd:
		return "the statement ends"
	case kindText:
		return fmt.Sprintf("there is the text '%s'", t.text)
	}
	return fmt.Sprintf("there is %q", t.text)
}

// expected fails because t is none of what is named.
func (p *parser) expected(t token, what string, words ...string) {
	fix := ""
	switch {
	case t.kind == kindKeyword && (strings.Contains(what, "a key") || strings.Contains(what, "the name")):
		fix = fmt.Sprintf("%s is a word of the language; as a name it needs double quotes: \"%s\"", t.text, p.query[t.pos:t.end])
	case t.kind == kindName && len(words) > 0:
		fix = option.DidYouMean(t.text, words)
	}
	p.fail(t.pos, fix, "expected %s, but %s", what, describe(t))
}

func (p *parser) word(word string) {
	if !p.accept(word) {
		p.expected(p.peek(), word, word)
	}
}

func (p *parser) symbol(s string) {
	if !p.acceptSymbol(s) {
		p.expected(p.peek(), fmt.Sprintf("%q", s))
	}
}

// name takes a name, also one in double quotes.
func (p *parser) name(what string) token {
	t := p.peek()
	if t.kind != kindName && t.kind != kindQuotedName {
		p.expected(t, what)
	}
	return p.next()
}

// statement reads everything.
func (p *parser) statement() *statement {
	st := &statement{limit: -1}
	switch t := p.peek(); {
	case p.accept("CREATE"):
		switch t := p.peek(); {
		case p.accept("STREAM"):
			st.kind = CreateStream
		case p.accept("SNAPSHOT"):
			st.kind = CreateSnapshot
		default:
			p.expected(t, "STREAM or SNAPSHOT", "STREAM", "SNAPSHOT")
		}
	case p.accept("FLUSH"):
		p.word("SNAPSHOT")
		st.kind = FlushSnapshot
	case t.is("SELECT"):
	default:
		p.expected(t, "SELECT, CREATE or FLUSH", "SELECT", "CREATE", "FLUSH")
	}
	if st.kind != Select {
		t := p.name("the name of the stream")
		st.name, st.namePos = t.text, t.pos
		p.properties(st)
		p.word("AS")
	}
	p.selection(st)
	p.from(st)
	switch st.kind {
	case CreateSnapshot:
		p.limit(st)
	case FlushSnapshot:
		p.whereClause(st)
	default:
		p.clauses(st)
	}
	if !p.acceptSymbol(";") && !(p.opts.Loose && p.peek().kind == kindEnd) {
		p.afterClauses()
	}
	if t := p.peek(); t.kind != kindEnd {
		p.fail(t.pos, "write one task for each statement", "the statement has ended, but %s", describe(t))
	}
	p.validate(st)
	return st
}

// properties reads WITH (key = 'value', …).
func (p *parser) properties(st *statement) {
	if !p.accept("WITH") {
		return
	}
	p.symbol("(")
	for {
		t := p.name("the name of a property")
		p.symbol("=")
		v := p.next()
		if v.kind != kindText {
			p.fail(v.pos, "write it in single quotes", "the value of a property is a text, but %s", describe(v))
		}
		known := []string{"tag", "routable", "storage.type", "seconds"}
		key, found := t.text, false
		for _, k := range known {
			found = found || k == key
		}
		if !found {
			p.warn(t.pos, option.DidYouMean(key, known), "the property %q is not known and has no effect", key)
		}
		st.props = append(st.props, property{key, v.text})
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.symbol(")")
}

// selection reads SELECT and the columns.
func (p *parser) selection(st *statement) {
	p.word("SELECT")
	if st.kind == CreateSnapshot || st.kind == FlushSnapshot {
		t := p.peek()
		if !p.acceptSymbol("*") {
			p.fail(t.pos, "write SELECT *", "a snapshot holds whole records")
		}
		st.columns = []column{{star: true, pos: t.pos, end: t.end}}
		return
	}
	p.aggregates = true
	for {
		st.columns = append(st.columns, p.column(len(st.columns) == 0))
		if !p.acceptSymbol(",") {
			break
		}
	}
	p.aggregates = false
}

func (p *parser) column(first bool) column {
	t := p.peek()
	if p.acceptSymbol("*") {
		if !first {
			p.fail(t.pos, "write it first: SELECT *, …", "* comes before all other columns")
		}
		return column{star: true, name: "*", pos: t.pos, end: t.end}
	}
	c := column{expr: p.value(), pos: t.pos, end: p.end()}
	c.name = p.columnName(c)
	if p.accept("AS") {
		c.alias = p.name("a name for the column, as a key").text
		c.name = c.alias
	}
	return c
}

// columnName is the key of a column without an alias: for what Fluent Bit knows
// too it is as there, for the rest the text of the expression.
func (p *parser) columnName(c column) string {
	switch n := c.expr.(type) {
	case *keyNode:
		return keyName(n)
	case *aggregateNode:
		if n.arg == nil {
			return n.name + "(*)"
		}
		if key, ok := n.arg.(*keyNode); ok {
			return n.name + "(" + keyName(key) + ")"
		}
		return n.name + "(" + p.source(n.arg.at()) + ")"
	case *callNode:
		switch n.name {
		case "now", "unix_timestamp", "record_tag", "record_time":
			return strings.ToUpper(n.name) + "()"
		}
	}
	return p.source(span{c.pos, c.end})
}

// source returns a piece of the statement on one line.
func (p *parser) source(s span) string {
	return strings.Join(strings.Fields(p.query[s.pos:s.end]), " ")
}

func keyName(n *keyNode) string {
	s := n.name
	for _, st := range n.path {
		if st.index >= 0 {
			s += fmt.Sprintf("[%d]", st.index)
		} else {
			s += "['" + st.key + "']"
		}
	}
	return s
}

// from reads FROM STREAM:name or FROM TAG:'pattern'.
func (p *parser) from(st *statement) {
	if p.opts.Loose && !p.peek().is("FROM") {
		return
	}
	if t := p.peek(); !p.accept("FROM") {
		p.expected(t, "FROM or a comma", "FROM", "AS")
	}
	t := p.next()
	switch {
	case t.kind == kindFromStream:
		n := p.next()
		if n.kind != kindName && n.kind != kindQuotedName && n.kind != kindText {
			p.expected(n, "the name of a stream or input")
		}
		st.source = Source{Stream: true, Name: n.text, Offset: n.pos}
	case t.kind == kindFromTag:
		n := p.next()
		if n.kind != kindText && n.kind != kindQuotedName {
			p.fail(n.pos, "write it in single quotes: TAG:'app.*'", "expected a pattern for tags, but %s", describe(n))
		}
		st.source = Source{Name: n.text, Offset: n.pos}
	default:
		fix := "write FROM STREAM:name or FROM TAG:'pattern'"
		if t.kind == kindName || t.kind == kindQuotedName {
			fix = fmt.Sprintf("write FROM STREAM:%s for a stream or input, or FROM TAG:'%s' for a tag", t.text, t.text)
		}
		p.fail(t.pos, fix, "expected STREAM: or TAG:, but %s", describe(t))
	}
}

// clauses reads what follows FROM.
func (p *parser) clauses(st *statement) {
	p.windowClause(st)
	p.whereClause(st)
	if t := p.peek(); t.is("GROUP") {
		st.groupAt = t.pos
		p.next()
		p.word("BY")
		for {
			st.group = append(st.group, p.value())
			if !p.acceptSymbol(",") {
				break
			}
		}
	}
	if p.accept("HAVING") {
		p.aggregates = true
		st.having = p.condition()
		p.aggregates = false
	}
	if t := p.peek(); t.is("ORDER") {
		p.next()
		p.word("BY")
		if !p.opts.Exact {
			p.fail(t.pos, "", "ORDER BY is for kagari sql only; events have the order of their arrival")
		}
		p.aggregates = true
		for {
			s := sorting{expr: p.value()}
			if p.accept("DESC") {
				s.desc = true
			} else {
				p.accept("ASC")
			}
			st.order = append(st.order, s)
			if !p.acceptSymbol(",") {
				break
			}
		}
		p.aggregates = false
	}
	p.limit(st)
}

func (p *parser) whereClause(st *statement) {
	if p.accept("WHERE") {
		st.where = p.condition()
	}
}

func (p *parser) limit(st *statement) {
	at := p.peek().pos
	if !p.accept("LIMIT") {
		return
	}
	st.limit, st.limitAt = int(p.integer("a number of records")), at
}

// integer reads a number that is not negative.
func (p *parser) integer(what string) int64 {
	t := p.next()
	if t.kind != kindInt {
		p.expected(t, what)
	}
	n, ok := parseInt([]byte(t.text), false)
	if !ok || n > 1<<31-1 {
		p.fail(t.pos, "", "the number %s is too large", t.text)
	}
	return n
}

// units of time, in the singular.
var units = []struct {
	name string
	d    time.Duration
}{{"SECOND", time.Second}, {"MINUTE", time.Minute}, {"HOUR", time.Hour}, {"DAY", 24 * time.Hour}}

// never is the size of a window that does not end.
const never = time.Duration(math.MaxInt64)

// duration reads a number and a unit.
func (p *parser) duration() time.Duration {
	at := p.peek().pos
	n := p.integer("a number, as in 5 SECOND")
	t := p.next()
	for _, u := range units {
		if t.is(u.name) || t.is(u.name+"S") {
			if n == 0 {
				p.warn(at, "", "a window of no time is never reported")
				return never
			}
			return min(time.Duration(n), never/u.d) * u.d
		}
	}
	p.expected(t, "SECOND, MINUTE, HOUR or DAY", "SECOND", "MINUTE", "HOUR", "DAY")
	return 0
}

// windowClause reads WINDOW TUMBLING (n unit) or HOPPING (n unit, ADVANCE BY m
// unit).
func (p *parser) windowClause(st *statement) {
	st.windowAt = p.peek().pos
	if !p.accept("WINDOW") {
		return
	}
	switch t := p.next(); {
	case t.is("TUMBLING"):
		p.symbol("(")
		st.window.Size = p.duration()
		p.symbol(")")
	case t.is("HOPPING"):
		p.symbol("(")
		st.window.Size = p.duration()
		p.symbol(",")
		at := p.peek().pos
		p.word("ADVANCE")
		p.word("BY")
		st.window.Advance = p.duration()
		p.symbol(")")
		switch {
		case st.window.Size == never:
			st.window.Advance = 0
		case st.window.Advance >= st.window.Size:
			p.warn(at, "", "the window does not advance by less than its size; it is a tumbling window of that time")
			st.window = Window{Size: st.window.Advance}
		}
	default:
		p.expected(t, "TUMBLING or HOPPING", "TUMBLING", "HOPPING")
	}
}

// clauseWords are in the order in which clauses must come.
var clauseWords = []string{"WINDOW", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT"}

// afterClauses says why the statement does not end here.
func (p *parser) afterClauses() {
	t := p.peek()
	if t.kind == kindEnd {
		p.fail(len(strings.TrimRight(p.query, " \t\r\n")), "", "a statement ends with a semicolon")
	}
	if t.symbol("-") {
		p.fail(t.pos, "a name with special characters needs double quotes", "expected the next clause or a semicolon, but there is %q", "-")
	}
	for _, w := range clauseWords {
		if t.is(w) {
			p.fail(t.pos, "the order is WINDOW, WHERE, GROUP BY, HAVING, LIMIT", "%s is not allowed here", w)
		}
	}
	p.expected(t, "the next clause or a semicolon", append([]string{"FROM", "AND", "OR", "BY", "LIKE", "BETWEEN", "IN"}, clauseWords...)...)
}
