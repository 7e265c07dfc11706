package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/regex"
)

// Condition decides for each record whether a processor works on it or a route
// takes it, as the page "Conditional processing" of the Fluent Bit manual
// describes.
//
// A rule compares the text of its field: Field is a record accessor such as
// $a['b'] and may have text around it; a missing field is the empty text,
// numbers are written as %d and %f, and true, false and null as these words.
type Condition struct {
	Op    string // "and" or "or"
	Rules []Rule // at least one
	Pos   option.Pos
}

// Rule is one comparison of a Condition.
type Rule struct {
	Field string
	// Op is eq, neq, gt, lt, gte, lte, regex, not_regex, in or not_in.
	Op string
	// Text is the operand of eq and neq, and the pattern of regex and not_regex.
	Text string
	// Number is the operand of gt, lt, gte and lte; the field is read as by
	// C's atof.
	Number float64
	// List is the operand of in and not_in.
	List []string
	// Context is what Field looks into: body or metadata, and in routes also
	// group_metadata, group_attributes, otel_resource_attributes,
	// otel_scope_attributes or otel_scope_metadata.
	Context string
	Pos     option.Pos
}

// routeContexts are the words for the context of a rule in a route.
var routeContexts = map[string]string{
	"metadata": "metadata", "record_metadata": "metadata", "attributes": "metadata",
	"body": "body", "record": "body", "message": "body", "record_body": "body",
	"group_metadata": "group_metadata", "group_attributes": "group_attributes", "group_body": "group_attributes",
	"otel_resource_attributes": "otel_resource_attributes", "otel_scope_attributes": "otel_scope_attributes",
	"otel_scope_name": "otel_scope_metadata", "otel_scope_version": "otel_scope_metadata",
	"otel_scope_metadata": "otel_scope_metadata",
}

var ruleOps = []string{"eq", "neq", "gt", "lt", "gte", "lte", "regex", "not_regex", "in", "not_in"}

// condition decodes the condition of a processor or a route. It returns nil if
// it is refused.
func (l *loader) condition(n node, route bool) *Condition {
	if n.shape != option.Map {
		l.fail(n.pos, "", "a condition must be a map with op and rules, but it is %s", n.shape)
		return nil
	}
	c := &Condition{Op: "and", Pos: n.pos}
	if op, ok := n.get("op"); ok && isText(op.val) {
		c.Op = strings.ToLower(op.val.text)
		if c.Op != "and" && c.Op != "or" {
			l.fail(op.val.pos, option.DidYouMean(c.Op, []string{"and", "or"}), "the condition's op %q is neither \"and\" nor \"or\"", op.val.text)
			return nil
		}
	}
	rules, ok := n.get("rules")
	if !ok || rules.val.shape != option.List || len(rules.val.items) == 0 {
		l.fail(n.pos, "", "the condition needs a list of rules")
		return nil
	}
	for _, p := range n.pairs {
		if !strings.EqualFold(p.key.text, "op") && !strings.EqualFold(p.key.text, "rules") {
			l.warn(p.key.pos, option.DidYouMean(p.key.text, []string{"op", "rules"}), "%q has no meaning in a condition", p.key.text)
		}
	}
	for _, item := range rules.val.items {
		r, err := l.rule(item, route)
		if err != nil {
			l.badRule(item, err)
			return nil
		}
		c.Rules = append(c.Rules, r)
	}
	return c
}

// badRule reports what is wrong with a rule, at the key that the error names.
func (l *loader) badRule(n node, err error) {
	pos := n.pos
	var at *option.KeyError
	if errors.As(err, &at) {
		if p, ok := n.get(at.Key); ok {
			pos = p.val.pos
		}
	}
	l.fail(pos, "", "the rule is refused: %v", err)
	(*l.ps)[len(*l.ps)-1].PlaceIn(err)
}

func (l *loader) rule(n node, route bool) (Rule, error) {
	r := Rule{Context: "body", Pos: n.pos}
	if n.shape != option.Map {
		return r, fmt.Errorf("it must be a map, but it is %s", n.shape)
	}
	field, ok := n.get("field")
	if !ok || !isText(field.val) {
		return r, option.At("field", fmt.Errorf("it needs a field, such as '$level'"))
	}
	r.Field = field.val.text
	switch rest, ok := strings.CutPrefix(r.Field, "$"); {
	case !strings.Contains(r.Field, "$"):
		l.warn(field.val.pos, fmt.Sprintf("write $%s", r.Field), "the field %q is no key but a text, which is the same for all records", r.Field)
	case ok && (strings.HasPrefix(rest, "TAG") || rest != "" && rest[0]-'0' <= 9):
		l.warn(field.val.pos, "", "conditions do not know the tag or captures, so that a rule about %q never holds", r.Field)
	}
	op, ok := n.get("op")
	if !ok || !isText(op.val) {
		return r, option.At("op", fmt.Errorf("it needs an op: %s", strings.Join(ruleOps, ", ")))
	}
	if r.Op = canonical(op.val.text, ruleOps); r.Op == "" {
		return r, option.At("op", fmt.Errorf("the op %q is not one of %s", op.val.text, strings.Join(ruleOps, ", ")))
	}
	value, ok := n.get("value")
	if !ok {
		return r, fmt.Errorf("it needs a value")
	}
	if ctx, ok := n.get("context"); ok && isText(ctx.val) {
		word := routeContexts[strings.ToLower(ctx.val.text)]
		switch {
		case route && word == "":
			return r, option.At("context", fmt.Errorf("the context %q is not one of %s", ctx.val.text,
				strings.Join(slices.Sorted(maps.Keys(routeContexts)), ", ")))
		case route || strings.EqualFold(ctx.val.text, "metadata"):
			r.Context = word
		case !strings.EqualFold(ctx.val.text, "body"):
			l.warn(ctx.val.pos, "use body or metadata", "the context %q counts as body", ctx.val.text)
		}
	}
	for _, p := range n.pairs {
		if canonical(p.key.text, []string{"field", "op", "value", "context"}) == "" {
			l.warn(p.key.pos, option.DidYouMean(p.key.text, []string{"field", "op", "value", "context"}),
				"%q has no meaning in a rule", p.key.text)
		}
	}
	operand := l.operand
	if route {
		operand = routeOperand
	}
	err := operand(&r, value.val)
	if err == nil && (r.Op == "regex" || r.Op == "not_regex") {
		_, err = regex.Compile(r.Text)
	}
	return r, option.At("value", err)
}

