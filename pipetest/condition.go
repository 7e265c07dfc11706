package pipetest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/regex"
)

// Condition is what has to hold of one field of a record.
type Condition struct {
	Field  string
	Pos    option.Pos
	checks []check
}

// check is one test of a value. present is false where there is none, and val
// then nil.
type check struct {
	text string // as people read it, such as `> 5`
	ok   func(val event.Value, present bool) bool
}

// failed returns the text of the first check that does not hold of the record,
// or "".
func (c Condition) failed(rec event.Value) string {
	v, present := lookup(rec, c.Field)
	for _, k := range c.checks {
		if !k.ok(v, present) {
			return k.text
		}
	}
	return ""
}

func allHold(cs []Condition, rec event.Value) bool {
	return !slices.ContainsFunc(cs, func(c Condition) bool { return c.failed(rec) != "" })
}

// conditionText gives the conditions on one line.
func conditionText(cs []Condition) string {
	var parts []string
	for _, c := range cs {
		for _, k := range c.checks {
			parts = append(parts, c.Field+" "+k.text)
		}
	}
	return strings.Join(parts, ", ")
}

// conditions reads a map from fields to what holds of them: a value that it
// equals, or a map of checks.
func (d *decoder) conditions(p config.NodePair) []Condition {
	if p.Val.Shape != option.Map || len(p.Val.Pairs) == 0 {
		d.fail(p.Val.Pos, "write for example level: error, or status: {ge: 500}", "%s must be a map from fields to conditions, but it is %s", p.Key.Text, shapeOf(p.Val))
		return nil
	}
	var out []Condition
	for _, f := range p.Val.Pairs {
		c := Condition{Field: f.Key.Text, Pos: f.Key.Pos}
		if strings.HasPrefix(c.Field, "$") {
			if _, err := event.ParseAccessor(c.Field); err != nil {
				d.fail(f.Key.Pos, "", "%v", err)
			}
		}
		if f.Val.Shape == option.Map {
			c.checks = d.checks(f.Val, "the condition of a field")
		} else {
			c.checks = []check{equals(appendNode(nil, f.Val))}
		}
		out = append(out, c)
	}
	return out
}

func equals(want event.Value) check {
	return check{"is " + show(want), func(v event.Value, present bool) bool { return present && equal(want, v) }}
}

// checks reads a map such as {ge: 500, lt: 600}.
func (d *decoder) checks(n config.Node, what string) []check {
	var out []check
	add := func(text string, ok func(event.Value, bool) bool) { out = append(out, check{text, ok}) }
	compare := func(word, sign string, ok func(int) bool) entry {
		return entry{word, func(p config.NodePair) {
			want := event.Value(appendNode(nil, p.Val))
			if p.Val.Shape != option.Scalar || number(want) == nil && want.Kind() != event.KindString {
				d.fail(p.Val.Pos, "", "%s needs a number or a text", word)
				return
			}
			add(sign+" "+show(want), func(v event.Value, present bool) bool {
				c, comparable := order(v, want)
				return present && comparable && ok(c)
			})
		}}
	}
	pattern := func(word, text string, fits bool) entry {
		return entry{word, func(p config.NodePair) {
			re, err := regex.Compile(d.text(p))
			if err != nil {
				d.fail(p.Val.Pos, "", "%v", err)
				return
			}
			add(text+" "+re.String(), func(v event.Value, present bool) bool {
				return present && re.Match(textOf(v)) == fits
			})
		}}
	}
	presence := func(word string, want bool) entry {
		return entry{word, func(p config.NodePair) {
			there := d.truth(p) == want
			text := "is absent"
			if there {
				text = "exists"
			}
			add(text, func(_ event.Value, present bool) bool { return present == there })
		}}
	}
	d.fields(n, what,
		entry{"eq", func(p config.NodePair) { out = append(out, equals(appendNode(nil, p.Val))) }},
		entry{"ne", func(p config.NodePair) {
			want := event.Value(appendNode(nil, p.Val))
			add("is not "+show(want), func(v event.Value, present bool) bool { return !present || !equal(want, v) })
		}},
		pattern("regex", "matches", true),
		pattern("not_regex", "does not match", false),
		presence("exists", true),
		presence("absent", false),
		compare("gt", ">", func(c int) bool { return c > 0 }),
		compare("ge", ">=", func(c int) bool { return c >= 0 }),
		compare("lt", "<", func(c int) bool { return c < 0 }),
		compare("le", "<=", func(c int) bool { return c <= 0 }),
		entry{"in", func(p config.NodePair) {
			list := items(appendNode(nil, config.Node{Shape: option.List, Items: d.list(p)}))
			add("is one of "+show(appendNode(nil, p.Val)), func(v event.Value, present bool) bool {
				return present && slices.ContainsFunc(list, func(w event.Value) bool { return equal(w, v) })
			})
		}},
		entry{"contains", func(p config.NodePair) {
			want := event.Value(appendNode(nil, p.Val))
			add("contains "+show(want), func(v event.Value, present bool) bool { return present && holds(v, want) })
		}},
		entry{"type", func(p config.NodePair) {
			if !slices.Contains(typeNames, p.Val.Text) {
				d.fail(p.Val.Pos, "", "%q is no type; there are %s", p.Val.Text, strings.Join(typeNames, ", "))
			}
			add("is of type "+p.Val.Text, func(v event.Value, present bool) bool { return present && typeName(v) == p.Val.Text })
		}},
	)
	if n.Shape == option.Map && len(n.Pairs) == 0 {
		d.fail(n.Pos, "", "%s is empty", what)
	}
	return out
}

