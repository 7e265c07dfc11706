package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// checker looks for what is wrong with a whole configuration.
type checker struct {
	cfg *Config
	reg *plugin.Registry
	ps  option.Problems

	tags    tagSet
	parsers map[string]bool
	aliases map[string]option.Pos
}

// Check decodes the options of every plugin and looks for what can be seen
// only in the whole: plugins, parsers and files that do not exist, events that
// go nowhere, filters and outputs that get none. An error is what Fluent Bit
// refuses; a warning is what it ignores in silence or what cannot be meant.
func (c *Config) Check(reg *plugin.Registry) option.Problems {
	k := &checker{cfg: c, reg: reg, parsers: map[string]bool{}, aliases: map[string]option.Pos{}}
	for _, s := range c.Parsers {
		if name, _, ok := propText(s.Props, "name"); ok {
			k.parsers[name] = true
		}
	}
	k.multilineParsers()
	for n, inst := range c.Inputs {
		k.input(n, inst)
	}
	k.streamTags()
	var filters []FilterOptions
	for _, inst := range c.Filters {
		filters = append(filters, k.filter(inst))
	}
	var outputs []OutputOptions
	for _, inst := range c.Outputs {
		outputs = append(outputs, k.output(inst))
	}
	// All tags are known only now: filters make some.
	for n, inst := range c.Filters {
		k.reachable(inst, filters[n].Match, filters[n].MatchRegex, filters[n].Active)
	}
	for n, inst := range c.Outputs {
		if !k.routed(inst, outputs[n].Alias) {
			k.reachable(inst, outputs[n].Match, outputs[n].MatchRegex, true)
		}
	}
	k.routes()
	c.Sources.Place(k.ps)
	if c.broken {
		return k.ps // what is missing may stand where nothing could be read
	}
	if len(c.Inputs) == 0 {
		k.add(option.Warning, option.Pos{File: c.Path}, "", "", "", "there is no input")
	}
	if len(c.Outputs) == 0 {
		k.add(option.Warning, option.Pos{File: c.Path}, "", "", "", "there is no output")
	}
	return k.ps
}

func (k *checker) add(sev option.Severity, pos option.Pos, section, key, fix, format string, args ...any) {
	k.ps = append(k.ps, option.Problem{Severity: sev, Pos: pos, Section: section, Key: key,
		Message: fmt.Sprintf(format, args...), Fix: fix})
}

// plugin looks the plugin of an instance up and decodes its options.
func (k *checker) plugin(kind plugin.Kind, inst *Instance, common []option.Field) (*plugin.Def, []option.Field) {
	def, ok := k.reg.Lookup(kind, inst.Name)
	if !ok {
		fix := k.reg.Suggest(kind, inst.Name)
		pos := inst.namePos
		if pos == (option.Pos{}) {
			pos = inst.Pos
		}
		for _, other := range []plugin.Kind{plugin.KindInput, plugin.KindFilter, plugin.KindOutput, plugin.KindProcessor} {
			if _, ok := k.reg.Lookup(other, inst.Name); ok && other != kind {
				fix = fmt.Sprintf("the %s plugin has that name", other)
			}
		}
		k.add(option.Error, pos, kind.String(), "", fix, "there is no %s plugin %q", kind, inst.Name)
		inst.refused = true
		return nil, nil
	}
	own := def.Config().Fields()
	before := len(k.ps)
	k.ps = append(k.ps, inst.Decode(common, own)...)
	k.references(inst, own)
	inst.refused = k.ps[before:].HasErrors()
	return def, own
}

func (k *checker) alias(inst *Instance, alias string) {
	if alias == "" {
		return
	}
	key := inst.Kind.String() + " " + alias
	if first, dup := k.aliases[key]; dup {
		k.add(option.Warning, inst.Pos, inst.Title(), "alias", "", "the alias %q is also that of the %s at %s", alias, inst.Kind, first)
		return
	}
	k.aliases[key] = inst.Pos
}

func (k *checker) input(n int, inst *Instance) {
	var common InputOptions
	def, own := k.plugin(plugin.KindInput, inst, common.Fields())
	k.alias(inst, common.Alias)
	if common.StorageType == "filesystem" && k.cfg.Service.Storage.Path == "" {
		k.add(option.Error, inst.Pos, inst.Title(), "", "", "storage.type filesystem needs storage.path in the service section")
	}
	if def == nil {
		k.tags.any = true
	} else {
		k.tags.add(inputTags(inst, def, own, common.Tag, n))
	}
	for _, r := range inst.Routes {
		if r.Condition != nil || r.Default || r.PerRecord {
			k.tags.add(tagSet{patterns: []string{r.Name}}) // the tag of what the route takes
		}
	}
	k.processors(inst)
}

func (k *checker) filter(inst *Instance) FilterOptions {
	var common FilterOptions
	def, own := k.plugin(plugin.KindFilter, inst, common.Fields())
	k.alias(inst, common.Alias)
	if def == nil {
		k.tags.any = true
		return common
	}
	if !common.HasMatch && common.MatchRegex == "" {
		k.add(option.Error, inst.Pos, inst.Title(), "", "",
			"neither match nor match_regex says which records the filter is for; use match * for all")
	}
	k.tags.add(filterTags(inst, own))
	return common
}

func (k *checker) output(inst *Instance) OutputOptions {
	var common OutputOptions
	def, _ := k.plugin(plugin.KindOutput, inst, common.Fields())
	k.alias(inst, common.Alias)
	k.processors(inst)
	if def == nil || common.Match != "" || common.MatchRegex != "" || k.routed(inst, common.Alias) {
		return common
	}
	if len(k.cfg.Inputs) == 1 && len(k.cfg.Outputs) == 1 {
		return common // Fluent Bit connects the two
	}
	k.add(option.Warning, inst.Pos, inst.Title(), "match", "add match", "the output has neither match nor match_regex and gets no events")
	return common
}

