// Package opentelemetry_envelope is the processor opentelemetry_envelope: it
// gives events the resource and scope of OpenTelemetry that they lack.
package opentelemetry_envelope

import (
	"context"
	_ "embed"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/otlpmeta"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

//go:embed doc.md
var doc string

// Def describes the processor.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindProcessor,
		Name:    "opentelemetry_envelope",
		Summary: "Gives events an OpenTelemetry resource and scope, for content_modifier to fill",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// Config is the options of the processor, which has none.
type Config struct{}

// Fields binds the options.
func (c *Config) Fields() []option.Field { return nil }

// New makes the processor.
func (c *Config) New(*plugin.Env) (plugin.Filter, error) {
	root := event.AppendMapHeader(event.AppendString(nil, otlpmeta.Root), 2)
	p := &Processor{}
	for _, key := range []string{otlpmeta.Resource, otlpmeta.Scope} {
		p.entries = event.AppendMapHeader(event.AppendString(p.entries, key), 0)
	}
	p.root = append(root, p.entries...)
	p.meta = append(event.AppendMapHeader(nil, 1), p.root...)
	return p, nil
}

// Processor puts events into envelopes. What it holds is encoded and read only.
type Processor struct {
	meta    event.Value // of an event without any
	root    []byte      // the entry otlp of metadata
	entries []byte      // the entries resource and scope of otlp
}

var _ plugin.Filter = (*Processor)(nil)

// Filter gives every event of b an envelope. What an event has of one stays.
func (p *Processor) Filter(_ context.Context, b *event.Batch) error {
	for i := range b.Events {
		e := &b.Events[i]
		if e.Meta.Len() == 0 {
			e.Meta = p.meta
			continue
		}
		root, found := e.Meta.Get(otlpmeta.Root)
		if !found {
			dst := event.AppendMapHeader(b.Arena(len(e.Meta)+len(p.root)+5), e.Meta.Len()+1)
			for k, v := range e.Meta.Pairs() {
				dst = append(append(dst, k...), v...)
			}
			e.Meta = b.SetArena(append(dst, p.root...))
			continue
		}
		if _, has := root.Get(otlpmeta.Resource); has {
			continue
		}
		if _, has := root.Get(otlpmeta.Scope); has || root.Kind() != event.KindMap {
			continue
		}
		p.extend(b, e, root)
	}
	return nil
}

// extend adds resource and scope to the entry otlp of the metadata.
func (p *Processor) extend(b *event.Batch, e *event.Event, root event.Value) {
	dst := event.AppendMapHeader(b.Arena(len(e.Meta)+len(p.entries)+10), e.Meta.Len())
	for k, v := range e.Meta.Pairs() {
		dst = append(dst, k...)
		if name, _ := k.Str(); string(name) != otlpmeta.Root {
			dst = append(dst, v...)
			continue
		}
		dst = event.AppendMapHeader(dst, root.Len()+2)
		for k, v := range root.Pairs() {
			dst = append(append(dst, k...), v...)
		}
		dst = append(dst, p.entries...)
	}
	e.Meta = b.SetArena(dst)
}
