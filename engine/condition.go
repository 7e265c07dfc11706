package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/regex"
)

// condition decides for which events a processor works. Its rules see a field
// as text, a missing one as empty text, as in Fluent Bit.
type condition struct {
	any   bool // one rule is enough
	rules []rule
}

type rule struct {
	field *event.Template
	meta  bool // the field is one of the metadata
	op    string
	text  string
	texts []string
	num   float64
	regex *regex.Regexp
}

func newCondition(c *config.Condition) (*condition, error) {
	out := &condition{any: strings.EqualFold(c.Op, "or")}
	for _, r := range c.Rules {
		field, err := event.ParseTemplate(r.Field)
		if err != nil {
			return nil, fmt.Errorf("condition on %q: %w", r.Field, err)
		}
		rl := rule{field: field, op: strings.ToLower(r.Op), text: r.Value.Text, meta: strings.EqualFold(r.Context, "metadata")}
		switch rl.op {
		case "eq", "neq":
		case "gt", "lt", "gte", "lte":
			rl.num = number([]byte(r.Value.Text))
		case "regex", "not_regex":
			if rl.regex, err = regex.Compile(r.Value.Text); err != nil {
				return nil, fmt.Errorf("condition on %q: %w", r.Field, err)
			}
		case "in", "not_in":
			for _, item := range r.Value.Items {
				rl.texts = append(rl.texts, item.Text)
			}
		default:
			return nil, fmt.Errorf("condition on %q: unknown op %q; use eq, neq, gt, lt, gte, lte, regex, not_regex, in or not_in", r.Field, r.Op)
		}
		out.rules = append(out.rules, rl)
	}
	return out, nil
}

// holds tells whether the event meets the condition.
func (c *condition) holds(e *event.Event) bool {
	for i := range c.rules {
		if c.rules[i].holds(e) == c.any {
			return c.any
		}
	}
	return !c.any
}

func (r *rule) holds(e *event.Event) bool {
	rec := e.Record()
	if r.meta {
		rec = e.Meta
	}
	var buf [256]byte
	got, _ := r.field.Append(buf[:0], e.Batch().Tag, rec)
	switch r.op {
	case "eq":
		return string(got) == r.text
	case "neq":
		return string(got) != r.text
	case "gt":
		return number(got) > r.num
	case "lt":
		return number(got) < r.num
	case "gte":
		return number(got) >= r.num
	case "lte":
		return number(got) <= r.num
	case "regex":
		return r.regex.Match(got)
	case "not_regex":
		return !r.regex.Match(got)
	case "in":
		return slices.Contains(r.texts, string(got))
	default:
		return !slices.Contains(r.texts, string(got))
	}
}

// number reads the number at the start of the text, 0 if there is none.
func number(b []byte) float64 {
	for n := len(b); n > 0; n-- {
		if f, err := strconv.ParseFloat(string(b[:n]), 64); err == nil {
			return f
		}
	}
	return 0
}
