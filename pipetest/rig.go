package pipetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// rig stands in for the inputs and outputs of one configuration.
type rig struct {
	inputs  []*input
	outputs []*output
	direct  *input // takes what enters by tag; nil if nothing does

	stubs   map[string][]field // what is to replace filters, see stub.go
	stubbed []string           // those of them that were asked for
	filters []string           // all filters
	notes   []string
}

// directInput is the name of the plugin for events that enter by their tag.
const directInput = "kagari_test"

// registry returns the plugins of reg with inputs and outputs replaced by the
// rig's. They have the names and options of the real ones, which they make and
// throw away, so that what is wrong with their options is said.
func (r *rig) registry(reg *plugin.Registry) *plugin.Registry {
	defs := []*plugin.Def{{Kind: plugin.KindInput, Name: directInput, Hidden: true,
		Config: func() plugin.Config { return &directConfig{r} }}}
	for _, real := range reg.All() {
		d := *real
		switch {
		case d.Kind == plugin.KindInput:
			d.Push = false
			d.Config = func() plugin.Config { return &inputConfig{r, real.Config().(plugin.InputConfig)} }
		case d.Kind == plugin.KindOutput:
			d.Concurrency = 0
			d.Config = func() plugin.Config { return &outputConfig{r, real.Config().(plugin.OutputConfig)} }
		default:
			d.Config = func() plugin.Config {
				c := real.Config()
				if fc, ok := c.(plugin.FilterConfig); ok {
					return &filterConfig{r, d.Name, fc}
				}
				return c
			}
		}
		defs = append(defs, &d)
	}
	return plugin.NewRegistry(defs...)
}

// prepare makes the configuration one for the rig: nothing is written outside
// of dir, and there is an input for what enters by tag if need be.
func (r *rig) prepare(cfg *config.Config, dir string, direct bool) {
	svc := cfg.Service
	svc.Flush, svc.Grace = time.Second, grace
	if direct {
		// A second input must not change that a single one needs no Match and
		// has no use for routes.
		if len(cfg.Inputs) == 1 && len(cfg.Outputs) == 1 && svc.Storage.Path == "" {
			out := cfg.Outputs[0]
			_, match := out.Get("match")
			if _, re := out.Get("match_regex"); !match && !re {
				out.Props = append(out.Props, option.Prop("match", "*"))
			}
			cfg.Inputs[0].Routes = nil // They have no effect there.
		}
		cfg.Inputs = append(cfg.Inputs, &config.Instance{Kind: plugin.KindInput, Name: directInput})
	}
	if svc.Storage.Path != "" {
		svc.Storage.Path, svc.Storage.Sync = dir, "normal"
	}
}

// input stands where the configuration has one. It emits what it is told to.
type input struct {
	name   string // such as tail.0
	plugin string
	env    *plugin.Env
	config plugin.InputConfig // of the real plugin; nil for the direct one
	parser string             // that the real one has looked up, or ""

	ready chan plugin.Emitter // gets the emitter once the engine runs
}

var _ plugin.Input = (*input)(nil)

// Run hands the emitter over and waits.
func (in *input) Run(ctx context.Context, out plugin.Emitter) error {
	in.ready <- out
	<-ctx.Done()
	return nil
}

type inputConfig struct {
	rig  *rig
	real plugin.InputConfig
}

func (c *inputConfig) Fields() []option.Field { return c.real.Fields() }

func (c *inputConfig) New(env *plugin.Env) (plugin.Input, error) {
	in := &input{env: env, config: c.real, ready: make(chan plugin.Emitter, 1)}
	watched := *env
	watched.Parser = func(name string) (plugin.Parser, error) {
		in.parser = name
		return env.Parser(name)
	}
	if _, err := c.real.New(&watched); err != nil {
		return nil, err
	}
	c.rig.inputs = append(c.rig.inputs, in)
	return in, nil
}

type directConfig struct{ rig *rig }

func (*directConfig) Fields() []option.Field { return nil }

func (c *directConfig) New(env *plugin.Env) (plugin.Input, error) {
	c.rig.direct = &input{name: "the tag", env: env, ready: make(chan plugin.Emitter, 1)}
	return c.rig.direct, nil
}

