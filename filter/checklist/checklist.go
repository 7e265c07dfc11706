// Package checklist is the filter checklist: it adds fields to records whose
// value of a key is in a file.
package checklist

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

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
		Name:    "checklist",
		Summary: "Adds fields to records whose value of a key is in a file",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	File           string
	Mode           string
	PrintQueryTime bool
	IgnoreCase     bool
	LookupKey      string
	Record         [][]string
}

// The modes.
const (
	modeExact   = "exact"
	modePartial = "partial"
)

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.String(&c.File, "file", "",
			"The file with the entries, one in each line. Empty lines and lines that begin with # are skipped."),
		option.Enum(&c.Mode, "mode", modeExact, []string{modeExact, modePartial},
			"`exact`: the value is an entry. `partial`: the value begins with an entry, in which % stands for any text and _ for any character.").
			WithLenient(),
		option.Bool(&c.PrintQueryTime, "print_query_time", false,
			"Log how long it took to find each value that was found."),
		option.Bool(&c.IgnoreCase, "ignore_case", false,
			"Take capital and small letters (of ASCII) for the same."),
		option.String(&c.LookupKey, "lookup_key", "log",
			"The key of the value, or a record accessor. Only text is looked up."),
		option.Words(&c.Record, "record", 2, 2,
			"A key and a value to set in records that are found. true, false and null make values of these types."),
	}
}

// New makes the filter. The file is read by Start.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	f := &Filter{
		file:  c.File,
		log:   env.Log,
		list:  list{partial: c.Mode == modePartial, fold: c.IgnoreCase},
		times: c.PrintQueryTime,
	}
	var err error
	if f.key, err = event.ParseAccessor(c.LookupKey); err != nil {
		return nil, option.At("lookup_key", fmt.Errorf("lookup_key: %w", err))
	}
	accessor.WarnIgnored(env.Log, f.key, "option", "lookup_key", "key", c.LookupKey)
	if len(c.Record) == 0 {
		env.Log.Warn("there is no record, so nothing is added")
	}
	for _, words := range c.Record {
		if len(words) > 2 {
			env.Log.Warn("a record is not a key and a value; the first and the last word are taken, as in Fluent Bit; put text with blanks in double quotes",
				"record", strings.Join(words, " "))
		}
		f.names = append(f.names, words[0])
		f.add = append(f.add, event.Field{Key: event.AppendString(nil, words[0]), Val: constant(words[len(words)-1])})
	}
	return f, nil
}

// constant returns the value for a word of the configuration.
func constant(word string) event.Value {
	switch strings.ToLower(word) {
	case "true":
		return event.AppendBool(nil, true)
	case "false":
		return event.AppendBool(nil, false)
	case "null":
		return event.AppendNil(nil)
	}
	return event.AppendString(nil, word)
}

// Filter adds fields.
type Filter struct {
	file  string
	key   *event.Accessor
	list  list // read-only after Start
	names []string
	add   []event.Field // constants that records alias
	times bool
	log   *slog.Logger
}

var (
	_ plugin.Filter  = (*Filter)(nil)
	_ plugin.Starter = (*Filter)(nil)
	_ plugin.Checker = (*Filter)(nil)
)

// Check tells whether the file can be read. Without it the filter starts, but
// finds nothing.
func (f *Filter) Check() error {
	if f.file == "" {
		return errors.New("the option file is missing, so no value is ever found")
	}
	list, err := os.Open(f.file)
	if err != nil {
		return option.At("file", fmt.Errorf("the list cannot be read, so no value is ever found: %w", err))
	}
	return list.Close()
}

// Start reads the file. As in Fluent Bit a file that cannot be read is no
// reason not to start: nothing is found then.
func (f *Filter) Start(context.Context) error {
	if f.file == "" {
		f.log.Error("the option file is missing, so no value is ever found")
		return nil
	}
	text, err := os.ReadFile(f.file)
	if err != nil {
		f.log.Error("the list cannot be read, so no value is ever found", "error", err)
		return nil
	}
	f.list.read(text)
	f.log.Debug("the list was read", "file", f.file, "entries", f.list.entries)
	return nil
}

// Filter sets the fields in those events of b whose value is found.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	for i := range b.Events {
		e := &b.Events[i]
		top, ok := e.Get(f.key.Key())
		if !ok {
			continue
		}
		v, ok := f.key.Descend(top)
		if !ok || v.Kind() != event.KindString {
			continue
		}
		text, _ := v.Str()
		var start time.Time
		if f.times {
			start = time.Now()
		}
		if !f.list.has(text) {
			continue
		}
		if f.times {
			f.log.Info("query time", "elapsed", time.Since(start), "value", string(text))
		}
		f.set(e)
	}
	return nil
}

// set replaces the fields that the options name. Keys that are no text go, as
// in Fluent Bit.
func (f *Filter) set(e *event.Event) {
	fields := e.Fields()
	n := 0
	for i := range fields {
		if fields[i].Key.Kind() == event.KindString && !slices.ContainsFunc(f.names, fields[i].Is) {
			fields[n] = fields[i]
			n++
		}
	}
	e.SetFields(fields[:n])
	for _, field := range f.add {
		e.Append(field.Key, field.Val)
	}
}

// lines calls f for every entry of a file.
func lines(text []byte, f func(entry []byte)) {
	for len(text) > 0 {
		line, rest, ended := bytes.Cut(text, []byte{'\n'})
		text = rest
		if ended {
			line = bytes.TrimSuffix(line, []byte{'\r'})
		}
		if len(line) > 0 && line[0] != '#' {
			f(line)
		}
	}
}