// processors checks the processors of an instance.
func (k *checker) processors(inst *Instance) {
	for _, p := range inst.Processors {
		kind, problem := p.Resolve(k.reg, inst.Title())
		if problem != nil {
			k.ps = append(k.ps, *problem)
			k.tags.any = true
			continue
		}
		own := p.Instance(kind)
		var common FilterOptions
		if def, fields := k.plugin(kind, own, common.ProcessorFields(kind)); def != nil {
			k.tags.add(filterTags(own, fields))
		}
		p.refused = own.refused
	}
}

// builtinMultiline are the multiline parsers that exist without being defined.
var builtinMultiline = []string{"docker", "cri", "java", "go", "ruby", "python"}

// builtinParsers are the parsers that exist without being defined. Package
// parser has them.
var builtinParsers = []string{"apache", "apache2", "apache_error", "nginx", "k8s-nginx-ingress", "json", "logfmt", "ltsv", "docker",
	"docker-daemon", "syslog-rfc5424", "syslog-rfc3164-local", "syslog-rfc3164", "mongodb", "envoy", "istio-envoy-proxy", "cri", "kube-custom"}

func (k *checker) hasParser(name string) bool {
	return k.parsers[name] || slices.Contains(builtinParsers, name)
}

// multilineParsers checks what multiline parsers refer to.
func (k *checker) multilineParsers() {
	for _, s := range k.cfg.MultilineParsers {
		name, _, _ := propText(s.Props, "name")
		if parser, at, ok := propText(s.Props, "parser"); ok && !k.hasParser(parser) {
			k.add(option.Warning, at, "multiline parser "+name, "parser", k.parserFix(parser),
				"there is no parser %q; lines are taken as they are", parser)
		}
	}
}

func (k *checker) parserFix(name string) string {
	var names []string
	for n := range k.parsers {
		names = append(names, n)
	}
	if hint := option.DidYouMean(name, append(names, builtinParsers...)); hint != "" || len(names) > 0 {
		return hint
	}
	return "no parsers are defined; name a file of them in parsers_file of the service section"
}

// references checks the names of parsers and files in the options.
func (k *checker) references(inst *Instance, own []option.Field) {
	var missing []option.Property
	found := false
	for _, p := range inst.flatProps() {
		key := strings.ToLower(p.Key)
		if fieldOf(own, key) == nil || p.Value.Shape != option.Scalar || p.Value.Text == "" {
			continue
		}
		switch {
		case key == "multiline.parser":
			for _, name := range option.SplitComma(p.Value.Text, 0) {
				if !k.hasMultiline(name) {
					k.add(option.Error, p.Value.Pos, inst.Title(), p.Key, option.DidYouMean(name, k.multilineNames()),
						"there is no multiline parser %q", name)
				}
			}
		case key == "parser", key == "regex_parser", key == "merge_parser", key == "docker_mode_parser",
			strings.HasPrefix(key, "parser_"):
			if k.hasParser(p.Value.Text) {
				found = true
			} else {
				missing = append(missing, p)
			}
		case key == "tls.ca_file", key == "tls.crt_file", key == "tls.key_file":
			k.file(inst, p, p.Value.Text)
		case key == "script", key == "upstream":
			k.file(inst, p, locate(p.Value.Text, k.cfg.Dir))
		}
	}
	for _, p := range missing {
		sev := option.Warning
		if inst.Kind == plugin.KindFilter && strings.EqualFold(p.Key, "parser") && !found {
			sev = option.Error
		}
		k.add(sev, p.Value.Pos, inst.Title(), p.Key, k.parserFix(p.Value.Text), "there is no parser %q", p.Value.Text)
	}
}

func (k *checker) multilineNames() []string {
	names := append([]string(nil), builtinMultiline...)
	for _, s := range k.cfg.MultilineParsers {
		if name, _, ok := propText(s.Props, "name"); ok {
			names = append(names, name)
		}
	}
	return names
}

func (k *checker) hasMultiline(name string) bool { return canonical(name, k.multilineNames()) != "" }

// file warns about a file that cannot be read.
func (k *checker) file(inst *Instance, p option.Property, path string) {
	f, err := os.Open(path)
	if err != nil {
		k.add(option.Warning, p.Value.Pos, inst.Title(), p.Key, "", "%s", fileError("the file", p.Value.Text, err))
		return
	}
	f.Close()
}

// routed tells whether a route names the output.
func (k *checker) routed(inst *Instance, alias string) bool {
	for _, in := range k.cfg.Inputs {
		for _, r := range in.Routes {
			for _, o := range r.Outputs {
				if o.Name == alias || strings.HasPrefix(o.Name, strings.ToLower(inst.Name)) {
					return true
				}
			}
		}
	}
	return false
}

// routes checks that the outputs of routes exist.
func (k *checker) routes() {
	var names []string
	for _, o := range k.cfg.Outputs {
		names = append(names, strings.ToLower(o.Name))
		if alias, ok := o.Get("alias"); ok {
			names = append(names, alias)
		}
	}
	for _, in := range k.cfg.Inputs {
		for _, r := range in.Routes {
			for _, o := range r.Outputs {
				plain, _, _ := strings.Cut(o.Name, ".")
				if canonical(o.Name, names) == "" && canonical(plain, names) == "" && o.Fallback == "" {
					k.add(option.Warning, o.Pos, in.Title(), "routes", option.DidYouMean(o.Name, names),
						"the route %q goes to an output %q that does not exist", r.Name, o.Name)
				}
			}
		}
	}
}