// output stands where the configuration has one and keeps what it gets.
type output struct {
	name   string // such as stdout.0
	plugin string
	env    *plugin.Env

	mu      sync.Mutex
	chunks  []captured
	size    int
	metrics bool // some have come
}

// captured is the events of one chunk.
type captured struct {
	created time.Time
	events  []Event
}

// maxCaptured bounds what one output may get in a test, in bytes: a filter that
// emits to itself without end would fill the memory.
const maxCaptured = 64 << 20

var _ plugin.Output = (*output)(nil)

// Send keeps the events of c.
func (o *output) Send(_ context.Context, c *event.Chunk) error {
	if c.Signal != event.Logs {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.metrics = true
		return nil
	}
	got := captured{created: c.ID.Created()}
	for cur := c.Cursor(); cur.Next(); {
		got.events = append(got.events, Event{Tag: c.Tag, Time: cur.Time, Meta: slices.Clone(cur.Meta), Record: slices.Clone(cur.Record)})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size += c.Size(); o.size > maxCaptured {
		return plugin.Permanent(fmt.Errorf("the output got more than %d MB", maxCaptured>>20))
	}
	o.chunks = append(o.chunks, got)
	return nil
}

// events returns what has arrived. Records of one tag are in the order in which
// they came; tags are in the order of their first record, as they travel in
// chunks of their own.
func (o *output) events() []Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	slices.SortStableFunc(o.chunks, func(a, b captured) int { return a.created.Compare(b.created) })
	var out []Event
	for _, c := range o.chunks {
		out = append(out, c.events...)
	}
	return out
}

// flooded tells whether records were not kept.
func (o *output) flooded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size > maxCaptured
}

type outputConfig struct {
	rig  *rig
	real plugin.OutputConfig
}

func (c *outputConfig) Fields() []option.Field { return c.real.Fields() }

func (c *outputConfig) New(env *plugin.Env) (plugin.Output, error) {
	if _, err := c.real.New(env); err != nil {
		return nil, err
	}
	o := &output{env: env}
	c.rig.outputs = append(c.rig.outputs, o)
	return o, nil
}

// label gives the stand-ins the names of their instances. They were made in the
// order of the configuration.
func (r *rig) label(cfg *config.Config) {
	for i, in := range r.inputs {
		in.plugin = strings.ToLower(cfg.Inputs[i].Name)
		in.name = fmt.Sprintf("%s.%d", in.plugin, i)
	}
	for i, o := range r.outputs {
		o.plugin = strings.ToLower(cfg.Outputs[i].Name)
		o.name = fmt.Sprintf("%s.%d", o.plugin, i)
	}
}

// find returns the instance that is called so: by its alias, or else by its
// plugin's name and number, or by the plugin's name alone if there is just one.
func find[T any](all []T, name string, of func(T) (id, numbered, plugin string)) (T, error) {
	var none T
	var ids []string
	var same []T
	for _, want := range []func(id, numbered string) bool{
		func(id, _ string) bool { return id == name },
		func(_, numbered string) bool { return numbered == name },
	} {
		for _, x := range all {
			if id, numbered, _ := of(x); want(id, numbered) {
				return x, nil
			}
		}
	}
	for _, x := range all {
		id, _, pluginName := of(x)
		ids = append(ids, id)
		if pluginName == strings.ToLower(name) {
			same = append(same, x)
		}
	}
	switch {
	case len(same) == 1:
		return same[0], nil
	case len(same) > 1:
		var which []string
		for _, x := range same {
			id, _, _ := of(x)
			which = append(which, id)
		}
		return none, fmt.Errorf("%q may be any of %s", name, strings.Join(which, ", "))
	case len(all) == 0:
		return none, fmt.Errorf("the configuration has none")
	}
	hint := option.DidYouMean(name, ids)
	if hint != "" {
		hint = "; " + hint
	}
	return none, fmt.Errorf("%q is none of %s%s", name, strings.Join(ids, ", "), hint)
}

func (r *rig) input(name string) (*input, error) {
	return find(r.inputs, name, func(in *input) (string, string, string) { return in.env.ID, in.name, in.plugin })
}

func (r *rig) output(name string) (*output, error) {
	return find(r.outputs, name, func(o *output) (string, string, string) { return o.env.ID, o.name, o.plugin })
}
