// Package content_modifier is the processor content_modifier: it changes one
// key of the record or the metadata. The Config checks what goes together;
// action.go is what is done to a list of fields, convert.go the conversion of
// values, metadata.go the way to fields inside the metadata.
package content_modifier

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"strings"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/otlpmeta"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/regex"
)

//go:embed doc.md
var doc string

// Def describes the processor.
func Def() *plugin.Def {
	return &plugin.Def{
		Kind:    plugin.KindProcessor,
		Name:    "content_modifier",
		Summary: "Inserts, deletes, renames, hashes, extracts or converts a key of the record or its metadata",
		Doc:     doc,
		Config:  func() plugin.Config { return &Config{} },
	}
}

// The values of action.
const (
	actionInsert  = "insert"
	actionUpsert  = "upsert"
	actionDelete  = "delete"
	actionRename  = "rename"
	actionHash    = "hash"
	actionExtract = "extract"
	actionConvert = "convert"
)

var actions = []string{actionInsert, actionUpsert, actionDelete, actionRename, actionHash, actionExtract, actionConvert}

// Config is the options of the processor.
type Config struct {
	Context string
	Action  string
	Key     string
	Value   string
	Pattern string
	Type    string

	hasKey, hasValue bool
	regex            *regex.Regexp
}

// Fields binds the options.
func (c *Config) Fields() []option.Field {
	*c = Config{}
	return []option.Field{
		option.String(&c.Context, "context", "", "Where the key is. Of logs: `body`, `message` or `record` for the record, which is the default; "+
			"`metadata` or `attributes` for the metadata; `otel_log_attributes`, and of what has an OpenTelemetry envelope "+
			"`otel_resource_attributes`, `otel_scope_attributes`, `otel_scope_name` and `otel_scope_version`."),
		option.Enum(&c.Action, "action", "", actions, "What is done to the key. "+
			"`insert`: the key with the value is added unless there is one. `upsert`: it is added, and one with that name removed before. "+
			"`delete`: it is removed. `rename`: it gets the value as its name. `hash`: its value becomes the SHA-256 of its text, in hexadecimal. "+
			"`extract`: the named groups of the pattern, matched against its text, become keys. `convert`: its value gets another type.").WithRequired(),
		option.String(&c.Key, "key", "", "The key: a top-level one, as it is. Needed by every action but in the contexts `otel_scope_name` and `otel_scope_version`.").
			WithCheck(func() error { c.hasKey = true; return nil }),
		option.String(&c.Value, "value", "", "The value of `insert` and `upsert`, which is always text, and the new name of `rename`.").
			WithCheck(func() error { c.hasValue = true; return nil }),
		option.String(&c.Pattern, "pattern", "", "The regular expression of `extract`, with named groups such as `(?<ip>[^ ]+)`.").
			WithCheck(func() error {
				re, err := regex.Compile(c.Pattern)
				c.regex = re
				return err
			}),
		option.String(&c.Type, "converted_type", "", "The type of `convert`: `string`, `boolean`, `int` or `double`."),
	}
}

// New makes the processor.
func (c *Config) New(env *plugin.Env) (plugin.Filter, error) {
	p := &Processor{action: c.Action, key: c.Key, unchanged: map[reason]*plugin.Counter{}, log: env.Log}
	if err := p.place(c); err != nil {
		return nil, err
	}
	if p.key == "" && !c.hasKey {
		return nil, option.At("action", fmt.Errorf("the action %s needs a key", c.Action))
	}
	switch c.Action {
	case actionInsert, actionUpsert, actionRename:
		if !c.hasValue {
			return nil, option.At("action", fmt.Errorf("the action %s needs a value", c.Action))
		}
		p.second = event.AppendString(nil, c.Value)
	case actionExtract:
		if c.regex == nil {
			return nil, option.At("action", fmt.Errorf("the action %s needs a pattern", c.Action))
		}
		p.regex, p.groups = c.regex, groupsOf(c.regex)
		if len(p.groups) == 0 {
			env.Log.Warn("the pattern has no named group such as (?<name>…), so that nothing is extracted", "pattern", c.Pattern)
		}
	case actionConvert:
		if c.Type == "" {
			return nil, option.At("action", fmt.Errorf("the action %s needs a converted_type", c.Action))
		}
		if p.typ = strings.ToLower(c.Type); !isType(p.typ) {
			err := fmt.Errorf("converted_type %q is none of string, boolean, int and double", c.Type)
			if hint := option.DidYouMean(c.Type, []string{typeString, typeBool, typeInt, typeDouble}); hint != "" {
				err = fmt.Errorf("%w; %s", err, hint)
			}
			return nil, option.At("converted_type", err)
		}
	}
	p.first = event.AppendString(nil, p.key)
	for _, r := range []reason{keyMissing, notText, noMatch, notConvertible} {
		p.unchanged[r] = env.Stats.Counter("kagari_filter_unchanged_records_total",
			"Records that a filter should have changed but left as they were, by reason.", "reason", string(r))
	}
	return p, nil
}

