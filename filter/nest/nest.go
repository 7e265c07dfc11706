// Package nest is the filter nest: it moves fields into a map, or the entries
// of a map up to the record.
package nest

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the filter.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindFilter,
		Name:    "nest",
		Summary: "Moves fields into a map, or the entries of a map up to the record",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	Operation    string
	Wildcard     []string
	NestUnder    string
	NestedUnder  string
	AddPrefix    string
	RemovePrefix string

	// The key and the prefix given last count, whichever option they are of.
	key           string
	hasKey        bool
	prefix        string
	adds, removes bool
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	under := func(p *string) func() error {
		return func() error {
			c.key, c.hasKey = *p, true
			return nil
		}
	}
	return []option.Field{
		option.String(&c.Operation, "operation", "nest",
			"`nest` moves fields into a map, `lift` moves the entries of a map up to the record.").
			WithCheck(func() error {
				if !strings.HasPrefix(c.Operation, "nest") && !strings.HasPrefix(c.Operation, "lift") {
					return fmt.Errorf("%q is neither nest nor lift", c.Operation)
				}
				return nil
			}),
		option.Lines(&c.Wildcard, "wildcard",
			"For nest: a key to move, or the start of keys with a star behind it."),
		option.String(&c.NestUnder, "nest_under", "", "For nest: the key of the map.").WithCheck(under(&c.NestUnder)),
		option.String(&c.NestedUnder, "nested_under", "", "For lift: the key of the map.").WithCheck(under(&c.NestedUnder)),
		option.String(&c.AddPrefix, "add_prefix", "", "Text to put before the keys that move.").
			WithCheck(func() error { c.prefix, c.adds = c.AddPrefix, true; return nil }),
		option.String(&c.RemovePrefix, "remove_prefix", "", "Text to remove from the start of the keys that move.").
			WithCheck(func() error { c.prefix, c.removes = c.RemovePrefix, true; return nil }),
	}
}

// New makes the filter.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	if c.adds && c.removes {
		return nil, option.At("remove_prefix", errors.New("add_prefix and remove_prefix cannot be used together"))
	}
	f := &Filter{
		lift:   strings.HasPrefix(c.Operation, "lift"),
		key:    event.AppendString(nil, c.key),
		name:   c.key,
		prefix: c.prefix,
		add:    c.adds,
		cut:    c.removes,
		log:    env.Log,
	}
	for _, w := range c.Wildcard {
		if w == "" {
			return nil, option.At("wildcard", errors.New("a wildcard is empty"))
		}
		name, prefix := strings.CutSuffix(w, "*")
		f.wildcards = append(f.wildcards, wildcard{[]byte(name), prefix})
	}
	switch {
	case c.Operation != "nest" && c.Operation != "lift":
		env.Log.Warn("the operation counts as its first four letters", "operation", c.Operation)
	case f.lift && !c.hasKey:
		env.Log.Warn("there is no nested_under, so only a map with an empty key is lifted")
	}
	if !f.lift && (!c.hasKey || len(f.wildcards) == 0) {
		env.Log.Warn("there is no nest_under or no wildcard, so nothing is nested")
		f.wildcards = nil
	}
	return f, nil
}

// Filter moves fields.
type Filter struct {
	lift      bool
	key       event.Value // a constant that records alias
	name      string      // its text
	wildcards []wildcard
	prefix    string
	add, cut  bool // what to do with the prefix
	log       *slog.Logger
}

var _ plugin.Filter = (*Filter)(nil)

// wildcard is a key or the start of keys.
type wildcard struct {
	name   []byte
	prefix bool
}

// Filter changes all events of b.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	if !f.lift && len(f.wildcards) == 0 {
		return nil
	}
	for i := range b.Events {
		e := &b.Events[i]
		if !f.lift {
			f.nest(e)
		} else if _, ok := e.Get(f.name); ok {
			f.liftUp(e)
		}
	}
	return nil
}

// moves tells whether nest moves the field with the key into the map.
func (f *Filter) moves(key event.Value) bool {
	name, ok := key.Str()
	if !ok {
		return false
	}
	for i := range f.wildcards {
		w := &f.wildcards[i]
		if w.prefix && bytes.HasPrefix(name, w.name) || !w.prefix && bytes.Equal(name, w.name) {
			return true
		}
	}
	return false
}

// nest takes the fields that move out of the record and puts a map of them at
// its end, even if it has a field with the key of the map.
func (f *Filter) nest(e *event.Event) {
	fields := e.Fields()
	count, size := 0, 5
	var known uint64 // which of the first 64 fields move
	for i := range fields {
		if f.moves(fields[i].Key) {
			count++
			size += len(fields[i].Key) + len(fields[i].Val) + len(f.prefix) + 5
			known |= 1 << i
		}
	}
	if count == 0 {
		return
	}
	b := e.Batch()
	nested := event.AppendMapHeader(b.Arena(size), count)
	n := 0
	for i := range fields {
		if i < 64 && known&(1<<i) == 0 || i >= 64 && !f.moves(fields[i].Key) {
			if n != i {
				fields[n] = fields[i]
			}
			n++
			continue
		}
		nested = append(f.appendKey(nested, fields[i].Key), fields[i].Val...)
	}
	e.SetFields(fields[:n])
	e.Append(f.key, b.SetArena(nested))
}

// liftUp puts the entries of the maps that have the key in place of these, at
// the end of the record.
func (f *Filter) liftUp(e *event.Event) {
	fields := e.Fields()
	var room [4]event.Value
	maps := room[:0]
	n := 0
	for i := range fields {
		if fields[i].Is(f.name) {
			if fields[i].Val.Kind() == event.KindMap {
				maps = append(maps, fields[i].Val)
				continue
			}
			f.log.Warn("the value to lift is no map and stays", "key", f.name)
		}
		fields[n] = fields[i]
		n++
	}
	e.SetFields(fields[:n])
	for _, m := range maps {
		f.appendEntries(e, m)
	}
}

func (f *Filter) appendEntries(e *event.Event, m event.Value) {
	b := e.Batch()
	for key, val := range m.Pairs() {
		if f.add || f.cut {
			key = b.SetArena(f.appendKey(b.Arena(len(key)+len(f.prefix)+5), key))
		}
		e.Append(key, val)
	}
}

// appendKey appends the key with or without the prefix.
func (f *Filter) appendKey(dst []byte, key event.Value) []byte {
	name, ok := key.Str()
	switch {
	case ok && f.add:
		dst = event.AppendStringHeader(dst, len(f.prefix)+len(name))
		dst = append(dst, f.prefix...)
		return append(dst, name...)
	case ok && f.cut:
		if len(name) >= len(f.prefix) && string(name[:len(f.prefix)]) == f.prefix {
			name = name[len(f.prefix):]
		}
		return event.AppendString(dst, name)
	}
	return append(dst, key...)
}
