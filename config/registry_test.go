package config

import (
	"context"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// stub is the configuration of a plugin that does nothing, for tests of
// options alone.
type stub struct{ fields func() []option.Field }

func (s *stub) Fields() []option.Field { return s.fields() }

func (s *stub) New(*plugin.Env) (plugin.Filter, error) { return s, nil }

func (s *stub) Filter(context.Context, *event.Batch) error { return nil }

func stubDef(kind plugin.Kind, name string, fields func() []option.Field) *plugin.Def {
	return &plugin.Def{Kind: kind, Name: name, Summary: "does nothing",
		Config: func() plugin.Config { return &stub{fields} }}
}

// fields of text, repeatable if the name ends in "+", a prefix if it ends in "*".
func texts(names ...string) func() []option.Field {
	return func() []option.Field {
		var out []option.Field
		for _, n := range names {
			last := n[len(n)-1]
			switch last {
			case '+':
				out = append(out, option.Lines(new([]string), n[:len(n)-1], "A text."))
			case '*':
				out = append(out, option.Prefixed(n[:len(n)-1], "A text.", func(string, string) error { return nil }))
			default:
				out = append(out, option.String(new(string), n, "", "A text."))
			}
		}
		return out
	}
}

// testRegistry has the options of some plugins by name.
func testRegistry() *plugin.Registry {
	return plugin.NewRegistry(
		stubDef(plugin.KindInput, "dummy", func() []option.Field {
			return append(texts("dummy", "metadata", "start_time_nsec")(),
				option.Int(new(int), "samples", 0, "How many events."),
				option.Int(new(int), "rate", 1, "How many events per second."),
				option.Int(new(int), "copies", 1, "How many copies."),
				option.Int(new(int), "start_time_sec", -1, "The time of the first event."),
				option.Bool(new(bool), "fixed_timestamp", false, "Do not let the time run."))
		}),
		stubDef(plugin.KindInput, "tail", func() []option.Field {
			return append(texts("parser", "multiline.parser", "tag_regex", "key", "parser_firstline", "parser_*", "db")(),
				option.String(new(string), "path", "", "The files to read.").WithRequired(),
				option.Bool(new(bool), "read_from_head", false, "Begin at the start of files."),
				option.Size(new(int64), "buffer_max_size", "32k", "The longest line."))
		}),
		stubDef(plugin.KindInput, "forward", texts("listen", "port", "tag_prefix", "unix_path")),
		stubDef(plugin.KindInput, "tcp", texts("listen", "port", "format", "parser")),
		stubDef(plugin.KindFilter, "grep", func() []option.Field {
			return append(texts("regex+", "exclude+")(),
				option.Enum(new(string), "logical_op", "legacy", []string{"legacy", "and", "or"}, "How rules combine."))
		}),
		stubDef(plugin.KindFilter, "modify", texts("set+", "add+", "remove+", "rename+", "condition+")),
		stubDef(plugin.KindFilter, "record_modifier", texts("record+", "remove_key+", "allowlist_key+")),
		stubDef(plugin.KindFilter, "rewrite_tag", texts("rule+", "emitter_name")),
		stubDef(plugin.KindFilter, "parser", texts("parser+", "key_name", "reserve_data")),
		stubDef(plugin.KindFilter, "lua", texts("script", "call", "code")),
		stubDef(plugin.KindOutput, "stdout", func() []option.Field {
			return append(texts("json_date_key")(),
				option.Enum(new(string), "format", "msgpack", []string{"msgpack", "json", "json_lines"}, "How to write.").WithLenient())
		}),
		stubDef(plugin.KindOutput, "file", texts("path", "file", "format")),
		stubDef(plugin.KindOutput, "null", texts("format")),
		stubDef(plugin.KindOutput, "http", func() []option.Field {
			return append(texts("host", "port", "uri", "header+", "tls", "tls.verify", "tls.ca_file", "net.keepalive", "http_user")(),
				option.Secret(new(string), "http_passwd", "The password."))
		}),
		stubDef(plugin.KindProcessor, "content_modifier", texts("action", "key", "value")),
		stubDef(plugin.KindProcessor, "sampling", func() []option.Field {
			return append(texts("type")(), option.Custom("sampling_settings", option.TypeMap, "", "Settings.", func(option.Value) error { return nil }))
		}),
	)
}
