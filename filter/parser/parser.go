// Package parser is the filter parser: it reads a text field of each record with
// the first of its parsers that the text fits, and puts what it finds in the
// place of the record.
package parser

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
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
		Name:    "parser",
		Summary: "Reads a text field of the records with a parser",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	KeyName     string
	Parsers     []string
	PreserveKey bool
	ReserveData bool
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	var unescape string
	return []option.Field{
		option.String(&c.KeyName, "key_name", "", "Field with the text: a key, or a record accessor such as `$kubernetes['log']`.").WithRequired(),
		option.Lines(&c.Parsers, "parser", "Parser for the text; of several the first that fits counts.").WithRequired(),
		option.Bool(&c.PreserveKey, "preserve_key", false, "Keep the field with the text."),
		option.Bool(&c.ReserveData, "reserve_data", false, "Keep the other fields of the record."),
		option.String(&unescape, "unescape_key", "", "Without effect.").WithDeprecated("decode_field_as escaped in the parser"),
	}
}

// New makes the filter. Like Fluent Bit it takes what there is of its parsers,
// but not none.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	f := &Filter{
		env:       env,
		key:       c.KeyName,
		preserve:  c.PreserveKey,
		reserve:   c.ReserveData,
		unmatched: env.Stats.Counter(unmatchedMetric, "Records whose text no parser of the filter fits; they go on as they are.", "", ""),
	}
	if strings.HasPrefix(c.KeyName, "$") {
		var err error
		if f.accessor, err = event.ParseAccessor(c.KeyName); err != nil {
			return nil, option.At("key_name", fmt.Errorf("option \"key_name\": %w", err))
		}
	}
	var missing []error
	for _, name := range c.Parsers {
		p, err := env.Parser(name)
		if err != nil {
			missing = append(missing, option.AtText("parser", name, err))
			continue
		}
		f.parsers = append(f.parsers, p)
	}
	if len(f.parsers) == 0 {
		return nil, errors.Join(missing...)
	}
	for _, err := range missing {
		env.Log.Error("goes on without a parser", "error", err)
	}
	return f, nil
}

// unmatchedMetric counts the records that go on as they are although they have
// the field.
const unmatchedMetric = "kagari_filter_parser_unmatched_total"

// Filter reads one field of each record.
type Filter struct {
	env       *plugin.Env
	key       string
	accessor  *event.Accessor // nil if key is the name of a top-level field
	parsers   []plugin.Parser
	preserve  bool
	reserve   bool
	unmatched *plugin.Counter
}

var _ plugin.Filter = (*Filter)(nil)

// Filter parses the records of b. One without the field, with a field that is
// no text, and one that no parser fits stays as it is.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	for i := range b.Events {
		e := &b.Events[i]
		record := e.Record()
		if f.accessor != nil {
			f.filterAt(e, record)
		} else {
			f.filterKey(e, record)
		}
	}
	return nil
}

// filterAt parses the value that the accessor names. As in Fluent Bit
// preserve_key has no effect then: reserve_data keeps all of the record, and
// without it nothing is kept.
func (f *Filter) filterAt(e *event.Event, record event.Value) {
	val, ok := f.accessor.Lookup(record)
	if !ok {
		return
	}
	text, ok := val.Str()
	if !ok || !f.parse(text, e) || !f.reserve {
		return
	}
	if n, body, err := event.ReadMapHeader(record); err == nil {
		extend(e, n, body)
	}
}

// span is a part of the entries of a record.
type span struct{ from, to int }

// filterKey parses the top-level field of the name. Of several each is parsed,
// and the last one decides what the record is.
func (f *Filter) filterKey(e *event.Event, record event.Value) {
	n, body, err := event.ReadMapHeader(record)
	if err != nil {
		return
	}
	ns, fits := e.Time, false
	var room [4]span
	parsed := room[:0]
	rest := body
	for range n {
		from := len(body) - len(rest)
		var key, val event.Value
		if key, rest, err = event.Next(rest); err != nil {
			break
		}
		if val, rest, err = event.Next(rest); err != nil {
			break
		}
		if name, ok := key.Str(); !ok || string(name) != f.key {
			continue
		}
		text, ok := val.Str()
		if !ok {
			continue
		}
		if fits = f.parse(text, e); fits {
			parsed = append(parsed, span{from, len(body) - len(rest)})
		}
	}
	switch {
	case !fits && len(parsed) > 0:
		e.Time = ns
		e.SetRecord(record)
	case !fits:
	case f.reserve && f.preserve:
		extend(e, n, body)
	case f.reserve:
		extend(e, n, body, parsed...)
	case f.preserve:
		last := parsed[len(parsed)-1]
		extend(e, 1, body[last.from:last.to])
	}
}

// parse sets the record of e from text with the first parser that fits.
func (f *Filter) parse(text []byte, e *event.Event) bool {
	for _, p := range f.parsers {
		if p.Parse(text, e) {
			return true
		}
	}
	f.unmatched.Add(1)
	const show = 128
	f.env.Log.Warn("no parser fits a text; its record goes on as it is", "key", f.key, "text", string(text[:min(len(text), show)]))
	return false
}

// extend adds the n entries in body to the end of the record, except those that
// are cut out.
func extend(e *event.Event, n int, body []byte, cut ...span) {
	record := e.Record()
	have, fields, err := event.ReadMapHeader(record)
	if err != nil {
		panic("BUG: the parser made a record that is no map: " + err.Error())
	}
	batch := e.Batch()
	out := event.AppendMapHeader(batch.Arena(len(record)+len(body)+5), have+n-len(cut))
	out = append(out, fields...)
	from := 0
	for _, c := range cut {
		out = append(out, body[from:c.from]...)
		from = c.to
	}
	e.SetRecord(batch.SetArena(append(out, body[from:]...)))
}
