package engine

import (
	"bytes"
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
	config.Rule
	field *event.Template
	meta  bool // the field is one of the metadata
	regex *regex.Regexp
}

func newCondition(c *config.Condition) (*condition, error) {
	out := &condition{any: strings.EqualFold(c.Op, "or")}
	for _, r := range c.Rules {
		field, err := event.ParseTemplate(r.Field)
		if err != nil {
			return nil, fmt.Errorf("condition on %q: %w", r.Field, err)
		}
		rl := rule{Rule: r, field: field, meta: strings.EqualFold(r.Context, "metadata")}
		if r.Op == "regex" || r.Op == "not_regex" {
			if rl.regex, err = regex.Compile(r.Text); err != nil {
				return nil, fmt.Errorf("condition on %q: %w", r.Field, err)
			}
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
	switch r.Op {
	case "eq":
		return string(got) == r.Text
	case "neq":
		return string(got) != r.Text
	case "gt":
		return number(got) > r.Number
	case "lt":
		return number(got) < r.Number
	case "gte":
		return number(got) >= r.Number
	case "lte":
		return number(got) <= r.Number
	case "regex":
		return r.regex.Match(got)
	case "not_regex":
		return !r.regex.Match(got)
	case "in":
		return slices.Contains(r.List, string(got))
	default:
		return !slices.Contains(r.List, string(got))
	}
}

// longestNumber is how much of a text is looked at for a number.
const longestNumber = 64

// number reads the number at the start of the text, 0 if there is none.
func number(b []byte) float64 {
	b, _, _ = bytes.Cut(b, []byte("_")) // Go allows it between digits, C does not.
	for n := min(len(b), longestNumber); n > 0; n-- {
		if f, err := strconv.ParseFloat(string(b[:n]), 64); err == nil {
			return f
		}
	}
	return 0
}
