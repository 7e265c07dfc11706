package config

import (
	"fmt"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// Config is everything that a configuration file says, in the form that the
// engine builds from. Variables are expanded.
type Config struct {
	Path string // of the main file as given, "" without one
	Dir  string // its directory, absolute and after symbolic links

	Service *Service
	Inputs  []*Instance
	Filters []*Instance
	Outputs []*Instance

	// Parsers and MultilineParsers are the sections of all parsers files and of
	// the main file, in the order in which Fluent Bit registers them. Names are
	// unique among Parsers. The keys are in lower case; see also Rule.
	Parsers          []*plugin.Section
	MultilineParsers []*plugin.Section
	// StreamTasks have the keys name and exec. Those of the streams file come
	// last and have the section name "stream_task", those of the main file
	// "stream_processor": a bad query disables the former all together and the
	// latter one by one.
	StreamTasks []*plugin.Section
	// Plugins are the paths of external plugins that the file names. They are
	// not loaded.
	Plugins []option.Property

	Tree    *Tree
	Sources *Sources

	env    *environment
	broken bool                          // there are mistakes of syntax
	added  [plugin.KindProcessor + 1]int // instances of the command line, by kind
}

// LoadOptions adjust Load.
type LoadOptions struct {
	// LookupEnv finds the variables of the process; nil means os.LookupEnv.
	LookupEnv func(name string) (string, bool)
	// Service holds settings from the command line. As in Fluent Bit the file
	// wins over them; parsers_file adds.
	Service []option.Property
}

// loader builds a Config.
type loader struct {
	opts LoadOptions
	cfg  *Config
	env  *environment
	ps   *option.Problems

	parsers map[string]option.Pos
	plugins bool // the warning about external plugins was given
}

// Load reads a configuration and everything it refers to. It returns all
// problems at once and never stops at the first; the Config is never nil and
// holds what could be understood. It must not be run if the problems have
// errors.
func Load(path string, opts LoadOptions) (*Config, option.Problems) {
	l := newLoader(opts)
	l.cfg.Path, l.cfg.Dir = path, realDir(path)
	l.cfg.Tree = readTree(path, l.cfg.Sources, l.ps)
	l.build()
	l.cfg.Sources.Place(*l.ps)
	l.cfg.broken = l.ps.HasErrors()
	return l.cfg, *l.ps
}

// NewEmpty is a configuration without a file: the settings of opts and no
// instances yet.
func NewEmpty(opts LoadOptions) (*Config, option.Problems) {
	l := newLoader(opts)
	l.build()
	return l.cfg, *l.ps
}

func newLoader(opts LoadOptions) *loader {
	l := &loader{opts: opts, ps: &option.Problems{}, env: newEnvironment(opts.LookupEnv),
		parsers: map[string]option.Pos{}}
	src := &Sources{}
	l.cfg = &Config{Service: &Service{}, Sources: src, env: l.env, Tree: &Tree{Sources: src}}
	return l
}

func (l *loader) report(sev option.Severity, pos option.Pos, fix, format string, args ...any) {
	*l.ps = append(*l.ps, option.Problem{Severity: sev, Pos: pos, Message: fmt.Sprintf(format, args...), Fix: fix})
}

func (l *loader) fail(pos option.Pos, fix, format string, args ...any) {
	l.report(option.Error, pos, fix, format, args...)
}

func (l *loader) warn(pos option.Pos, fix, format string, args ...any) {
	l.report(option.Warning, pos, fix, format, args...)
}

// build makes the Config of the tree, in the order of Fluent Bit: variables,
// service with its parsers files, parsers, plugins, instances, stream tasks.
func (l *loader) build() {
	tree := l.cfg.Tree
	for _, v := range tree.vars {
		if err := l.env.set(v.name, v.value); err != nil {
			sev := option.Error
			if v.meta {
				sev = option.Warning
			}
			l.report(sev, v.pos, "", "%v", err)
		}
	}
	l.loadService()
	l.loadParsers(tree, true)
	var taken []*section
	for _, s := range tree.sections {
		switch s.kind {
		case kindPlugins:
			l.pluginPaths(s, tree.Format == Classic)
		case kindCustom:
			l.custom(s)
		case kindInput:
			l.cfg.Inputs = l.instance(l.cfg.Inputs, plugin.KindInput, s)
		case kindFilter:
			l.cfg.Filters = l.instance(l.cfg.Filters, plugin.KindFilter, s)
		case kindOutput:
			l.cfg.Outputs = l.instance(l.cfg.Outputs, plugin.KindOutput, s)
		case kindStreamProcessor:
			taken = append(taken, s)
		case kindUpstreamServers:
			l.upstreams(s)
		case kindOther:
			l.other(s, tree.Format)
		}
	}
	for _, s := range taken {
		if t, ok := l.streamTask(s, "stream_processor"); ok {
			l.cfg.StreamTasks = append(l.cfg.StreamTasks, t)
		}
	}
	l.streamsFile()
}

// classicSections are the sections that mean something in a main file of the
// classic format.
var classicSections = []string{"SERVICE", "INPUT", "FILTER", "OUTPUT", "CUSTOM", "STREAM_PROCESSOR"}

// other warns about a section that Fluent Bit ignores.
func (l *loader) other(s *section, f Format) {
	name := s.name
	if f == YAML {
		l.warn(s.pos, option.DidYouMean(name, yamlSections), "the section %q is not known and is ignored", name)
		return
	}
	fix := option.DidYouMean(name, classicSections)
	switch strings.ToLower(name) {
	case "stream_task":
		fix = "stream tasks belong into the file that streams_file names"
	case "upstream", "node":
		fix = "upstreams belong into the file that the option upstream names"
	case "env":
		fix = "set variables with @SET name=value"
	}
	l.warn(s.pos, fix, "the section [%s] is not known and is ignored", name)
}

// custom refuses custom plugins, of which Fluent Bit has one that talks to a
// service of its makers.
func (l *loader) custom(s *section) {
	name, ok := find(s.body, "name")
	switch {
	case !ok:
		l.fail(s.pos, "", "the section has no name")
	case strings.EqualFold(name.val.text, "calyptia"):
		l.warn(name.val.pos, "remove it", "the custom plugin %q is not supported and is ignored", name.val.text)
	default:
		l.fail(name.val.pos, "", "there is no custom plugin %q", name.val.text)
	}
}

// upstreams warns about servers that nothing can refer to.
func (l *loader) upstreams(s *section) {
	for _, o := range l.cfg.Tree.sections {
		if _, ok := find(o.body, "upstream"); ok && o.kind == kindOutput {
			return
		}
	}
	l.warn(s.pos, "name this file in the option upstream of an output", "the section %q is not used by any output", s.name)
}

// pluginPaths takes note of external plugins.
func (l *loader) pluginPaths(s *section, classicMain bool) {
	for _, p := range s.body {
		if !strings.EqualFold(p.key.text, "path") {
			continue
		}
		if classicMain {
			l.fail(p.key.pos, "name a file with this section in plugins_file", "the section [PLUGINS] is not allowed in the main file")
			return
		}
		l.cfg.Plugins = append(l.cfg.Plugins, option.Property{Key: "path",
			Value: option.Value{Text: p.val.text, Pos: p.val.pos}, Pos: p.key.pos})
		if !l.plugins {
			l.warn(p.val.pos, "", "external plugins are not loaded; those of the AWS image are built in")
			l.plugins = true
		}
	}
}

// readOther reads a further file, such as a parsers file.
func (l *loader) readOther(path string, at option.Pos, what string) *Tree {
	dir := l.cfg.Dir
	if l.cfg.Path != "" {
		dir = includeDir(l.cfg.Path)
	}
	tree := readFile(locate(path, dir), at, what, l.cfg.Sources, l.ps)
	for _, v := range tree.vars {
		l.warn(v.pos, "set it in the main file", "the variable %q has no effect in this file", v.name)
	}
	return tree
}
