// Package expect is the filter expect: it checks records against rules, for
// tests of a configuration.
package expect

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/accessor"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "expect",
		Summary: "Checks records against rules, for tests of a configuration",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	Action    string
	ResultKey string

	rules []rule // in the order of the configuration
}

// The actions.
const (
	actionWarn   = "warn"
	actionExit   = "exit"
	actionResult = "result_key"
)

// The kinds of rules, which are their options.
const (
	keyExists    = "key_exists"
	keyNotExists = "key_not_exists"
	valIsNull    = "key_val_is_null"
	valIsNotNull = "key_val_is_not_null"
	valEquals    = "key_val_eq"
)

// rule is one expectation.
type rule struct {
	kind string
	text string          // as written
	path *event.Accessor // nil: nothing in a record is meant
	want string          // of key_val_eq
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	return []option.Field{
		c.ruleField(keyExists, "A key that must exist, or a record accessor."),
		c.ruleField(keyNotExists, "A key that must not exist."),
		c.ruleField(valIsNull, "A key whose value must be null."),
		c.ruleField(valIsNotNull, "A key that must exist with a value that is not null."),
		c.ruleField(valEquals, "A key and the text that its value must be; a value that is no text always passes."),
		option.Enum(&c.Action, "action", actionWarn, []string{actionWarn, actionExit, actionResult},
			"What to do with a record that breaks a rule: `warn` logs it, `exit` ends the process with exit code 255, "+
				"`result_key` adds a boolean to every record that tells whether it keeps the rules."),
		option.String(&c.ResultKey, "result_key", "matched", "The key of the boolean."),
	}
}

func (c *Config) ruleField(kind, doc string) option.Field {
	var lines []string
	return option.Lines(&lines, kind, doc).WithCheck(func() error {
		all := lines
		lines = nil
		for _, line := range all {
			r, err := parseRule(kind, line)
			if err != nil {
				return err
			}
			c.rules = append(c.rules, r)
		}
		return nil
	})
}

func parseRule(kind, line string) (rule, error) {
	r := rule{kind: kind, text: line}
	key := line
	if kind == valEquals {
		key, r.want, _ = strings.Cut(strings.TrimLeft(line, " "), " ")
		if r.want = strings.TrimLeft(r.want, " "); r.want == "" {
			r.want = key // As in Fluent Bit, where one word is both.
		}
	}
	var err error
	if r.path, err = event.ParseAccessor(key); err != nil {
		// What names the tag or a capture is accepted by Fluent Bit and finds nothing.
		if t, terr := event.ParseTemplate(key); terr != nil || len(key) < 2 || len(t.Accessors()) > 0 {
			return rule{}, err
		}
	}
	return r, nil
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	if len(c.rules) == 0 {
		env.Log.Warn("there are no rules")
	}
	for _, r := range c.rules {
		if r.path == nil {
			env.Log.Warn("a rule does not name a key of the record, so none exists", r.kind, r.text)
		} else {
			accessor.WarnIgnored(env.Log, r.path, r.kind, r.text)
		}
	}
	return &Filter{
		rules:  slices.Clone(c.rules),
		action: c.Action,
		key:    event.AppendString(nil, c.ResultKey),
		json:   event.JSONOptions{EscapeUnicode: env.Service.EscapeUnicode},
		log:    env.Log,
		stop:   env.Stop,
	}, nil
}

// Filter checks records.
type Filter struct {
	rules  []rule
	action string
	key    event.Value // a constant that records alias
	json   event.JSONOptions
	log    *slog.Logger
	stop   func(code int)
}

var _ plugin.Filter = (*Filter)(nil)

var valTrue, valFalse = event.AppendBool(nil, true), event.AppendBool(nil, false)

// exitCode is that of Fluent Bit.
const exitCode = 255

// Filter checks the events of b, and adds the result to them if that is the
// action.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	for i := range b.Events {
		e := &b.Events[i]
		reason := f.broken(e)
		if reason != "" {
			f.log.Error("a record breaks a rule", "exception", reason,
				"record", string(event.AppendValueJSON(nil, e.Record(), f.json)))
		}
		switch {
		case f.action == actionResult:
			val := event.Value(valTrue)
			if reason != "" {
				val = valFalse
			}
			e.Append(f.key, val)
			fields := e.Fields()
			copy(fields[1:], fields)
			fields[0] = event.Field{Key: f.key, Val: val}
		case reason == "":
		case f.action == actionExit:
			f.stop(exitCode)
			return nil
		default:
			f.log.Warn("expect check failed")
		}
	}
	return nil
}

// broken returns what is wrong about e, or "".
func (f *Filter) broken(e *event.Event) string {
	for i := range f.rules {
		r := &f.rules[i]
		v, ok := r.lookup(e)
		if r.kind == keyNotExists {
			if ok {
				return fmt.Sprintf("rule #%d '%s', key '%s' exists", i, r.kind, r.text)
			}
			continue
		}
		if !ok {
			return fmt.Sprintf("rule #%d '%s', key '%s' not found", i, r.kind, r.text)
		}
		null := v.Kind() == event.KindNil
		switch {
		case r.kind == valIsNull && !null, r.kind == valIsNotNull && null:
			return fmt.Sprintf("rule #%d '%s', key '%s' contains a value type '%s'", i, r.kind, r.text, v.Kind())
		case r.kind == valEquals && v.Kind() == event.KindString:
			if s, _ := v.Str(); string(s) != r.want {
				return fmt.Sprintf("rule #%d '%s', key value '%s' is different than expected: '%s'", i, r.kind, s, r.want)
			}
		}
	}
	return ""
}

// lookup returns the rule's value. A list does not count as one, as in Fluent
// Bit.
func (r *rule) lookup(e *event.Event) (event.Value, bool) {
	if r.path == nil {
		return nil, false
	}
	top, ok := e.Get(r.path.Key())
	if !ok {
		return nil, false
	}
	v, ok := r.path.Descend(top)
	if k := v.Kind(); k == event.KindArray || k == event.KindExt {
		return nil, false
	}
	return v, ok
}
