package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kagarilog/kagari/option"
)

// yamlSections are the top-level keys of a YAML file.
var yamlSections = []string{"service", "env", "includes", "pipeline", "parsers", "multiline_parsers",
	"stream_processor", "plugins", "upstream_servers", "customs", "extensions"}

// yamlFile reads one YAML file. path is as spelled: a file that is included
// under two spellings is read twice, as in Fluent Bit, unless it includes
// itself.
func (r *reader) yamlFile(path string, at option.Pos, what string) {
	fi, err := os.Stat(path)
	if err == nil && (slices.Contains(r.texts, path) || seen(r.stack, fi)) {
		r.fail(at, "", "%s %q is read twice", what, path)
		return
	}
	text, ok := r.open(path, at, what)
	if !ok {
		return
	}
	r.texts = append(r.texts, path)
	if fi != nil {
		r.stack = append(r.stack, fi)
		defer func() { r.stack = r.stack[:len(r.stack)-1] }()
	}
	docs, err := parseYAML(path, text)
	var ye *yamlError
	if errors.As(err, &ye) {
		r.fail(ye.mark.pos(path), yamlFix(r.tree.Sources, ye.mark.pos(path)), "this is not valid YAML: %s", ye.msg)
	} else if err != nil {
		r.fail(option.Pos{File: path}, "", "%v", err)
	}
	for _, doc := range docs {
		r.refuse(doc)
		if doc.shape != option.Map {
			if ye != nil {
				continue
			}
			r.fail(doc.pos, "", "the file must be a map with keys such as service and pipeline, but it is %s", doc.shape)
			continue
		}
		for _, p := range doc.pairs {
			r.topLevel(p, path)
		}
	}
}

// yamlFix recognizes the classic format in a YAML file.
func yamlFix(src *Sources, at option.Pos) string {
	for line := 1; line <= at.Line; line++ {
		text, _ := src.Line(option.Pos{File: at.File, Line: line})
		if strings.HasPrefix(text, "[") || strings.HasPrefix(text, "@") {
			return "the file looks like the classic format, whose files end in .conf"
		}
	}
	return ""
}

// refuse reports what YAML allows and Fluent Bit does not.
func (r *reader) refuse(n node) {
	if n.alias {
		r.fail(n.pos, "repeat the value", "YAML aliases are not supported")
	}
	for _, item := range n.items {
		r.refuse(item)
	}
	for _, p := range n.pairs {
		if p.key.shape != option.Scalar {
			r.fail(p.key.pos, "", "%s is used as a key", p.key.shape)
		} else {
			r.refuse(p.key)
		}
		r.refuse(p.val)
	}
}

// want checks the shape of a section or option; what names it in messages.
func (r *reader) want(n node, shape option.Shape, what, form string) bool {
	switch {
	case n.alias:
		return false // reported by refuse
	case n.shape == shape:
		return true
	case n.shape == option.Scalar && n.text == "" && n.plain:
		r.fail(n.pos, "remove it or give it content", "%s is empty", what)
	default:
		r.fail(n.pos, "", "%s must be %s, but it is %s", what, form, n.shape)
	}
	return false
}

// topLevel reads one top-level key.
func (r *reader) topLevel(p pair, file string) {
	name := strings.ToLower(p.key.text)
	lists := map[string]kind{"parsers": kindParser, "stream_processor": kindStreamProcessor,
		"multiline_parsers": kindMultilineParser, "upstream_servers": kindUpstreamServers}
	switch {
	case p.key.shape != option.Scalar:
	case name == "env":
		r.envSection(p)
	case name == "includes":
		r.includes(p, file)
	case name == "pipeline":
		r.pipeline(p)
	case name == "plugins":
		if r.want(p.val, option.List, `"plugins"`, "a list of paths") {
			s := r.section("plugins", kindPlugins, p)
			for _, item := range p.val.items {
				if r.want(item, option.Scalar, "an entry of \"plugins\"", "a path") {
					s.body = append(s.body, pair{key: node{text: "path", pos: item.pos}, val: item})
				}
			}
		}
	case name == "customs":
		r.pluginList(p, kindCustom, "custom")
	case lists[name] != kindOther:
		if r.want(p.val, option.List, quoted(p.key.text), "a list of maps") {
			for _, item := range p.val.items {
				r.flatSection(strings.TrimSuffix(name, "s"), lists[name], item)
			}
		}
	case name == "service":
		if r.service {
			r.fail(p.key.pos, "put all settings into one", "the section %q stands twice", p.key.text)
			return
		}
		r.service = true
		if r.want(p.val, option.Map, quoted(p.key.text), "a map of settings") {
			s := r.section("service", kindService, p)
			s.body = r.translated(p.val.pairs)
		}
	case name == "extensions":
		if r.want(p.val, option.Map, quoted(p.key.text), "a map") {
			s := r.section("extensions", kindExtensions, p)
			s.body = p.val.pairs
		}
	default:
		r.otherSection(p)
	}
}