// count reads a number of records or checks of one.
func (d *decoder) count(p config.NodePair) []check {
	if p.Val.Shape == option.Map {
		return d.checks(p.Val, "count")
	}
	n, err := strconv.Atoi(p.Val.Text)
	if p.Val.Shape != option.Scalar || err != nil || n < 0 {
		d.fail(p.Val.Pos, "", "count must be a whole number or a map such as {ge: 1}")
		return nil
	}
	return []check{equals(event.AppendInt(nil, int64(n)))}
}

// holds tells whether text has another in it, or a list an entry.
func holds(v, want event.Value) bool {
	if v.Kind() == event.KindArray {
		return slices.ContainsFunc(items(v), func(item event.Value) bool { return equal(want, item) })
	}
	s, ok := v.Str()
	part, isText := want.Str()
	return ok && isText && strings.Contains(string(s), string(part))
}

// textOf is the text that expressions are matched with: of what is no text, as
// JSON shows it.
func textOf(v event.Value) []byte {
	if s, ok := v.Str(); ok {
		return s
	}
	return []byte(show(v))
}

// number returns the value of a number, nil of what is none.
func number(v event.Value) *float64 {
	switch v.Kind() {
	case event.KindInt, event.KindUint, event.KindFloat:
		if f, ok := v.Float(); ok && !math.IsNaN(f) {
			return &f
		}
	}
	return nil
}

// order compares two numbers or two texts.
func order(a, b event.Value) (c int, comparable bool) {
	if len(a) == 0 {
		return 0, false
	}
	if x, y := number(a), number(b); x != nil && y != nil {
		if i, ok := a.Int(); ok && a.Kind() == event.KindInt {
			if j, ok := b.Int(); ok && b.Kind() == event.KindInt {
				return cmpInt(i, j), true // beyond 2^53 a float is not exact
			}
		}
		switch {
		case *x < *y:
			return -1, true
		case *x > *y:
			return 1, true
		}
		return 0, true
	}
	x, okX := a.Str()
	y, okY := b.Str()
	return strings.Compare(string(x), string(y)), okX && okY
}

func cmpInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

var typeNames = []string{"string", "integer", "float", "bool", "map", "list", "null", "binary"}

// typeName names the type of a value as typeNames do.
func typeName(v event.Value) string {
	switch v.Kind() {
	case event.KindString:
		return "string"
	case event.KindInt, event.KindUint:
		return "integer"
	case event.KindFloat:
		return "float"
	case event.KindBool:
		return "bool"
	case event.KindMap:
		return "map"
	case event.KindArray:
		return "list"
	case event.KindNil:
		return "null"
	case event.KindBinary:
		return "binary"
	}
	return fmt.Sprintf("kind %d", v.Kind())
}
