package pipetest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// File is a test file.
type File struct {
	Path    string
	Tests   []*Test
	Sources *config.Sources
}

// Test is one test of a file.
type Test struct {
	Name    string
	Config  string // path of the configuration
	Env     map[string]string
	Timeout time.Duration
	Inputs  []Feed
	Expect  []Expect
	// Only says that outputs which the test does not name get nothing.
	Only bool
	Pos  option.Pos

	stubs     map[string][]field // what replaces filters, by their aliases or names
	expectPos option.Pos         // of the key expect; zero without one
}

// Feed is what one step of a test feeds into the pipeline. Input or Tag is set,
// or else Wait.
type Feed struct {
	Wait  time.Duration // nothing is fed for this time
	Input string        // alias or name, such as tail.0
	Tag   string
	Path  string // the file that a tail input takes the lines for
	Lines []string
	File  string // path of a file with the lines
	// Events are given unless Lines or File are.
	Events []Event
	Pos    option.Pos
}

// Event is a record with what belongs to it.
type Event struct {
	Tag    string
	Time   int64 // nanoseconds since the Unix epoch
	Meta   event.Value
	Record event.Value
}

// Expect is what has to arrive at one output.
type Expect struct {
	Output  string
	Nothing bool
	// Exact are all records that arrive, in this order unless AnyOrder is set.
	Exact    []Want
	HasExact bool
	AnyOrder bool
	Ignore   []string
	Contains []Want
	Where    []Condition // every record satisfies them
	Some     []Condition // at least one does
	None     []Condition // no record does
	Tag      string
	Pos      option.Pos

	count    []check
	bare     bool       // nothing but a word or a list was written
	exactKey string     // records or events
	exactPos option.Pos // of that key
	countPos option.Pos
}

// Want is an expected record. What is nil is not compared.
type Want struct {
	Tag    *string
	Time   *int64
	Meta   event.Value
	Record event.Value
	Pos    option.Pos
}

// defaultTimeout is how long a test may take.
const defaultTimeout = 10 * time.Second

// ReadFile reads a test file. configPath, if not empty, is tested instead of the
// configuration that the file names or that stands beside it. timeout is how long
// tests may take that do not say it, 0 for ten seconds. The file is nil if one of
// the problems is an error; its sources are returned in any case.
func ReadFile(path, configPath string, timeout time.Duration) (*File, *config.Sources, option.Problems) {
	root, src, ps := config.ReadDocument(path)
	if ps.HasErrors() {
		return nil, src, ps
	}
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	d := &decoder{dir: filepath.Dir(path), ps: ps, config: configPath, timeout: timeout}
	f := &File{Path: path, Sources: src}
	d.file(f, root)
	if d.ps.HasErrors() {
		return nil, src, d.ps
	}
	return f, src, d.ps
}

// decoder makes a File of nodes and collects what is wrong.
type decoder struct {
	dir    string
	config string // given on the command line

	timeout time.Duration // for tests that do not say one

	ps option.Problems
}

func (d *decoder) fail(pos option.Pos, fix, format string, args ...any) {
	d.ps = append(d.ps, option.Problem{Pos: pos, Message: fmt.Sprintf(format, args...), Fix: fix})
}

// entry is a known key of a map.
type entry struct {
	key string
	set func(p config.NodePair)
}

// fields reads a map whose keys are all known.
func (d *decoder) fields(n config.Node, what string, known ...entry) {
	if n.Shape != option.Map {
		d.fail(n.Pos, "", "%s must be a map with %s, but it is %s", what, keysOf(known), n.Shape)
		return
	}
	given := map[string]bool{}
	for _, p := range n.Pairs {
		i := slices.IndexFunc(known, func(e entry) bool { return e.key == p.Key.Text })
		switch {
		case i < 0:
			var names []string
			for _, e := range known {
				names = append(names, e.key)
			}
			d.fail(p.Key.Pos, option.DidYouMean(p.Key.Text, names), "%s has no key %q; there are %s", what, p.Key.Text, keysOf(known))
		case given[p.Key.Text]:
			d.fail(p.Key.Pos, "", "the key %q stands twice", p.Key.Text)
		default:
			given[p.Key.Text] = true
			known[i].set(p)
		}
	}
}

