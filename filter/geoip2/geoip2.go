// Package geoip2 is the filter geoip2: it adds what a MaxMind database says about
// IP addresses in records.
//
// Options name the keys with addresses and the fields to add (field.go). Start
// opens the database (database.go). What it says about an address is kept in a
// bounded cache (cache.go), as the same addresses come again and again.
package geoip2

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"slices"

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
		Name:    "geoip2",
		Summary: "Adds what a MaxMind database says about IP addresses",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the filter.
type Config struct {
	Database  string
	LookupKey []string
	Record    []string
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	return []option.Field{
		option.String(&c.Database, "database", "",
			"The file of the database.").WithRequired(),
		option.Lines(&c.LookupKey, "lookup_key",
			"A top-level key with an IP address, without regard to case. As in Fluent Bit a longer key of the record that begins so is taken too."),
		option.Lines(&c.Record, "record",
			"A key to add, the lookup_key and the path of the value in the database, such as `country clientip %{country.names.en}`."),
	}
}

// New makes the filter. The database is opened by Start.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	if c.Database == "" {
		return nil, option.At("database", errors.New("the option database is empty"))
	}
	if len(c.LookupKey) == 0 {
		return nil, errors.New("at least one lookup_key is needed")
	}
	if len(c.Record) == 0 {
		return nil, errors.New("at least one record is needed")
	}
	f := &Filter{file: c.Database, log: env.Log}
	for _, key := range c.LookupKey {
		if key == "" {
			return nil, option.At("lookup_key", errors.New("a lookup_key is empty"))
		}
		f.lookups = append(f.lookups, &lookup{key: key})
	}
	for _, text := range c.Record {
		r, err := parseField(text, env.Log)
		if err != nil {
			return nil, option.AtText("record", text, err)
		}
		of := slices.IndexFunc(f.lookups, func(l *lookup) bool { return l.key == r.lookup })
		if of < 0 {
			env.Log.Warn("a record does not name a lookup_key, so that its value is always null", "record", text)
		} else {
			r.index = len(f.lookups[of].paths)
			f.lookups[of].paths = append(f.lookups[of].paths, r.path)
		}
		r.of = of
		f.fields = append(f.fields, r)
	}
	return f, nil
}

// Filter adds fields.
type Filter struct {
	file    string
	lookups []*lookup
	fields  []field
	log     *slog.Logger
	db      *database // after Start
}

// lookup is a key with addresses.
type lookup struct {
	key   string
	paths []path // what fields want of it
	cache cache
}

var (
	_ plugin.Filter  = (*Filter)(nil)
	_ plugin.Starter = (*Filter)(nil)
	_ plugin.Checker = (*Filter)(nil)
)

// Check tells whether the database can be opened.
func (f *Filter) Check() error {
	db, err := openDatabase(f.file)
	if err != nil {
		return option.At("database", err)
	}
	return db.close()
}

// Start opens the database.
func (f *Filter) Start(context.Context) error {
	var err error
	f.db, err = openDatabase(f.file)
	return err
}

// Close closes the database.
func (f *Filter) Close() error {
	if f.db == nil {
		return nil
	}
	return f.db.close()
}

// null is the value of a field that nothing is known for.
var null = event.AppendNil(nil)

// Filter adds the fields to the events of b.
func (f *Filter) Filter(_ context.Context, b *event.Batch) error {
	found := make([][]event.Value, len(f.lookups))
	for i := range b.Events {
		e := &b.Events[i]
		for j, l := range f.lookups {
			found[j] = nil
			if address := l.address(e); address != nil {
				found[j] = f.values(l, address)
			}
		}
		for j := range f.fields {
			r := &f.fields[j]
			v := event.Value(null)
			if r.of >= 0 && found[r.of] != nil {
				v = found[r.of][r.index]
			}
			e.Append(r.key, v)
		}
	}
	return nil
}

// address returns the text under the key, of several the last, or nil.
func (l *lookup) address(e *event.Event) []byte {
	var found []byte
	for _, field := range e.Fields() {
		if field.Key.Kind() != event.KindString || field.Val.Kind() != event.KindString {
			continue
		}
		if hasPrefixFold(field.Name(), l.key) {
			found, _ = field.Val.Str()
			if found == nil {
				found = []byte{}
			}
		}
	}
	return found
}

// hasPrefixFold tells whether s begins with prefix, where capital and small
// letters of ASCII are the same.
func hasPrefixFold(s []byte, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if lower(s[i]) != lower(prefix[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// values returns what the database says about an address, for each path of l, or
// nil if that is nothing.
func (f *Filter) values(l *lookup, address []byte) []event.Value {
	if v, ok := l.cache.get(address); ok {
		return v
	}
	v, err := f.db.lookup(address, l.paths)
	if err != nil {
		f.log.Warn("the database says nothing about an address", "lookup_key", l.key, "error", fmt.Errorf("look up %q: %w", shorten(address), err))
	}
	l.cache.put(address, v)
	return v
}

// shorten cuts text that is too long for a message or the cache.
func shorten(s []byte) []byte { return s[:min(len(s), maxAddress)] }

// maxAddress is longer than any address, in bytes.
const maxAddress = 64
