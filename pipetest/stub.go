package pipetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// asking are the filters that ask a server. They are never run in a test.
var asking = []string{"aws", "ecs", "kubernetes"}

// filterConfig is that of a filter which a test may replace.
type filterConfig struct {
	rig  *rig
	name string // of the plugin
	real plugin.FilterConfig
}

func (c *filterConfig) Fields() []option.Field { return c.real.Fields() }

// New makes the real filter, so that its options are checked, and returns it or
// what stands in for it.
func (c *filterConfig) New(env *plugin.Env) (plugin.Filter, error) {
	f, err := c.real.New(env)
	if err != nil {
		return nil, err
	}
	r := c.rig
	r.filters = append(r.filters, env.ID)
	for _, key := range []string{env.ID, c.name} {
		if fields, ok := r.stubs[key]; ok {
			r.stubbed = append(r.stubbed, key)
			return &stub{fields}, nil
		}
	}
	switch {
	case slices.Contains(asking, c.name):
		r.notes = append(r.notes, fmt.Sprintf("the filter %s asks a server and does nothing in a test; say with stubs what it adds", env.ID))
		return &stub{}, nil
	case c.name == "stdout":
		return &stub{}, nil // It would print in the middle of the results.
	}
	return f, nil
}

// unusedStub returns an error about a stub that no filter has asked for.
func (r *rig) unusedStub() error {
	for key := range r.stubs {
		if slices.Contains(r.stubbed, key) {
			continue
		}
		err := fmt.Errorf("there is no filter %q to be replaced by a stub", key)
		if hint := option.DidYouMean(key, r.filters); hint != "" {
			err = fmt.Errorf("%w; %s", err, hint)
		}
		return err
	}
	return nil
}

// stub is a filter that adds fields to every record, in place of those that have
// the same keys.
type stub struct{ fields []field }

var _ plugin.Filter = (*stub)(nil)

// Filter implements plugin.Filter.
func (s *stub) Filter(_ context.Context, b *event.Batch) error {
	for i := range b.Events {
		e := &b.Events[i]
		for _, f := range s.fields {
			set(e, f)
		}
	}
	return nil
}

func set(e *event.Event, f field) {
	fields := e.Fields()
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].Is(f.path) {
			fields[i].Val = f.val
			e.SetFields(fields)
			return
		}
	}
	e.Append(event.AppendString(nil, f.path), f.val)
}
