package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// goPlugins are the Go plugins that the aws-for-fluent-bit image loads with -e,
// by the base name of their shared object. They are built in.
var goPlugins = map[string]string{
	"cloudwatch.so": "cloudwatch",
	"firehose.so":   "firehose",
	"kinesis.so":    "kinesis",
}

// routerFlags are Fluent Bit's flags. Those that make or refine a plugin work
// in the order in which they are written: -p belongs to the last -i, -F or -o.
type routerFlags struct {
	configFile string
	workdir    string
	dryRun     bool
	quiet      bool
	verbose    int
	supervisor bool
	schema     bool
	report     bool
	strict     bool
	service    []option.Property
	plugins    []*config.Instance
	tasks      []string
	builtIn    []string // names given with -e
	ignored    []string // flags without effect
}

// ordered is a flag whose Set acts at once, which keeps the order.
type ordered struct {
	set func(string) error
	typ string
}

func (o ordered) Set(s string) error { return o.set(s) }
func (o ordered) Type() string       { return o.typ }
func (o ordered) String() string     { return "" }

// add defines the flags on fs.
func (f *routerFlags) add(fs *pflag.FlagSet) {
	fs.SortFlags = false
	value := func(long, short, typ, usage string, set func(string) error) {
		fs.VarP(ordered{set, typ}, long, short, usage)
	}
	toggle := func(long, short, usage string, set func()) {
		fs.VarPF(ordered{func(s string) error {
			if s != "true" {
				return errors.New("the flag takes no value")
			}
			set()
			return nil
		}, "bool"}, long, short, usage).NoOptDefVal = "true"
	}
	service := func(key string) func(string) error {
		return func(s string) error { f.service = append(f.service, option.Prop(key, s)); return nil }
	}
	start := func(kind plugin.Kind) func(string) error {
		return func(s string) error {
			f.plugins = append(f.plugins, &config.Instance{Kind: kind, Name: s})
			return nil
		}
	}
	property := func(flag, key string) func(string) error {
		return func(s string) error {
			if len(f.plugins) == 0 {
				return fmt.Errorf("-%s must follow the -i, -F or -o that it is for", flag)
			}
			last := f.plugins[len(f.plugins)-1]
			if key == "match" && last.Kind == plugin.KindInput {
				return errors.New("-m is for filters and outputs; an input has a tag, -t")
			}
			last.Props = append(last.Props, option.Prop(key, s))
			return nil
		}
	}

	value("config", "c", "FILE", "configuration file, classic (.conf) or YAML", func(s string) error { f.configFile = s; return nil })
	value("input", "i", "NAME", "add an input", start(plugin.KindInput))
	value("filter", "F", "NAME", "add a filter", start(plugin.KindFilter))
	value("output", "o", "NAME", "add an output", start(plugin.KindOutput))
	value("prop", "p", "KEY=VALUE", "set an option of the plugin named last", func(s string) error {
		key, val, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return fmt.Errorf("%q is not of the form KEY=VALUE", s)
		}
		return property("p", strings.TrimSpace(key))(strings.TrimSpace(val))
	})
	value("match", "m", "PATTERN", "set the tags that the filter or output named last gets", property("m", "match"))
	value("tag", "t", "TAG", "set the tag of the input named last", property("t", "tag"))
	value("flush", "f", "SECONDS", "time between flushes (default 1)", service("flush"))
	value("parser", "R", "FILE", "parsers file", service("parsers_file"))
	value("sp-task", "T", "SQL", "stream processor task", func(s string) error { f.tasks = append(f.tasks, s); return nil })
	value("plugin", "e", "FILE", "external plugin; those of the AWS image are built in", func(s string) error {
		name, ok := goPlugins[filepath.Base(s)]
		if !ok {
			return fmt.Errorf("%s cannot be loaded: shared objects are not supported; built in are cloudwatch, firehose and kinesis", s)
		}
		f.builtIn = append(f.builtIn, name)
		return nil
	})
	value("log_file", "l", "FILE", "write the log to a file", service("log_file"))
	value("storage_path", "b", "PATH", "directory of filesystem storage", service("storage.path"))
	value("workdir", "w", "DIR", "change to a directory first", func(s string) error { f.workdir = s; return nil })
	toggle("dry-run", "D", "check the configuration and end", func() { f.dryRun = true })
	toggle("verbose", "v", "log more; twice for everything", func() { f.verbose++ })
	toggle("quiet", "q", "log nothing", func() { f.quiet = true })
	toggle("http", "H", "serve the admin API", func() { _ = service("http_server")("on") })
	value("http_listen", "L", "ADDRESS", "address of the admin API", service("http_listen"))
	value("port", "P", "PORT", "port of the admin API (default 2020)", service("http_port"))
	toggle("enable-hot-reload", "Y", "reload the configuration on SIGHUP", func() { _ = service("hot_reload")("on") })
	toggle("supervisor", "", "run under a parent process that starts it again after a crash", func() { f.supervisor = true })
	toggle("strict", "", "make errors of warnings, and end with 3 if records were lost", func() { f.strict = true })
	toggle("http_server", "", "the same as --http", func() { _ = service("http_server")("on") })
	value("http_port", "", "PORT", "the same as --port", service("http_port"))
	toggle("help-json", "J", "print the JSON schema of the configuration and end", func() { f.schema = true })
	toggle("sosreport", "S", "print what a report of a problem needs and end", func() { f.report = true })
	// What follows is taken because scripts give it, and said to have no effect.
	ignored := func(long, short, typ string) {
		note := func() { f.ignored = append(f.ignored, "--"+long) }
		if typ == "" {
			toggle(long, short, "accepted, without effect", note)
		} else {
			value(long, short, typ, "accepted, without effect", func(string) error { note(); return nil })
		}
		fs.Lookup(long).Hidden = true
	}
	ignored("daemon", "d", "")
	ignored("coro_stack_size", "s", "BYTES")
	ignored("disable-thread-safety-on-hot-reload", "W", "")
	ignored("enable-chunk-trace", "Z", "")
	ignored("custom", "C", "NAME")
	ignored("windows_maxstdio", "M", "NUMBER")
	ignored("trace", "", "PIPELINE")
	ignored("trace-input", "", "NAME")
	ignored("trace-output", "", "NAME")
	ignored("trace-output-property", "", "KEY=VALUE")
	fs.Lookup("http_server").Hidden = true
	fs.Lookup("http_port").Hidden = true
}

// given tells whether the flags name anything to run.
func (f *routerFlags) given() bool { return f.configFile != "" || len(f.plugins) > 0 }
