package engine

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/cnum"
	"github.com/kagarilog/kagari/internal/otlpmeta"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/regex"
)

// condition decides for which events a processor works. Its rules see a field
// as text, a missing one as empty text; a field that is an array has no text,
// and every rule about it fails. All of this is as in Fluent Bit.
type condition struct {
	any   bool // one rule is enough
	rules []rule
	log   *slog.Logger
}

type rule struct {
	config.Rule
	field *event.Template
	paths []*event.Accessor // all paths in the field
	path  *event.Accessor   // the field, if it is nothing but one path
	meta  bool              // the field is one of the metadata
	below []string          // in this map of the metadata
	never bool              // the rule cannot hold
	regex *regex.Regexp
}

// newCondition compiles a condition. What is wrong with it is told at the place
// of the rule.
func newCondition(c *config.Condition, log *slog.Logger) (*condition, *option.Problem) {
	out := &condition{any: strings.EqualFold(c.Op, "or"), log: log}
	for _, r := range c.Rules {
		field, err := event.ParseTemplate(r.Field)
		if err != nil {
			return nil, &option.Problem{Pos: r.Pos, Message: fmt.Sprintf("condition on %q: %v", r.Field, err)}
		}
		rl := rule{Rule: r, field: field, paths: field.Accessors(), meta: strings.EqualFold(r.Context, "metadata")}
		if below, ok := contexts[r.Context]; ok {
			rl.meta, rl.below, rl.never = true, below, below == nil
		}
		switch path, err := event.ParseAccessor(r.Field); {
		case rl.never || startsWithoutValue(r.Field):
			rl.never = true
		case err == nil && path.Ignored() == "" && strings.HasPrefix(r.Field, "$"):
			rl.path = path
		}
		if r.Op == "regex" || r.Op == "not_regex" {
			if rl.regex, err = regex.Compile(r.Text); err != nil {
				return nil, &option.Problem{Pos: r.Pos, Message: fmt.Sprintf("condition on %q: %v", r.Field, err)}
			}
		}
		out.rules = append(out.rules, rl)
	}
	return out, nil
}

// contexts are the places of a route's contexts in the metadata. What Fluent
// Bit calls the attributes of a group is the resource and scope of
// OpenTelemetry; its metadata there are numbers that mean nothing here.
var contexts = map[string][]string{
	"group_metadata":           nil,
	"group_attributes":         {otlpmeta.Root},
	"otel_resource_attributes": {otlpmeta.Root, otlpmeta.Resource, otlpmeta.Attributes},
	"otel_scope_attributes":    {otlpmeta.Root, otlpmeta.Scope, otlpmeta.Attributes},
	"otel_scope_metadata":      {otlpmeta.Root, otlpmeta.Scope},
}

// startsWithoutValue tells whether a field begins with the tag or a capture of
// a regular expression. Conditions know neither; Fluent Bit fails such a rule.
func startsWithoutValue(field string) bool {
	rest, ok := strings.CutPrefix(field, "$")
	return ok && (strings.HasPrefix(rest, "TAG") || rest != "" && rest[0]-'0' <= 9)
}

// holds tells whether the event meets the condition.
func (c *condition) holds(e *event.Event) bool {
	scratch := fieldTexts.Get().(*[]byte)
	defer func() {
		if cap(*scratch) <= longestKept {
			fieldTexts.Put(scratch)
		}
	}()
	for i := range c.rules {
		if c.rules[i].holds(e, scratch, c.log) == c.any {
			return c.any
		}
	}
	return !c.any
}

// fieldTexts are buffers for the text of a field; holds has one at a time.
var fieldTexts = sync.Pool{New: func() any { b := make([]byte, 0, 256); return &b }}

const longestKept = 64 << 10

func (r *rule) holds(e *event.Event, scratch *[]byte, log *slog.Logger) bool {
	got, ok := r.text(scratch, e)
	if !ok {
		return false
	}
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
	case "regex", "not_regex":
		ok, err := r.regex.TryMatch(got)
		if err != nil {
			log.Warn("a regular expression of a condition was given up and counts as not matching", "field", r.Field, "regex", r.Text, "error", err)
		}
		return ok == (r.Op == "regex")
	case "in":
		return slices.Contains(r.List, string(got))
	default:
		return !slices.Contains(r.List, string(got))
	}
}

// text returns the text of the rule's field, which stands in scratch or is part
// of the event; false if it has none.
func (r *rule) text(scratch *[]byte, e *event.Event) (text []byte, ok bool) {
	if r.never {
		return nil, false
	}
	meta := e.Meta
	for _, key := range r.below {
		if meta, ok = meta.Get(key); !ok {
			return nil, false
		}
	}
	if r.path != nil {
		v, found := r.value(r.path, e, meta)
		if !found {
			return nil, true
		}
		if text, ok := v.Str(); ok {
			return text, true
		}
		*scratch, ok = event.AppendPlain((*scratch)[:0], v)
		return *scratch, ok
	}
	for _, path := range r.paths {
		if v, found := r.value(path, e, meta); found && (v.Kind() == event.KindArray || v.Kind() == event.KindExt) {
			return nil, false
		}
	}
	lookup := e.Get
	if r.meta {
		lookup = meta.Get
	}
	*scratch, _ = r.field.AppendWith((*scratch)[:0], event.TemplateArgs{Lookup: lookup})
	return *scratch, true
}

// value finds what a path names, in meta if the rule is about the metadata.
func (r *rule) value(path *event.Accessor, e *event.Event, meta event.Value) (event.Value, bool) {
	if r.meta {
		return path.Lookup(meta)
	}
	top, ok := e.Get(path.Key())
	if !ok {
		return nil, false
	}
	return path.Descend(top)
}

// number reads the number at the start of the text, 0 if there is none.
func number(b []byte) float64 {
	f, _ := cnum.Float(b)
	return f
}
