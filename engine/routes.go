package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// routes are the routes of an input for one signal. The events of such an input
// go where they say, and Match does not count.
type routes struct {
	// whole is the outputs of the routes without a condition. They get every
	// event with its own tag.
	whole []*sink
	// parts is the other routes. An event is copied to each whose condition holds
	// and has the name of the route as its tag there, before the filters.
	parts []*part
}

// part is a route that takes some of the events.
type part struct {
	name      string
	condition *condition // nil: every event
	rest      bool       // only events that no other part took
	plan      *plan
}

// routes builds the routes of the inputs, which refer to all outputs.
func (b *builder) routes() {
	for _, in := range b.engine.inputs {
		// An output is on the first route that names it, as in Fluent Bit.
		first := map[*sink]string{}
		for _, r := range in.inst.Routes {
			sinks := b.routeSinks(in.inst, r, first)
			if len(sinks) > 0 {
				b.route(in.source, in.inst, r, sinks)
			}
		}
	}
}

// routeSinks finds the outputs of a route.
func (b *builder) routeSinks(inst *config.Instance, r *config.Route, first map[*sink]string) (sinks []*sink) {
	for _, o := range r.Outputs {
		s := b.engine.sinkNamed(o.Name)
		if s == nil && o.Fallback != "" {
			s = b.engine.sinkNamed(o.Fallback)
		}
		if s == nil {
			b.problems = append(b.problems, option.Problem{Severity: option.Warning, Pos: o.Pos, Section: inst.Title(), Key: "routes",
				Message: fmt.Sprintf("the route %q goes to an output %q that does not exist", r.Name, o.Name)})
			continue
		}
		if name, taken := first[s]; taken {
			if name != r.Name {
				b.problem(option.Warning, o.Pos, inst.Title(), "the output %s is on the route %q already; the route %q does not reach it", s.id, name, r.Name)
			}
			continue
		}
		first[s] = r.Name
		sinks = append(sinks, s)
	}
	return sinks
}

// sinkNamed finds an output by its alias, its name with its number, or the name
// of its plugin.
func (e *Engine) sinkNamed(name string) *sink {
	i := slices.IndexFunc(e.sinks, func(s *sink) bool { return s.id == name || s.name == name || s.plugin == name })
	if i < 0 {
		return nil
	}
	return e.sinks[i]
}

// route adds a route to a source.
func (b *builder) route(s *source, inst *config.Instance, r *config.Route, sinks []*sink) {
	has := func(signal string) bool {
		return slices.Contains(r.Signals, signal) || slices.Contains(r.Signals, "any")
	}
	at := func(signal event.Signal) *routes {
		if s.routes[signal] == nil {
			s.routes[signal] = &routes{}
		}
		return s.routes[signal]
	}
	part := &part{name: r.Name, rest: r.Default}
	if r.Condition != nil {
		var err error
		if part.condition, err = newCondition(r.Condition); err != nil {
			b.problem(option.Error, r.Pos, inst.Title(), "the route %q: %v", r.Name, err)
			return
		}
	}
	whole := r.Condition == nil && !r.Default && !r.PerRecord
	if has("metrics") {
		rs := at(event.Metrics)
		if r.Condition == nil {
			rs.whole = append(rs.whole, sinks...)
		} else {
			b.problem(option.Warning, r.Pos, inst.Title(), "conditions hold for no metrics; the route %q gets none", r.Name)
		}
	}
	switch {
	case has("logs") && whole:
		at(event.Logs).whole = append(at(event.Logs).whole, sinks...)
	case has("logs"):
		part.plan = b.engine.route(r.Name)
		part.plan.tasks = b.engine.tasksFor(s, r.Name)
		part.plan.sinks, part.plan.part = sinks, part
		if s.unroutable {
			part.plan.sinks = nil
		}
		at(event.Logs).parts = append(at(event.Logs).parts, part)
	}
}

// spread copies the events to the parts that take them and passes the batch on.
func (s *source) spread(ctx context.Context, b *event.Batch, rs *routes) {
	copies := make([]*event.Batch, len(rs.parts))
	add := func(i int, e *event.Event) {
		if copies[i] == nil {
			copies[i] = event.NewBatch(rs.parts[i].name)
			copies[i].Source = b.Source
			copies[i].Ack = b.Ack
			b.Ack.Hold()
		}
		copies[i].AddCopy(e)
	}
	lost := 0
	for n := range b.Events {
		e := &b.Events[n]
		taken := false
		for i, p := range rs.parts {
			if !p.rest && p.takes(e) {
				add(i, e)
				taken = true
			}
		}
		for i, p := range rs.parts {
			if p.rest && !taken && p.takes(e) {
				add(i, e)
				taken = true
			}
		}
		if !taken {
			lost++
		}
	}
	if p := s.plan(b.Tag, b.Signal); len(p.sinks) > 0 || len(p.tasks) > 0 {
		s.pass(ctx, b, p)
	} else {
		if lost > 0 {
			s.log.Info("no route takes some of the records; they are dropped", "tag", b.Tag)
			s.unrouted.Add(uint64(lost))
		}
		b.Free()
	}
	for i, c := range copies {
		if c != nil {
			s.pass(ctx, c, rs.parts[i].plan)
		}
	}
}

func (p *part) takes(e *event.Event) bool { return p.condition == nil || p.condition.holds(e) }

// backlogSinks returns the outputs of a stored chunk: those of its route, or of
// its tag.
func (e *Engine) backlogSinks(input, tag string, signal event.Signal) *plan {
	for _, in := range e.inputs {
		rs := in.routes[signal]
		if in.id != input || rs == nil {
			continue
		}
		for _, p := range rs.parts {
			if p.name == tag {
				return p.plan
			}
		}
		return &plan{sinks: rs.whole}
	}
	return e.route(tag)
}