func quoted(s string) string { return `"` + s + `"` }

func (r *reader) section(name string, k kind, p pair) *section {
	s := &section{name: name, kind: k, pos: p.key.pos}
	r.tree.sections = append(r.tree.sections, s)
	return s
}

// otherSection takes an unknown section if it is a flat map, which Fluent Bit
// ignores; anything else it refuses. A name like those of the classic format
// has the meaning that it has there.
func (r *reader) otherSection(p pair) {
	fix := option.DidYouMean(p.key.text, yamlSections)
	flat := p.val.shape == option.Map
	for _, e := range p.val.pairs {
		flat = flat && e.val.shape == option.Scalar && !e.val.alias
	}
	if !flat {
		r.fail(p.key.pos, fix, "the section %q is not known", p.key.text)
		return
	}
	k, _ := kindOf(p.key.text)
	s := r.section(p.key.text, k, p)
	s.body = r.translated(p.val.pairs)
	if k != kindOther {
		r.warn(p.key.pos, "use the documented form", "the section %q is taken for [%s] of the classic format",
			p.key.text, strings.ToUpper(strings.TrimSuffix(p.key.text, "s")))
	}
}

// envSection reads a map of variables or a list of maps of them.
func (r *reader) envSection(p pair) {
	switch p.val.shape {
	case option.Map:
		for _, e := range p.val.pairs {
			if r.want(e.val, option.Scalar, quoted(e.key.text), "one value") {
				r.tree.vars = append(r.tree.vars, variable{name: e.key.text, value: e.val.text, pos: e.key.pos})
			}
		}
	case option.List:
		for _, item := range p.val.items {
			if r.want(item, option.Map, `an entry of "env"`, "a map with name and value") {
				r.envEntry(item)
			}
		}
	default:
		r.want(p.val, option.Map, quoted(p.key.text), "a map of variables")
	}
}

func (r *reader) envEntry(item node) {
	v := variable{pos: item.pos}
	uri := ""
	for _, e := range item.pairs {
		if !r.want(e.val, option.Scalar, quoted(e.key.text), "one value") {
			return
		}
		switch strings.ToLower(e.key.text) {
		case "name":
			v.name, v.pos = e.val.text, e.key.pos
		case "value":
			v.value = e.val.text
		case "uri":
			uri = e.val.text
		case "refresh_interval":
			r.warn(e.key.pos, "reload the configuration when the file changes",
				"refresh_interval has no effect: variables are read once")
		default:
			if v.name != "" {
				r.warn(e.key.pos, "", "%q is ignored: the entry defines %q already", e.key.text, v.name)
				continue
			}
			v.name, v.value, v.pos = e.key.text, e.val.text, e.key.pos
		}
	}
	switch {
	case v.name == "":
		r.warn(item.pos, "give it a name", "the entry of \"env\" has no name and is ignored")
		return
	case strings.HasPrefix(uri, "file://"):
		v.value = uri
	case uri != "":
		v.value = uri
		r.warn(v.pos, "only file:// is supported", "the uri of %q is taken for its value", v.name)
	}
	r.tree.vars = append(r.tree.vars, v)
}

// includes reads the files in the place of the section. Paths are relative to
// the file that includes.
func (r *reader) includes(p pair, file string) {
	if !r.want(p.val, option.List, quoted(p.key.text), "a list of paths") {
		return
	}
	dir := filepath.Dir(file)
	for _, item := range p.val.items {
		if !r.want(item, option.Scalar, `an entry of "includes"`, "a path") {
			continue
		}
		path := item.text
		if !filepath.IsAbs(path) && dir != "." {
			path = dir + string(filepath.Separator) + path
		}
		if !strings.Contains(item.text, "*") {
			if _, err := os.Stat(path); err != nil {
				r.fail(item.pos, "", "%s", fileError("included file", item.text, err))
				continue
			}
			r.yamlFile(path, item.pos, "included file")
			continue
		}
		files := globFiles(path)
		switch {
		case len(files) > 0:
		case filepath.IsAbs(item.text):
			r.fail(item.pos, "", "no file matches %q", item.text)
		default:
			r.warn(item.pos, "", "no file matches %q", item.text)
		}
		for _, f := range files {
			r.yamlFile(f, item.pos, "included file")
		}
	}
}

func (r *reader) pipeline(p pair) {
	if !r.want(p.val, option.Map, quoted(p.key.text), "a map of inputs, filters and outputs") {
		return
	}
	for _, e := range p.val.pairs {
		switch strings.ToLower(e.key.text) {
		case "inputs":
			r.pluginList(e, kindInput, "input")
		case "filters":
			r.pluginList(e, kindFilter, "filter")
		case "outputs":
			r.pluginList(e, kindOutput, "output")
		default:
			r.fail(e.key.pos, option.DidYouMean(e.key.text, []string{"inputs", "filters", "outputs"}),
				"%q is not one of inputs, filters and outputs", e.key.text)
		}
	}
}

