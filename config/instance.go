package config

import (
	"slices"
	"strings"

	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// Instance is one input, filter or output of the pipeline.
type Instance struct {
	Kind plugin.Kind
	Name string // of the plugin, as written
	Pos  option.Pos
	// Props are the options except name, processors and routes, in the order
	// written, with variables expanded. A list of YAML stands here as one
	// property per entry, as Fluent Bit takes it; only telemetry is a map.
	Props []option.Property
	// Processors run on an input's or output's own events, in this order.
	Processors []*Processor
	// Routes say where the events of an input go instead of by Match.
	Routes []*Route

	namePos option.Pos // of the value of name
	refused bool       // Check found errors in the options
	// address is the options that a name such as tcp://host:port stands for.
	address []option.Property
}

// Route is an entry of the routes of an input, as the page "Routing" of the
// Fluent Bit manual describes.
type Route struct {
	Name      string
	Signals   []string // of logs, metrics, traces; "any" means all
	Condition *Condition
	Default   bool // takes what no other route took
	PerRecord bool
	Outputs   []RouteOutput // at least one
	Pos       option.Pos
}

// RouteOutput names an output by its alias or name.
type RouteOutput struct {
	Name     string
	Fallback string
	Pos      option.Pos
}

// Title names the instance in messages, such as "input tail".
func (i *Instance) Title() string { return i.Kind.String() + " " + i.Name }

// Refused tells whether Check has found errors in the options. What the plugin
// says about them then would only repeat it.
func (i *Instance) Refused() bool { return i.refused }

// Get returns the text of the last property of that key, ignoring case.
func (i *Instance) Get(key string) (string, bool) {
	for n := len(i.Props) - 1; n >= 0; n-- {
		if strings.EqualFold(i.Props[n].Key, key) {
			return i.Props[n].Value.Text, true
		}
	}
	return "", false
}

// AddInstance adds an instance that the command line describes, after those
// added before and in front of those of the file, as Fluent Bit does. Variables
// in the values are expanded; the name may be an address such as
// tcp://127.0.0.1:5170.
func (c *Config) AddInstance(k plugin.Kind, name string, props []option.Property) (*Instance, option.Problems) {
	l := &loader{cfg: c, env: c.env, ps: &option.Problems{}}
	inst := &Instance{Kind: k}
	inst.setName(l.expanded(name, option.Pos{}))
	for _, p := range props {
		p.Value.Text = l.expanded(p.Value.Text, p.Pos)
		inst.Props = append(inst.Props, p)
	}
	list := &c.Outputs
	switch k {
	case plugin.KindInput:
		list = &c.Inputs
	case plugin.KindFilter:
		list = &c.Filters
	}
	*list = slices.Insert(*list, c.added[k], inst)
	c.added[k]++
	return inst, *l.ps
}

// setName takes a plugin name or an address.
func (i *Instance) setName(name string) {
	scheme, rest, ok := strings.Cut(name, "://")
	if !ok || scheme == "" {
		i.Name = name
		return
	}
	i.Name = scheme
	host, path, hasPath := strings.Cut(rest, "/")
	port := ""
	if end := strings.LastIndex(host, ":"); end >= 0 && !strings.HasSuffix(host, "]") {
		host, port = host[:end], host[end+1:]
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	add := func(key, value string) {
		if value != "" {
			i.address = append(i.address, option.Property{Key: key, Value: option.Value{Text: value, Pos: i.Pos}, Pos: i.Pos})
		}
	}
	if i.Kind == plugin.KindInput {
		add("listen", host)
	}
	add("host", host)
	add("port", port)
	if hasPath && path != "" {
		add("uri", "/"+path)
	}
}

// instance decodes a section of the pipeline and appends it to list.
func (l *loader) instance(list []*Instance, k plugin.Kind, s *section) []*Instance {
	inst := &Instance{Kind: k, Pos: s.pos}
	name, ok := find(s.body, "name")
	switch {
	case !ok && s.broken: // the name may be what could not be read
	case !ok:
		l.fail(s.pos, "", "the %s has no name", k)
	case name.val.shape != option.Scalar:
		l.fail(name.val.pos, "", "the name of a plugin must be one text, but it is %s", name.val.shape)
		ok = false
	default:
		inst.namePos = name.val.pos
		inst.setName(l.expanded(name.val.text, name.val.pos))
	}
	named := false
	processors := false
	for _, p := range s.body {
		key := p.key.text
		switch {
		case strings.EqualFold(key, "name"):
			if named {
				l.warn(p.key.pos, "", "the %s has a second name, which is ignored", k)
			}
			named = true
		case key == "processors" && p.val.shape == option.Map && l.cfg.Tree.Format == YAML:
			switch {
			case k == plugin.KindFilter:
				l.warn(p.key.pos, "put them on an input or output", "a filter has no processors; they are ignored")
			case processors:
				l.warn(p.key.pos, "put all of them into one", "the processors are given a second time and are ignored")
			default:
				inst.Processors = l.processors(p.val)
			}
			processors = true
		case strings.EqualFold(key, "routes"):
			if k == plugin.KindInput {
				inst.Routes = l.routes(p)
			} else {
				l.warn(p.key.pos, "", "only inputs have routes; they are ignored")
			}
		case p.val.shape == option.Map && !strings.EqualFold(key, "telemetry"):
			l.warn(p.key.pos, "", "the group %q is ignored", key)
		default:
			inst.Props = append(inst.Props, l.props(p)...)
		}
	}
	if !ok {
		return list
	}
	return append(list, inst)
}

// props expands the variables of one option; a list becomes one property for
// each entry.
func (l *loader) props(p pair) []option.Property {
	prop := option.Property{Key: p.key.text, Value: rawValue(p.val), Pos: p.key.pos}
	switch p.val.shape {
	case option.Scalar:
		prop.Value.Text = l.expanded(prop.Value.Text, prop.Value.Pos)
	case option.List:
		var out []option.Property
		for _, item := range prop.Value.Items {
			item.Text = l.expanded(item.Text, item.Pos)
			out = append(out, option.Property{Key: prop.Key, Value: item, Pos: prop.Pos})
		}
		return out
	}
	return []option.Property{prop}
}

var signals = []string{"logs", "metrics", "traces"}

// processors decodes the map of processors by signal. They keep their order
// within a signal; logs come first.
func (l *loader) processors(n node) []*Processor {
	bySignal := map[string][]*Processor{}
	for _, p := range n.pairs {
		signal := canonical(p.key.text, signals)
		switch {
		case signal == "":
			l.fail(p.key.pos, option.DidYouMean(p.key.text, signals), "processors are for logs, metrics or traces, not for %q", p.key.text)
			continue
		case p.val.shape != option.List:
			l.fail(p.val.pos, "", "the processors for %s must be a list whose entries start with \"- name:\"", signal)
			continue
		}
		for _, item := range p.val.items {
			if proc := l.processor(item, signal); proc != nil {
				bySignal[signal] = append(bySignal[signal], proc)
			}
		}
	}
	var out []*Processor
	for _, signal := range signals {
		out = append(out, bySignal[signal]...)
	}
	return out
}

// processor decodes one processor. Its keys are taken as they stand, without
// the translation of camelCase, and nested values are not expanded.
func (l *loader) processor(n node, signal string) *Processor {
	if n.shape != option.Map {
		l.fail(n.pos, "", "a processor must be a map that starts with \"name:\", but it is %s", n.shape)
		return nil
	}
	out := &Processor{Signal: signal, Pos: n.pos}
	name, ok := n.get("name")
	if !ok || name.val.shape != option.Scalar || name.val.text == "" {
		l.fail(n.pos, "", "the processor has no name")
		return nil
	}
	out.Name, out.namePos = name.val.text, name.val.pos
	for _, p := range n.pairs {
		switch {
		case strings.EqualFold(p.key.text, "name"):
		case strings.EqualFold(p.key.text, "condition"):
			out.Condition = l.condition(p.val, false)
		default:
			prop := option.Property{Key: p.key.text, Value: rawValue(p.val), Pos: p.key.pos}
			if p.val.shape == option.Scalar {
				prop.Value.Text = l.expanded(prop.Value.Text, prop.Value.Pos)
			}
			out.Props = append(out.Props, prop)
		}
	}
	return out
}

// routes decodes the routes of an input. Any mistake in them is refused.
func (l *loader) routes(p pair) []*Route {
	if p.val.shape != option.Map {
		l.fail(p.val.pos, "", "routes must be a map with logs, metrics, traces or any, but it is %s", p.val.shape)
		return nil
	}
	var out []*Route
	names := map[string]bool{}
	for _, e := range p.val.pairs {
		var sigs []string
		for _, word := range strings.FieldsFunc(e.key.text, func(r rune) bool { return isSpaceC(r) || strings.ContainsRune(",|+", r) }) {
			sig := canonical(word, append([]string{"any"}, signals...))
			if sig == "" {
				sigs = nil
				break
			}
			sigs = append(sigs, sig)
		}
		if len(sigs) == 0 {
			l.fail(e.key.pos, option.DidYouMean(e.key.text, signals), "routes are for logs, metrics, traces or any, not for %q", e.key.text)
			continue
		}
		items := e.val.items
		if e.val.shape == option.Map {
			items = []node{e.val}
		}
		if len(items) == 0 {
			l.fail(e.val.pos, "", "the routes for %s must be a list of maps", e.key.text)
		}
		for _, item := range items {
			if r := l.route(item, sigs, names); r != nil {
				out = append(out, r)
			}
		}
	}
	return out
}

func (l *loader) route(n node, sigs []string, names map[string]bool) *Route {
	r := &Route{Signals: sigs, Pos: n.pos}
	name, ok := n.get("name")
	switch {
	case n.shape != option.Map:
		l.fail(n.pos, "", "a route must be a map, but it is %s", n.shape)
		return nil
	case !ok || !isText(name.val):
		l.fail(n.pos, "", "the route has no name")
		return nil
	case names[name.val.text]:
		l.fail(name.val.pos, "", "there are two routes %q", name.val.text)
		return nil
	}
	r.Name = name.val.text
	names[r.Name] = true
	if c, ok := n.get("condition"); ok {
		def, isDef := c.val.get("default")
		r.Default = isDef && strings.EqualFold(def.val.text, "true")
		if _, ok := c.val.get("rules"); ok || !r.Default {
			if r.Condition = l.condition(withoutKey(c.val, "default"), true); r.Condition == nil {
				return nil
			}
			for _, rule := range r.Condition.Rules {
				if !isFieldOf(rule.Field, sigs) {
					l.fail(rule.Pos, "", "the field %q is none of %s", rule.Field, strings.Join(sigs, " or "))
					return nil
				}
			}
		}
	}
	if v, ok := n.get("per_record_routing"); ok {
		r.PerRecord = strings.EqualFold(v.val.text, "true")
	}
	if v, ok := n.get("processors"); ok {
		l.warn(v.key.pos, "put them on the input or output", "processors of a route are ignored")
	}
	to, ok := n.get("to")
	if ok && to.val.shape == option.Map {
		if outputs, has := to.val.get("outputs"); has {
			to = outputs
		}
	}
	items := to.val.items
	if to.val.shape != option.List {
		items = []node{to.val}
	}
	for _, item := range items {
		o := RouteOutput{Name: item.text, Pos: item.pos}
		if item.shape == option.Map {
			name, _ := item.get("name")
			fallback, _ := item.get("fallback")
			o.Name, o.Fallback = name.val.text, fallback.val.text
		}
		if o.Name == "" || item.shape == option.List {
			l.fail(n.pos, "", "the route %q needs names of outputs below to", r.Name)
			return nil
		}
		r.Outputs = append(r.Outputs, o)
	}
	if len(r.Outputs) == 0 {
		l.fail(n.pos, "", "the route %q needs names of outputs below to", r.Name)
		return nil
	}
	return r
}

// isFieldOf tells whether a rule in a route for the signals may be about the
// field, by how Fluent Bit begins the names of what is no log.
func isFieldOf(field string, signals []string) bool {
	begins := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(field, p) })
	}
	for _, s := range signals {
		logs := !begins("$metric.", "$span.", "$scope.")
		metrics := begins("$metric.", "$resource[", "$attributes[")
		traces := begins("$span.", "$resource[", "$scope[")
		if s == "logs" && logs || s == "metrics" && metrics || s == "traces" && traces || s == "any" && (logs || metrics || traces) {
			return true
		}
	}
	return false
}

func withoutKey(n node, key string) node {
	var pairs []pair
	for _, p := range n.pairs {
		if !strings.EqualFold(p.key.text, key) {
			pairs = append(pairs, p)
		}
	}
	n.pairs = pairs
	return n
}