func canonical(word string, words []string) string {
	for _, w := range words {
		if strings.EqualFold(w, word) {
			return w
		}
	}
	return ""
}

// operand sets the value of a rule. Fluent Bit 5.1.1 mixes up the types here,
// and configurations that run with it must do the same with us:
//
//   - the eight bytes of a whole number are taken for a float by gt, lt, gte
//     and lte, which is nearly 0, and for text by the other operators;
//   - the bytes of a text are taken for a float by gt, lt, gte and lte.
func (l *loader) operand(r *Rule, n node) error {
	list := r.Op == "in" || r.Op == "not_in"
	numeric := r.Op == "gt" || r.Op == "lt" || r.Op == "gte" || r.Op == "lte"
	switch {
	case list && n.shape != option.List:
		return fmt.Errorf("the op %s needs a list", r.Op)
	case !list && n.shape != option.Scalar:
		return fmt.Errorf("the op %s needs one value, but here is %s", r.Op, n.shape)
	case list && len(n.items) == 0:
		return fmt.Errorf("the list is empty")
	case list:
		for _, item := range n.items {
			if !isText(item) {
				return fmt.Errorf("the list may hold only texts; put %q in quotes", item.text)
			}
			r.List = append(r.List, item.text)
		}
		return nil
	}
	var raw [8]byte
	typ, whole, float := scalarType(n)
	switch typ {
	case typeInt:
		binary.LittleEndian.PutUint64(raw[:], whole)
	case typeFloat:
		binary.LittleEndian.PutUint64(raw[:], math.Float64bits(float))
	case typeText:
		copy(raw[:], n.text)
	default:
		return fmt.Errorf("%q is no text and no number; put it in quotes", n.text)
	}
	if numeric {
		r.Number = math.Float64frombits(binary.LittleEndian.Uint64(raw[:]))
		if typ != typeFloat {
			l.warn(n.pos, "write the number with a point, such as 5.0",
				"%q is not compared as a number: Fluent Bit reads its bytes as %g", n.text, r.Number)
		}
		return nil
	}
	r.Text = n.text
	if typ != typeText {
		r.Text, _, _ = strings.Cut(string(raw[:]), "\x00")
		l.warn(n.pos, "put the number in quotes", "%q is not compared as text: Fluent Bit compares the bytes of the number", n.text)
	}
	switch {
	case r.Text == "" && typ != typeText:
		return fmt.Errorf("the number %q cannot be compared as text; put it in quotes", n.text)
	case r.Text == "":
		return fmt.Errorf("the value is empty")
	}
	return nil
}

// routeOperand sets the value of a rule in a route, where numbers are numbers.
func routeOperand(r *Rule, n node) error {
	for _, item := range n.items {
		if item.shape != option.Scalar {
			return fmt.Errorf("the list may hold only texts and numbers")
		}
		r.List = append(r.List, item.text)
	}
	switch r.Op {
	case "in", "not_in":
		if len(r.List) == 0 {
			return fmt.Errorf("the op %s needs a list", r.Op)
		}
		return nil
	case "gt", "lt", "gte", "lte":
		f, err := strconv.ParseFloat(n.text, 64)
		if err != nil || n.shape != option.Scalar {
			return fmt.Errorf("the op %s needs a number", r.Op)
		}
		r.Number = f
		return nil
	}
	if n.shape != option.Scalar || n.text == "" {
		return fmt.Errorf("the op %s needs one value", r.Op)
	}
	r.Text = n.text
	return nil
}

// isText tells whether Fluent Bit takes a scalar of a processor for text.
func isText(n node) bool {
	typ, _, _ := scalarType(n)
	return n.shape == option.Scalar && !n.alias && typ == typeText
}

type scalarKind uint8

const (
	typeText scalarKind = iota
	typeNull
	typeBool
	typeInt
	typeFloat
)

// scalarType tells what an unquoted scalar inside a processor stands for. bits
// are those of a 64-bit integer.
func scalarType(n node) (typ scalarKind, bits uint64, f float64) {
	if !n.plain {
		return typeText, 0, 0
	}
	switch n.text {
	case "null":
		return typeNull, 0, 0
	case "true", "false":
		return typeBool, 0, 0
	}
	s := n.text
	if !strings.HasPrefix(s, "-") {
		if v, err := strconv.ParseUint(strings.TrimPrefix(s, "+"), 10, 64); err == nil {
			return typeInt, v, 0
		}
	} else if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return typeInt, uint64(v), 0
	}
	if strings.Contains(s, "_") {
		return typeText, 0, 0
	}
	if low := strings.ToLower(s); strings.Contains(low, "0x") && !strings.Contains(low, "p") {
		s += "p0" // C reads hexadecimal floats without an exponent too
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		return typeFloat, 0, v
	}
	return typeText, 0, 0
}