// pluginList reads a list of plugin instances.
func (r *reader) pluginList(p pair, k kind, name string) {
	if !r.want(p.val, option.List, quoted(p.key.text), `a list whose entries start with "- name:"`) {
		return
	}
	for _, item := range p.val.items {
		if !r.want(item, option.Map, "an entry of "+quoted(p.key.text), `a map that starts with "name:"`) {
			continue
		}
		s := &section{name: name, kind: k, pos: item.pos}
		for _, e := range r.translated(item.pairs) {
			if r.pluginValue(k, e) {
				s.body = append(s.body, e)
			}
		}
		r.tree.sections = append(r.tree.sections, s)
	}
}

// pluginValue checks the value of an option of a plugin.
func (r *reader) pluginValue(k kind, e pair) bool {
	key := quoted(e.key.text)
	switch {
	case e.key.shape != option.Scalar || e.val.alias:
		return false
	case e.key.text == "routes":
		return true // checked when it is decoded
	case e.key.text == "processors":
		if e.val.shape != option.Map {
			r.want(e.val, option.Map, key, "a map with logs, metrics or traces")
			return false
		}
		return true
	case e.val.shape == option.Map && k == kindInput && e.key.text == "telemetry":
		return true
	case e.val.shape == option.Map:
		fix := option.DidYouMean(e.key.text, []string{"processors", "routes"})
		r.fail(e.val.pos, fix, "the option %s takes text or a list, but it is a map", key)
		return false
	case e.val.shape == option.List && len(e.val.items) == 0:
		r.fail(e.val.pos, "remove it", "the option %s is an empty list", key)
		return false
	}
	for _, item := range e.val.items {
		if item.shape != option.Scalar {
			r.fail(item.pos, "", "the list of option %s may hold only text, but here is %s", key, item.shape)
			return false
		}
	}
	return true
}

// flatSection reads a map of which each value is one text, except for the
// rules of a multiline parser and the nodes of an upstream.
func (r *reader) flatSection(name string, k kind, item node) {
	if !r.want(item, option.Map, "this entry", "a map") {
		return
	}
	s := &section{name: name, kind: k, pos: item.pos}
	for _, e := range r.translated(item.pairs) {
		if e.key.shape != option.Scalar {
			continue
		}
		nested := k == kindMultilineParser && e.key.text == "rules" || k == kindUpstreamServers && e.key.text == "nodes"
		switch {
		case !nested:
			if r.want(e.val, option.Scalar, "the option "+quoted(e.key.text), "one text") {
				s.body = append(s.body, e)
			}
		case r.want(e.val, option.List, quoted(e.key.text), "a list of maps"):
			ok := true
			for i, n := range e.val.items {
				ok = r.want(n, option.Map, "an entry of "+quoted(e.key.text), "a map") && ok
				n.pairs = r.translated(n.pairs)
				e.val.items[i].pairs = n.pairs
				for _, f := range n.pairs {
					ok = r.want(f.val, option.Scalar, "the option "+quoted(f.key.text), "one text") && ok
				}
			}
			if ok {
				s.body = append(s.body, e)
			}
		}
	}
	r.tree.sections = append(r.tree.sections, s)
}

// translated returns the pairs with camelCase keys in snake_case, and without
// the blanks around keys and texts. Those of lists and processors stay.
func (r *reader) translated(pairs []pair) []pair {
	out := make([]pair, 0, len(pairs))
	for _, p := range pairs {
		p.key.text = strings.TrimFunc(p.key.text, isSpaceC)
		if p.key.text == "" && p.key.shape == option.Scalar && !p.key.alias {
			r.fail(p.key.pos, "", "the key is empty")
			continue
		}
		p.key.text = snakeCase(p.key.text)
		if p.val.shape == option.Scalar {
			text := strings.TrimFunc(p.val.text, isSpaceC)
			if text == "" && p.val.text != "" {
				r.fail(p.val.pos, "", "the value of %q holds only blanks", p.key.text)
				continue
			}
			p.val.text = text
		}
		out = append(out, p)
	}
	return out
}

// snakeCase translates a key as Fluent Bit does: a key that starts with a
// small letter and has no underscore is taken for camelCase; one with an
// underscore is only lowered; any other stays.
func snakeCase(key string) string {
	if key == "" || key[0] < 'a' || key[0] > 'z' {
		return key
	}
	if strings.Contains(key, "_") {
		return lowerASCII(key)
	}
	out := make([]byte, 0, len(key)+8)
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c >= 'A' && c <= 'Z' {
			out = append(out, '_')
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	return string(out)
}
