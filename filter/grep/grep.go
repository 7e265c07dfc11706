// Package grep is the filter grep: it keeps or drops records by regular
// expressions.
package grep

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/accessor"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/regex"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "grep",
		Summary: "Keeps or drops records by regular expressions",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	LogicalOp string

	rules []rule // in the order of the configuration
}

// rule is one Regex or Exclude.
type rule struct {
	exclude bool
	field   string
	path    *event.Accessor // nil: nothing in a record is meant
	regex   *regex.Regexp
}

// The values of logical_op.
const (
	opLegacy = "legacy"
	opAnd    = "AND"
	opOr     = "OR"
)

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	return []option.Field{
		c.ruleField("regex", false,
			"A key and a regular expression, separated by a blank. Records whose value matches are kept. "+
				"The key may be a record accessor such as `$kubernetes['labels']['app']`."),
		c.ruleField("exclude", true,
			"A key and a regular expression, separated by a blank. Records whose value matches are dropped."),
		option.Enum(&c.LogicalOp, "logical_op", opLegacy, []string{opLegacy, opAnd, opOr},
			"How several rules count together. `legacy`: they are tried in order, the first Regex that matches keeps the record, "+
				"the first Regex that does not match or Exclude that does drops it. `AND`: all have to match. `OR`: one has to match.").
			WithLenient(),
	}
}

func (c *Config) ruleField(name string, exclude bool, doc string) option.Field {
	var lines []string
	return option.Lines(&lines, name, doc).WithCheck(func() error {
		for _, line := range lines {
			r, err := parseRule(line)
			if err != nil {
				return err
			}
			r.exclude = exclude
			c.rules = append(c.rules, r)
		}
		lines = nil
		return nil
	})
}

// parseRule reads a key and a regular expression. Exactly one blank stands
// between them; more are part of the expression, as in Fluent Bit.
func parseRule(line string) (rule, error) {
	field, pattern, ok := strings.Cut(strings.TrimLeft(line, " "), " ")
	if !ok || field == "" || pattern == "" {
		return rule{}, fmt.Errorf("%q is not a key and a regular expression, separated by a blank", line)
	}
	if field[0] != '$' {
		field = "$" + field
	}
	r := rule{field: field}
	var err error
	if r.path, err = event.ParseAccessor(field); err != nil {
		// What names the tag or a capture is accepted by Fluent Bit and finds nothing.
		if t, terr := event.ParseTemplate(field); terr != nil || len(field) < 2 || len(t.Accessors()) > 0 {
			return rule{}, err
		}
	}
	if r.regex, err = regex.Compile(pattern); err != nil {
		return rule{}, err
	}
	return r, nil
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	if c.LogicalOp != opLegacy && slices.ContainsFunc(c.rules, func(r rule) bool { return r.exclude != c.rules[0].exclude }) {
		return nil, option.At("logical_op", errors.New("with logical_op AND or OR either regex or exclude can be used, not both"))
	}
	if len(c.rules) == 0 {
		env.Log.Warn("there is neither a regex nor an exclude, so every record is kept")
	}
	for _, r := range c.rules {
		if r.path == nil {
			env.Log.Warn("a rule does not name a key of the record and never matches", "key", r.field)
		} else {
			accessor.WarnIgnored(env.Log, r.path, "key", r.field)
		}
	}
	return &Filter{rules: slices.Clone(c.rules), op: c.LogicalOp, log: env.Log}, nil
}

// Filter keeps or drops records.
type Filter struct {
	rules []rule
	op    string
	log   *slog.Logger
}

var _ plugin.Filter = (*Filter)(nil)

// Filter drops the events of b that the rules do not let pass.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	if len(f.rules) == 0 {
		return nil
	}
	n := 0
	for i := range b.Events {
		e := &b.Events[i]
		if !f.keep(e) {
			continue
		}
		if n != i {
			b.Events[n] = *e
		}
		n++
	}
	clear(b.Events[n:])
	b.Events = b.Events[:n]
	return nil
}

func (f *Filter) keep(e *event.Event) bool {
	if f.op == opLegacy {
		for i := range f.rules {
			r := &f.rules[i]
			if f.matches(r, e) {
				return !r.exclude
			}
			if !r.exclude {
				return false
			}
		}
		return true
	}
	found := false
	for i := range f.rules {
		found = f.matches(&f.rules[i], e)
		if found == (f.op == opOr) {
			break
		}
	}
	return found != f.rules[0].exclude
}

// matches tells whether the rule's value is text that the expression matches.
func (f *Filter) matches(r *rule, e *event.Event) bool {
	if r.path == nil {
		return false
	}
	top, ok := e.Get(r.path.Key())
	if !ok {
		return false
	}
	v, ok := r.path.Descend(top)
	if !ok || v.Kind() != event.KindString {
		return false
	}
	text, _ := v.Str()
	ok, err := r.regex.TryMatch(text)
	if err != nil {
		f.log.Warn("a regular expression was given up and counts as not matching",
			"key", r.field, "regex", r.regex.String(), "error", err)
	}
	return ok
}
