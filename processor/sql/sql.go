// Package sql is the processor sql: it selects records and their keys by a
// query. lexer.go splits the query into words, parse.go reads them, and
// condition.go is what stands behind WHERE.
package sql

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the processor.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindProcessor,
		Name:    "sql",
		Summary: "Selects records and their keys by an SQL query",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the processor.
type Config struct {
	Query string

	query *query
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	return []option.Field{
		option.String(&c.Query, "query", "", "The query, such as `SELECT code AS status, path FROM STREAM WHERE code >= 500;`.").
			WithRequired().
			WithCheck(func() (err error) {
				if c.query, err = parse(c.Query); err != nil {
					return fmt.Errorf("read the query %q: %w", c.Query, err)
				}
				return nil
			}),
	}
}

// New makes the processor.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	if c.query.lateStar {
		env.Log.Warn("a star behind other columns has no meaning; put it first to keep all keys", "query", c.Query)
	}
	if c.query.all && len(c.query.columns) > 0 {
		env.Log.Warn("columns behind a star have no meaning, also where they give a new name", "query", c.Query)
	}
	return &Processor{query: c.query}, nil
}

// Processor selects records and keys.
type Processor struct{ query *query }

var _ plugin.Filter = (*Processor)(nil)

// Filter leaves of b what the query selects.
func (p *Processor) Filter(_ context.Context, b *event.Batch) error {
	n := 0
	for i := range b.Events {
		e := &b.Events[i]
		if p.query.where != nil && !p.query.where.holds(e) {
			continue
		}
		if !p.query.all {
			p.query.project(e)
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

// query is a SELECT.
type query struct {
	all      bool // SELECT *
	columns  []column
	where    *condition // nil: all records
	lateStar bool
}

// column is a selected key, with its new name.
type column struct {
	name string
	as   event.Value // nil: the key keeps its name
}

// project leaves of the record the selected keys, in the order of the record.
func (q *query) project(e *event.Event) {
	fields := e.Fields()
	n := 0
	for _, f := range fields {
		for i := range q.columns {
			c := &q.columns[i]
			if !f.Is(c.name) {
				continue
			}
			if c.as != nil {
				f.Key = c.as
			}
			fields[n] = f
			n++
			break
		}
	}
	e.SetFields(fields[:n])
}
