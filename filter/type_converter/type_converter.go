// Package type_converter is the filter type_converter: it adds fields with the
// values of others in another type.
package type_converter

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
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
		Name:    "type_converter",
		Summary: "Adds fields with the values of others in another type",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter. Each entry is a key, a new key and a
// type.
type Config struct {
	Int, Uint, Float, Str [][]string
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.Words(&c.Int, "int_key", 3, 3,
			"The key of an integer, the key of the new field, and its type: string, float or uint."),
		option.Words(&c.Uint, "uint_key", 3, 3,
			"The key of an integer that is not negative, the key of the new field, and its type: string, float or int."),
		option.Words(&c.Float, "float_key", 3, 3,
			"The key of a float, the key of the new field, and its type: string, int or uint."),
		option.Words(&c.Str, "str_key", 3, 3,
			"The key of text, the key of the new field, and its type: int, uint, float, hex or bool."),
	}
}

// rule is one conversion.
type rule struct {
	from     *event.Accessor
	key      event.Value // the new key, a constant that records alias
	kind, to kind
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	f := &Filter{log: env.Log}
	// Fluent Bit converts in this order, however the options are written.
	for _, group := range [...]struct {
		from  kind
		lines [][]string
	}{{kindString, c.Str}, {kindInt, c.Int}, {kindUint, c.Uint}, {kindFloat, c.Float}} {
		for _, words := range group.lines {
			f.add(group.from, words)
		}
	}
	if len(f.rules) == 0 {
		return nil, errors.New("there is no rule; give at least one int_key, uint_key, float_key or str_key")
	}
	return f, nil
}

// add adds a rule, or warns about one that is ignored as in Fluent Bit.
func (f *Filter) add(from kind, words []string) {
	text := strings.Join(words, " ")
	if len(words) != 3 {
		f.log.Warn("a rule does not have three words and is ignored", "rule", text)
		return
	}
	to, ok := parseKind(words[2])
	if !ok {
		f.log.Warn("a rule has an unknown type and is ignored; the types are int, uint, float, hex, string and bool", "rule", text)
		return
	}
	path, err := event.ParseAccessor(words[0])
	if err != nil {
		f.log.Warn("a rule has a bad key and is ignored", "rule", text, "error", err)
		return
	}
	if path.EndsInIndex() {
		f.log.Warn("a rule names an element of a list and finds nothing, as in Fluent Bit", "rule", text)
	} else {
		accessor.WarnIgnored(f.log, path, "rule", text)
	}
	if !from.converts(to) {
		f.log.Warn("a rule converts to a type for which there is no conversion, so the value stays as it is", "rule", text)
	}
	f.rules = append(f.rules, rule{path, event.AppendString(nil, words[1]), from, to})
}

// Filter converts values.
type Filter struct {
	rules []rule
	log   *slog.Logger
}

var _ plugin.Filter = (*Filter)(nil)

// Filter adds the new fields to all events of b. Where a value cannot be
// converted the new field has it as it is; but if that goes for all values in
// b, Fluent Bit takes the result for no change, and so does this.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	if !f.any(b) {
		return nil
	}
	for i := range b.Events {
		f.convert(&b.Events[i])
	}
	return nil
}

// any tells whether a value in b can be converted.
func (f *Filter) any(b *event.Batch) bool {
	var room [400]byte
	for i := range b.Events {
		for j := range f.rules {
			r := &f.rules[j]
			if v, ok := r.lookup(&b.Events[i], b.Events[i].Len()); ok {
				if _, ok = r.kind.appendAs(room[:0], v, r.to); ok {
					return true
				}
			}
		}
	}
	return false
}

func (f *Filter) convert(e *event.Event) {
	b := e.Batch()
	// New fields are not seen by the rules.
	n := e.Len()
	for i := range f.rules {
		r := &f.rules[i]
		v, ok := r.lookup(e, n)
		if !ok {
			continue
		}
		if out, ok := r.kind.appendAs(b.Arena(32), v, r.to); ok {
			v = b.SetArena(out)
		} else {
			f.log.Warn("a value cannot be converted and stays as it is", "key", r.from.String(), "type", r.to.String())
		}
		e.Append(r.key, v)
	}
}

// lookup returns the value of the rule among the first n fields of e.
func (r *rule) lookup(e *event.Event, n int) (event.Value, bool) {
	top, ok := event.Value(nil), false
	if e.Len() == n {
		top, ok = e.Get(r.from.Key())
	} else {
		fields := e.Fields()[:n]
		for i := n - 1; i >= 0 && !ok; i-- {
			if fields[i].Key.Kind() == event.KindString && fields[i].Is(r.from.Key()) {
				top, ok = fields[i].Val, true
			}
		}
	}
	if !ok || r.from.EndsInIndex() && (top.Kind() == event.KindMap || top.Kind() == event.KindArray) {
		return nil, false
	}
	return r.from.Descend(top)
}
