package sql

import (
	"fmt"
	"strconv"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// parse reads a query:
//
//	query     = SELECT column {"," column} FROM STREAM [name] [WHERE cond] ";"
//	column    = "*" | name [AS name]
//	cond      = NOT cond | simple [(AND | OR) cond]
//	simple    = "(" cond ")" | name [IS [NOT] NULL | operator value] | value
//	operator  = "=" | "!=" | "<>" | "<" | "<=" | ">" | ">="
//	value     = integer | number | text | TRUE | FALSE
//
// It is the grammar of Fluent Bit's processor (sql-parser.y), where everything
// behind NOT, AND or OR belongs to it: a AND b OR c means a AND (b OR c).
func parse(s string) (*query, error) {
	tokens, err := split(s)
	if err != nil {
		return nil, err
	}
	p := &parser{text: s, tokens: tokens}
	q := &query{}
	if err := p.query(q); err != nil {
		return nil, err
	}
	return q, nil
}

type parser struct {
	text   string
	tokens []token
	depth  int
}

// take goes on if the next word is of the kind.
func (p *parser) take(k kind) (token, bool) {
	t := p.tokens[0]
	if t.kind != k {
		return t, false
	}
	if k != kindEnd {
		p.tokens = p.tokens[1:]
	}
	return t, true
}

// want is take for what must follow.
func (p *parser) want(k kind) (token, error) {
	t, ok := p.take(k)
	if !ok {
		return t, p.unexpected(string(k))
	}
	return t, nil
}

// mistake is an error at a word of the query.
func (p *parser) mistake(t token, format string, args ...any) error {
	return option.Within(p.text, t.at, fmt.Errorf(format, args...))
}

func (p *parser) unexpected(want string) error {
	t := p.tokens[0]
	return p.mistake(t, "%s stands at offset %d where %s is expected", t, t.at, want)
}

func (p *parser) query(q *query) error {
	if _, err := p.want("SELECT"); err != nil {
		return err
	}
	for {
		if err := p.column(q); err != nil {
			return err
		}
		if _, more := p.take(","); !more {
			break
		}
	}
	for _, k := range []kind{"FROM", "STREAM"} {
		if _, err := p.want(k); err != nil {
			return err
		}
	}
	p.take(kindName)
	if _, ok := p.take("WHERE"); ok {
		var err error
		if q.where, err = p.condition(); err != nil {
			return err
		}
	}
	for _, k := range []kind{";", kindEnd} {
		if _, err := p.want(k); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) column(q *query) error {
	if _, ok := p.take("*"); ok {
		if len(q.columns) == 0 {
			q.all = true
		} else {
			q.lateStar = true
		}
		return nil
	}
	name, ok := p.take(kindName)
	if !ok {
		return p.unexpected("a key or *")
	}
	c := column{name: name.text}
	if _, ok := p.take("AS"); ok {
		as, err := p.want(kindName)
		if err != nil {
			return err
		}
		c.as = event.AppendString(nil, as.text)
	}
	q.columns = append(q.columns, c)
	return nil
}

// maxDepth bounds how deep conditions nest.
const maxDepth = 1000

func (p *parser) condition() (*condition, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.mistake(p.tokens[0], "the condition nests deeper than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	if _, ok := p.take("NOT"); ok {
		c, err := p.condition()
		if err != nil {
			return nil, err
		}
		return &condition{op: opNot, left: c}, nil
	}
	left, err := p.simple()
	if err != nil {
		return nil, err
	}
	op := opAnd
	if _, ok := p.take("AND"); !ok {
		if _, ok = p.take("OR"); !ok {
			return left, nil
		}
		op = opOr
	}
	right, err := p.condition()
	if err != nil {
		return nil, err
	}
	return &condition{op: op, left: left, right: right}, nil
}

var operators = map[kind]operator{"=": opEq, "!=": opNeq, "<>": opNeq, "<": opLt, "<=": opLte, ">": opGt, ">=": opGte}

func (p *parser) simple() (*condition, error) {
	if _, ok := p.take("("); ok {
		c, err := p.condition()
		if err != nil {
			return nil, err
		}
		_, err = p.want(")")
		return c, err
	}
	name, ok := p.take(kindName)
	if !ok {
		v, err := p.value()
		return &condition{op: opValue, value: v}, err
	}
	c := &condition{op: opKey, key: name.text}
	if _, ok := p.take("IS"); ok {
		c.op = opEq
		if _, ok := p.take("NOT"); ok {
			c.op = opNeq
		}
		_, err := p.want("NULL")
		return c, err
	}
	op, ok := operators[p.tokens[0].kind]
	if !ok {
		return c, nil
	}
	p.tokens = p.tokens[1:]
	c.op = op
	var err error
	c.value, err = p.value()
	return c, err
}

// value reads a literal.
func (p *parser) value() (v value, err error) {
	t := p.tokens[0]
	switch t.kind {
	case kindInt:
		v.kind = isInt
		if v.i, err = strconv.ParseInt(t.text, 10, 64); err != nil {
			return v, p.mistake(t, "%s at offset %d is no integer of 64 bits", t, t.at)
		}
	case kindFloat:
		v.kind = isFloat
		if v.f, err = strconv.ParseFloat(t.text, 64); err != nil {
			return v, p.mistake(t, "%s at offset %d is too large", t, t.at)
		}
	case kindString:
		v.kind, v.s = isString, []byte(t.text)
	case "TRUE", "FALSE":
		v.kind, v.b = isBool, t.kind == "TRUE"
	default:
		return v, p.unexpected("a key, a number, text, TRUE or FALSE")
	}
	p.tokens = p.tokens[1:]
	return v, nil
}