func keysOf(known []entry) string {
	var names []string
	for _, e := range known {
		names = append(names, e.key)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func (d *decoder) text(p config.NodePair) string {
	if p.Val.Shape != option.Scalar || p.Val.Text == "" {
		d.fail(p.Val.Pos, "", "%s must be a text, but it is %s", p.Key.Text, shapeOf(p.Val))
		return ""
	}
	return p.Val.Text
}

func shapeOf(n config.Node) string {
	if n.Text == "" && len(n.Items) == 0 && len(n.Pairs) == 0 {
		return "empty"
	}
	return n.Shape.String()
}

func (d *decoder) list(p config.NodePair) []config.Node {
	if p.Val.Shape != option.List {
		d.fail(p.Val.Pos, `write each entry behind "- "`, "%s must be a list, but it is %s", p.Key.Text, shapeOf(p.Val))
		return nil
	}
	return p.Val.Items
}

func (d *decoder) truth(p config.NodePair) bool {
	b, err := option.ParseBool(p.Val.Text)
	if p.Val.Shape != option.Scalar || err != nil {
		d.fail(p.Val.Pos, "", "%s must be true or false", p.Key.Text)
	}
	return b
}

func (d *decoder) duration(p config.NodePair) time.Duration {
	t, err := time.ParseDuration(p.Val.Text)
	if p.Val.Shape != option.Scalar || err != nil || t <= 0 {
		d.fail(p.Val.Pos, "", "%s must be a time such as 5s or 500ms", p.Key.Text)
	}
	return t
}

func (d *decoder) env(p config.NodePair) map[string]string {
	out := map[string]string{}
	if p.Val.Shape != option.Map {
		d.fail(p.Val.Pos, "", "env must be a map of variables, but it is %s", shapeOf(p.Val))
		return out
	}
	for _, v := range p.Val.Pairs {
		if v.Val.Shape != option.Scalar {
			d.fail(v.Val.Pos, "", "the variable %s must be a text, but it is %s", v.Key.Text, v.Val.Shape)
		}
		out[v.Key.Text] = v.Val.Text
	}
	return out
}

// stubs reads what replaces filters: for each the fields that it adds.
func (d *decoder) stubs(p config.NodePair) map[string][]field {
	out := map[string][]field{}
	if p.Val.Shape != option.Map {
		d.fail(p.Val.Pos, "write for example kubernetes.0: {namespace: web}", "stubs must be a map from filters to the fields that they add, but it is %s", shapeOf(p.Val))
		return out
	}
	for _, s := range p.Val.Pairs {
		rec, ok := d.record(s.Val)
		if ok {
			out[s.Key.Text] = lastFields(rec)
		}
	}
	return out
}

// merged returns both maps as one; b wins.
func merged[V any](a, b map[string]V) map[string]V {
	if a == nil {
		return b
	}
	maps.Copy(a, b)
	return a
}

// path is relative to the directory of the test file.
func (d *decoder) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(d.dir, p)
}

func (d *decoder) file(f *File, root config.Node) {
	var tests []config.Node
	var env map[string]string
	var stubs map[string][]field
	var configPath string
	timeout := d.timeout
	hasTests := false
	before := len(d.ps)
	d.fields(root, "the file",
		entry{"config", func(p config.NodePair) { configPath = d.path(d.text(p)) }},
		entry{"env", func(p config.NodePair) { env = d.env(p) }},
		entry{"stubs", func(p config.NodePair) { stubs = d.stubs(p) }},
		entry{"timeout", func(p config.NodePair) { timeout = d.duration(p) }},
		entry{"tests", func(p config.NodePair) { hasTests, tests = true, d.list(p) }},
	)
	if !hasTests && len(d.ps) == before {
		d.fail(root.Pos, "", `the file has no "tests"`)
	}
	if d.config != "" {
		configPath = d.config
	}
	names := map[string]option.Pos{}
	for _, n := range tests {
		t := &Test{Config: configPath, Env: maps.Clone(env), stubs: maps.Clone(stubs), Timeout: timeout, Pos: n.Pos}
		d.test(t, n)
		if t.Config == "" {
			if t.Config = Beside(f.Path); t.Config == "" {
				d.fail(n.Pos, `say which it is: config: fluent-bit.conf`, "no configuration is named, and none of this name stands beside the file")
			}
		}
		if first, dup := names[t.Name]; dup && t.Name != "" {
			d.fail(t.Pos, "", "the test %q has the name of the one in line %d", t.Name, first.Line)
		}
		names[t.Name] = t.Pos
		f.Tests = append(f.Tests, t)
	}
	if hasTests && len(tests) == 0 && len(d.ps) == before {
		d.fail(root.Pos, "", "the file holds no test")
	}
}

func (d *decoder) test(t *Test, n config.Node) {
	before := len(d.ps)
	d.fields(n, "a test",
		entry{"name", func(p config.NodePair) { t.Name = d.text(p) }},
		entry{"config", func(p config.NodePair) {
			if c := d.path(d.text(p)); d.config == "" {
				t.Config = c
			}
		}},
		entry{"env", func(p config.NodePair) {
			t.Env = merged(t.Env, d.env(p))
		}},
		entry{"stubs", func(p config.NodePair) { t.stubs = merged(t.stubs, d.stubs(p)) }},
		entry{"timeout", func(p config.NodePair) { t.Timeout = d.duration(p) }},
		entry{"inputs", func(p config.NodePair) {
			for _, item := range d.list(p) {
				t.Inputs = append(t.Inputs, d.feed(item))
			}
		}},
		entry{"expect", func(p config.NodePair) {
			t.expectPos = p.Key.Pos
			if p.Val.Shape != option.Map {
				d.fail(p.Val.Pos, "write the alias or name of an output, such as stdout.0, and below it what it gets", "expect must be a map of outputs, but it is %s", shapeOf(p.Val))
				return
			}
			seen := map[string]bool{}
			for _, o := range p.Val.Pairs {
				if seen[o.Key.Text] {
					d.fail(o.Key.Pos, "", "the output %q stands twice", o.Key.Text)
				}
				seen[o.Key.Text] = true
				t.Expect = append(t.Expect, d.expect(o))
			}
		}},
		entry{"only", func(p config.NodePair) { t.Only = d.truth(p) }},
	)
	if len(d.ps) > before {
		return
	}
	switch {
	case t.Name == "":
		d.fail(n.Pos, "", "the test has no name")
	case len(t.Inputs) == 0:
		d.fail(n.Pos, "", "the test %q has no inputs", t.Name)
	}
}

func (d *decoder) feed(n config.Node) Feed {
	f := Feed{Pos: n.Pos}
	var kinds []string
	kind := func(p config.NodePair) { kinds = append(kinds, p.Key.Text) }
	before := len(d.ps)
	d.fields(n, "an entry of inputs",
		entry{"input", func(p config.NodePair) { f.Input = d.text(p) }},
		entry{"tag", func(p config.NodePair) { f.Tag = d.text(p) }},
		entry{"path", func(p config.NodePair) { f.Path = d.text(p) }},
		entry{"lines", func(p config.NodePair) { kind(p); f.Lines = d.lines(p) }},
		entry{"file", func(p config.NodePair) { kind(p); f.File = d.path(d.text(p)) }},
		entry{"records", func(p config.NodePair) {
			kind(p)
			for _, item := range d.list(p) {
				if rec, ok := d.record(item); ok {
					f.Events = append(f.Events, Event{Record: rec})
				}
			}
		}},
		entry{"events", func(p config.NodePair) {
			kind(p)
			for _, item := range d.list(p) {
				if w := d.want(item, false); w.Record != nil {
					e := Event{Meta: w.Meta, Record: w.Record}
					if w.Time != nil {
						e.Time = *w.Time
					}
					f.Events = append(f.Events, e)
				}
			}
		}},
		entry{"wait", func(p config.NodePair) { f.Wait = d.duration(p) }},
	)
	if len(d.ps) > before {
		return f
	}
	raw := f.Lines != nil || f.File != ""
	switch {
	case f.Wait > 0:
		if len(n.Pairs) > 1 {
			d.fail(n.Pos, "", "wait is a step of its own; nothing can be fed with it")
		}
	case f.Input == "" && f.Tag == "":
		d.fail(n.Pos, "name an input of the configuration, such as input: tail.0, or a tag", "it is not said where the records enter")
	case len(kinds) != 1:
		d.fail(n.Pos, "", "give one of lines, file, records and events")
	case raw && f.Input == "":
		d.fail(n.Pos, "name the input that reads them: input: tail.0", "lines need an input; with a tag alone only records can enter")
	case f.Path != "" && !raw:
		d.fail(n.Pos, "", "path is the name of the file that lines are in; here are records")
	}
	return f
}

// lines reads a text of lines or a list of them.
func (d *decoder) lines(p config.NodePair) []string {
	if p.Val.Shape == option.List {
		out := []string{}
		for _, item := range p.Val.Items {
			if item.Shape != option.Scalar {
				d.fail(item.Pos, "put it in quotes: '"+`{"a": 1}`+"'", "a line must be a text, but it is %s", item.Shape)
			}
			out = append(out, item.Text)
		}
		return out
	}
	text := d.text(p)
	if text != "" && !p.Val.Quoted {
		d.fail(p.Val.Pos, `write "lines: |" and the lines below, or a list`, "lines must be a list or a block of text")
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func (d *decoder) record(n config.Node) (event.Value, bool) {
	if n.Shape != option.Map {
		fix := ""
		if strings.HasPrefix(strings.TrimSpace(n.Text), "{") {
			fix = "remove the quotes around it"
		}
		d.fail(n.Pos, fix, "a record must be a map such as {level: error}, but it is %s", shapeOf(n))
		return nil, false
	}
	d.noRepeats(n)
	return appendNode(nil, n), true
}

func (d *decoder) noRepeats(n config.Node) {
	seen := map[string]bool{}
	for _, p := range n.Pairs {
		if seen[p.Key.Text] {
			d.fail(p.Key.Pos, "", "the key %q stands twice", p.Key.Text)
		}
		seen[p.Key.Text] = true
		d.noRepeats(p.Val)
	}
	for _, item := range n.Items {
		d.noRepeats(item)
	}
}

// want reads an entry of events.
func (d *decoder) want(n config.Node, expected bool) Want {
	w := Want{Pos: n.Pos}
	known := []entry{
		{"time", func(p config.NodePair) {
			t, err := parseTime(p.Val.Text)
			if p.Val.Shape != option.Scalar || err != nil {
				d.fail(p.Val.Pos, "", "%v", badTime(p.Val.Text))
			}
			w.Time = &t
		}},
		{"metadata", func(p config.NodePair) { w.Meta, _ = d.record(p.Val) }},
		{"record", func(p config.NodePair) { w.Record, _ = d.record(p.Val) }},
	}
	if expected {
		known = append([]entry{{"tag", func(p config.NodePair) { tag := d.text(p); w.Tag = &tag }}}, known...)
	}
	before := len(d.ps)
	d.fields(n, "an entry of events", known...)
	if w.Record == nil && len(d.ps) == before && !expected {
		d.fail(n.Pos, "", "the event has no record")
	}
	return w
}

func (d *decoder) expect(o config.NodePair) Expect {
	e := Expect{Output: o.Key.Text, Pos: o.Key.Pos, exactKey: "records"}
	records := func(p config.NodePair) (out []Want) {
		for _, item := range d.list(p) {
			if rec, ok := d.record(item); ok {
				out = append(out, Want{Record: rec, Pos: item.Pos})
			}
		}
		return out
	}
	switch {
	case o.Val.Shape == option.List:
		e.HasExact, e.bare, e.Exact = true, true, records(o)
		return e
	case o.Val.Shape == option.Scalar:
		if o.Val.Text != "nothing" {
			d.fail(o.Val.Pos, option.DidYouMean(o.Val.Text, []string{"nothing"}), "the output %s needs a list of records, a map, or the word nothing, but it is %s", e.Output, quotedShape(o.Val))
		}
		e.Nothing, e.bare = true, true
		return e
	}
	exact := func(p config.NodePair) {
		if e.HasExact {
			d.fail(p.Key.Pos, "", "give either records or events")
		}
		e.HasExact, e.exactKey, e.exactPos = true, p.Key.Text, p.Key.Pos
	}
	d.fields(o.Val, "the expectation of an output",
		entry{"records", func(p config.NodePair) { exact(p); e.Exact = records(p) }},
		entry{"events", func(p config.NodePair) {
			exact(p)
			for _, item := range d.list(p) {
				e.Exact = append(e.Exact, d.want(item, true))
			}
		}},
		entry{"any_order", func(p config.NodePair) { e.AnyOrder = d.truth(p) }},
		entry{"ignore", func(p config.NodePair) {
			for _, item := range d.list(p) {
				if item.Shape != option.Scalar || item.Text == "" || item.Text[0] == '$' {
					d.fail(item.Pos, "", "ignore holds names of fields, such as host or kubernetes.pod_id")
				}
				e.Ignore = append(e.Ignore, item.Text)
			}
		}},
		entry{"contains", func(p config.NodePair) { e.Contains = records(p) }},
		entry{"count", func(p config.NodePair) { e.countPos = p.Key.Pos; e.count = d.count(p) }},
		entry{"where", func(p config.NodePair) { e.Where = d.conditions(p) }},
		entry{"some", func(p config.NodePair) { e.Some = d.conditions(p) }},
		entry{"none", func(p config.NodePair) { e.None = d.conditions(p) }},
		entry{"tag", func(p config.NodePair) { e.Tag = d.text(p) }},
	)
	switch {
	case len(o.Val.Pairs) == 0:
		d.fail(o.Val.Pos, "", "it is not said what %s gets", e.Output)
	case (e.AnyOrder || e.Ignore != nil) && !e.HasExact:
		d.fail(o.Key.Pos, "", "any_order and ignore are about records or events, which are not given")
	}
	return e
}

func quotedShape(n config.Node) string {
	if n.Text == "" {
		return "empty"
	}
	return strconv.Quote(n.Text)
}
