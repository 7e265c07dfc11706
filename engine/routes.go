package engine

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/kagarilog/kagari/buffer"
	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
)

// routes are the routes of an input for one signal. Where one of them takes only
// some of the events, the events go where the routes say, and Match does not
// count.
type routes struct {
	// whole is the outputs of the routes without a condition. They get every
	// event with its own tag. Without parts those that have a Match must match
	// the tag too, as in Fluent Bit.
	whole []*sink
	// parts is the other routes. An event is copied to each whose condition holds
	// and has the name of the route as its tag there, before the filters.
	parts []*part

	// untaken counts events that no route takes, and their bytes.
	untaken, untakenBytes atomic.Uint64
}

// wholeFor returns the outputs of whole for a tag.
func (rs *routes) wholeFor(tag string) []*sink {
	if len(rs.parts) > 0 {
		return rs.whole
	}
	var sinks []*sink
	for _, s := range rs.whole {
		if s.pattern.empty() || s.pattern.matches(tag) {
			sinks = append(sinks, s)
		}
	}
	return sinks
}

// part is a route that takes some of the events.
type part struct {
	name      string
	condition *condition // nil: every event
	rest      bool       // only events that no other part took; several such parts all get them
	plan      *plan
}

// routes builds the routes of the inputs, which refer to all outputs.
func (b *builder) routes() {
	for _, in := range b.engine.inputs {
		if len(in.inst.Routes) > 0 && b.onlyPair() {
			b.routeProblem(in.inst, in.inst.Routes[0].Pos, "as in Fluent Bit the routes of the only input have no effect with a single output, which gets all records with their own tag")
			continue
		}
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
			if s = b.engine.sinkNamed(o.Fallback); s != nil {
				b.routeProblem(inst, o.Pos, "there is no output %q; the route %q goes to its fallback %q", o.Name, r.Name, o.Fallback)
			}
		}
		if s == nil && b.incomplete {
			continue
		}
		if s == nil {
			b.routeProblem(inst, o.Pos, "the route %q goes to an output %q that does not exist", r.Name, o.Name)
			continue
		}
		if name, taken := first[s]; taken {
			if name != r.Name {
				b.routeProblem(inst, o.Pos, "the output %s is on the route %q already; the route %q does not reach it", s.id, name, r.Name)
			}
			continue
		}
		first[s] = r.Name
		sinks = append(sinks, s)
	}
	return sinks
}

// routeProblem warns about what is taken as in Fluent Bit, but hardly meant.
func (b *builder) routeProblem(inst *config.Instance, pos option.Pos, format string, args ...any) {
	b.problems = append(b.problems, option.Problem{Severity: option.Warning, Pos: pos, Section: inst.Title(), Key: "routes",
		Message: fmt.Sprintf(format, args...)})
}

// namesakes adds the outputs that share alias and plugin with one of the list: a
// route that gives its events a tag of its own goes to all of them.
func (e *Engine) namesakes(sinks []*sink) []*sink {
	var all []*sink
	for _, s := range e.sinks {
		if slices.ContainsFunc(sinks, func(o *sink) bool {
			return s == o || o.alias != "" && s.alias == o.alias && s.plugin == o.plugin
		}) {
			all = append(all, s)
		}
	}
	return all
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
		var bad *option.Problem
		if part.condition, bad = newCondition(r.Condition, s.log); bad != nil {
			// A default then takes all that is left.
			b.routeProblem(inst, bad.Pos, "the condition of the route %q cannot be used, so that it never holds: %s", r.Name, bad.Message)
			if !r.Default {
				return
			}
		}
	}
	whole := r.Condition == nil && !r.Default
	if whole && r.PerRecord {
		b.routeProblem(inst, r.Pos, "per_record_routing needs a condition; the route %q takes all records, and none in Fluent Bit", r.Name)
	}
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
		part.plan.sinks, part.plan.part, part.plan.named = b.engine.namesakes(sinks), part, true
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
	p := s.plan(b.Tag, b.Signal)
	lost, lostBytes := 0, 0
	for n := range b.Events {
		e := &b.Events[n]
		taken := false
		for i, p := range rs.parts {
			if !p.rest && p.takes(e) {
				add(i, e)
				taken = true
			}
		}
		left := !taken
		for i, p := range rs.parts {
			if p.rest && left && p.takes(e) {
				add(i, e)
				taken = true
			}
		}
		if !taken && len(p.sinks) == 0 {
			lost++
			lostBytes += e.Size()
		}
	}
	if lost > 0 {
		s.log.Info("no route takes some of the records; they are dropped", "tag", b.Tag)
		rs.untaken.Add(uint64(lost))
		rs.untakenBytes.Add(uint64(lostBytes))
	}
	// Filters see the events with their own tag too: they may emit some anew.
	s.pass(ctx, b, p)
	for i, c := range copies {
		if c != nil {
			s.pass(ctx, c, rs.parts[i].plan)
		}
	}
}

func (p *part) takes(e *event.Event) bool { return p.condition == nil || p.condition.holds(e) }

// backlogSinks returns the outputs of a stored chunk: those that it names, or
// else those of its route or of its tag.
func (e *Engine) backlogSinks(info buffer.Info) *plan {
	named := &plan{}
	for _, s := range e.sinks {
		if slices.Contains(info.Outputs, s.id) {
			named.sinks = append(named.sinks, s)
		}
	}
	if missing := len(info.Outputs) - len(named.sinks); missing > 0 {
		e.log.Warn("outputs that a stored chunk is for are gone", "outputs", info.Outputs, "missing", missing,
			"tag", info.Tag, "chunk", info.ID.String())
	}
	if len(named.sinks) > 0 {
		return named
	}
	for _, in := range e.inputs {
		rs := in.routes[info.Signal]
		if in.id != info.Input || rs == nil {
			continue
		}
		for _, p := range rs.parts {
			if p.name == info.Tag {
				return p.plan
			}
		}
		return &plan{sinks: rs.wholeFor(info.Tag)}
	}
	return e.route(info.Tag)
}

// ids are the names under which a stored chunk remembers its outputs.
func ids(sinks []*sink) (names []string) {
	for _, s := range sinks {
		names = append(names, s.id)
	}
	return names
}