// place sets where the key is.
func (p *Processor) place(c *Config) error {
	switch ctx := strings.ToLower(c.Context); ctx {
	case "", "body", "message", "record":
		return nil
	case "metadata", "attributes":
		p.meta = true
	case "otel_log_attributes":
		p.meta, p.path = true, []string{otlpmeta.Root, otlpmeta.Attributes}
	case "otel_resource_attributes":
		p.meta, p.group, p.path = true, true, []string{otlpmeta.Root, otlpmeta.Resource, otlpmeta.Attributes}
	case "otel_scope_attributes":
		p.meta, p.group, p.path = true, true, []string{otlpmeta.Root, otlpmeta.Scope, otlpmeta.Attributes}
	case "otel_scope_name", "otel_scope_version":
		name := strings.TrimPrefix(ctx, "otel_scope_")
		switch {
		case c.Action == actionRename || c.Action == actionExtract || c.Action == actionConvert:
			return option.At("action", fmt.Errorf("the action %s is not possible in the context %s", c.Action, ctx))
		case !c.hasKey:
			p.key = name
		case !strings.EqualFold(c.Key, name):
			return option.At("key", fmt.Errorf("in the context %s the key must be %s, not %q", ctx, name, c.Key))
		}
		p.meta, p.group, p.path = true, true, []string{otlpmeta.Root, otlpmeta.Scope}
	default:
		known := []string{"body", "message", "record", "metadata", "attributes", "otel_log_attributes", "otel_resource_attributes",
			"otel_scope_attributes", "otel_scope_name", "otel_scope_version"}
		err := fmt.Errorf("the context %q is none of those of logs, %s", c.Context, strings.Join(known, ", "))
		if hint := option.DidYouMean(c.Context, known); hint != "" {
			err = fmt.Errorf("%w; %s", err, hint)
		}
		return option.At("context", err)
	}
	return nil
}

// Processor changes a key of records.
type Processor struct {
	action string
	key    string
	first  event.Value // the key, encoded
	second event.Value // the value or new name, encoded
	typ    string
	regex  *regex.Regexp
	groups []group

	meta  bool     // the key is in the metadata
	path  []string // of the map that holds the key in the metadata
	group bool     // only of events with an OpenTelemetry envelope

	unchanged map[reason]*plugin.Counter
	log       *slog.Logger
}

var _ plugin.Filter = (*Processor)(nil)

// Filter changes the events of b.
func (p *Processor) Filter(_ context.Context, b *event.Batch) error {
	for i := range b.Events {
		e := &b.Events[i]
		var why reason
		if p.meta {
			why = p.editMeta(e)
		} else {
			why = p.editBody(e)
		}
		if why != "" {
			p.unchanged[why].Add(1)
		}
	}
	return nil
}

// editBody applies the action to the record.
func (p *Processor) editBody(e *event.Event) reason {
	// A record that stays as it is need not be opened.
	if _, found := e.Get(p.key); p.action != actionUpsert && found == (p.action == actionInsert) {
		return p.missing(found)
	}
	fields, changed, why := p.edit(e, true, e.Fields())
	if changed {
		e.SetFields(fields)
	}
	return why
}
