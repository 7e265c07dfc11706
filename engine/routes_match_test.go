package engine_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/plugin"
)

// tagged is an output that remembers what came with which tag.
type tagged struct {
	mu  sync.Mutex
	got map[string][]int
}

func (o *tagged) send(_ context.Context, c *event.Chunk) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.got == nil {
		o.got = map[string][]int{}
	}
	o.got[c.Tag] = append(o.got[c.Tag], numbers(c)...)
	return nil
}

// String is such as "base[0 1] low[0]".
func (o *tagged) String() string {
	var parts []string
	for tag, ns := range o.got {
		parts = append(parts, fmt.Sprint(tag, ns))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// below and from are conditions on n.
func below(n float64) *config.Condition {
	return &config.Condition{Op: "and", Rules: []config.Rule{{Field: "$n", Op: "lt", Number: n, Context: "body"}}}
}

func from(n float64) *config.Condition {
	return &config.Condition{Op: "and", Rules: []config.Rule{{Field: "$n", Op: "gte", Number: n, Context: "body"}}}
}

func outputs(names ...string) (out []config.RouteOutput) {
	for _, n := range names {
		out = append(out, config.RouteOutput{Name: n})
	}
	return out
}

var logs = []string{"logs"}

// routed runs an input that emits n = 0…4 with the tag base through its routes.
// The names of outputs are given as "alias match", a match of "-" being none; what they
// get is returned by alias.
func routed(t *testing.T, b *bench, routes []*config.Route, names ...string) map[string]string {
	t.Helper()
	var acked *atomic.Bool
	b.input(false, func(ctx context.Context, out plugin.Emitter) (err error) {
		if acked, err = emit(ctx, out, "base", 0, 5); err != nil {
			return err
		}
		return plugin.ErrStop
	})
	b.cfg.Inputs[0].Routes = routes
	got := map[string]*tagged{}
	for _, o := range names {
		alias, match, _ := strings.Cut(o, " ")
		kv := []string{"alias", alias}
		if match != "-" {
			kv = append(kv, "match", match)
		}
		got[alias] = &tagged{}
		b.output(got[alias].send, kv...)
	}
	if sum := b.run(); sum.Lost > 0 {
		t.Errorf("summary %+v", sum)
	}
	if !acked.Load() {
		t.Error("the records are not acknowledged")
	}
	texts := map[string]string{}
	for alias, o := range got {
		texts[alias] = o.String()
	}
	return texts
}

// What the outputs get was observed with Fluent Bit 5.1.1.
func TestRoutesAndMatch(t *testing.T) {
	f := func(about string, routes []*config.Route, want map[string]string, names ...string) {
		t.Helper()
		got := routed(t, newBench(t), routes, names...)
		for alias, text := range got {
			if text != want[alias] {
				t.Errorf("%s: output %s got %q, want %q", about, alias, text, want[alias])
			}
		}
	}
	low := &config.Route{Name: "low", Signals: logs, Condition: below(2), Outputs: outputs("a")}
	high := &config.Route{Name: "high", Signals: logs, Condition: from(1), Outputs: outputs("b")}
	top := &config.Route{Name: "top", Signals: logs, Condition: from(4), Outputs: outputs("b")}
	rest := &config.Route{Name: "rest", Signals: logs, Default: true, Outputs: outputs("c")}
	all := &config.Route{Name: "all", Signals: logs, Outputs: outputs("d")}

	f("a record may take several routes, Match is not asked", []*config.Route{low, high},
		map[string]string{"a": "low[0 1]", "b": "high[1 2 3 4]"}, "a -", "b nothing", "m *")
	f("a default takes what is left, a route without a condition all", []*config.Route{rest, low, all, top},
		map[string]string{"a": "low[0 1]", "b": "top[4]", "c": "rest[2 3]", "d": "base[0 1 2 3 4]"}, "a -", "b -", "c base", "d -", "m *")
	f("every default takes what is left, within its rules", []*config.Route{low, rest, {Name: "more", Signals: logs, Default: true, Condition: from(4), Outputs: outputs("d")}},
		map[string]string{"a": "low[0 1]", "c": "rest[2 3 4]", "d": "more[4]"}, "a -", "c -", "d -")
	// In Fluent Bit a gets nothing, as it has no match.
	f("without any condition Match is asked too, where there is one", []*config.Route{all, {Name: "x", Signals: logs, Outputs: outputs("a", "b", "e")}},
		map[string]string{"a": "base[0 1 2 3 4]", "b": "base[0 1 2 3 4]", "d": "base[0 1 2 3 4]"}, "a -", "b *", "c *", "d base", "e other")
	f("an output belongs to its first route", []*config.Route{low, {Name: "again", Signals: logs, Condition: from(3), Outputs: outputs("a", "b")}, rest},
		map[string]string{"a": "low[0 1]", "b": "again[3 4]", "c": "rest[2]"}, "a -", "b -", "c -")
	f("a route to nowhere is none", []*config.Route{low, {Name: "gone", Signals: logs, Condition: from(2), Outputs: outputs("x")}, rest},
		map[string]string{"a": "low[0 1]", "c": "rest[2 3 4]"}, "a -", "c -")
	f("if all lead to nowhere, Match decides", []*config.Route{{Name: "gone", Signals: logs, Condition: from(2), Outputs: outputs("x")}},
		map[string]string{"m": "base[0 1 2 3 4]"}, "a -", "m *")
	f("a fallback stands in", []*config.Route{{Name: "r", Signals: logs, Condition: from(3), Outputs: []config.RouteOutput{{Name: "x", Fallback: "b"}, {Name: "c", Fallback: "a"}}}},
		map[string]string{"b": "r[3 4]", "c": "r[3 4]"}, "a -", "b -", "c -")
	f("one input and one output need no routes", []*config.Route{low},
		map[string]string{"a": "base[0 1 2 3 4]"}, "a -")
	f("names with and without number", []*config.Route{{Name: "r", Signals: logs, Condition: from(4), Outputs: outputs("out1.0", "out2", "out2.2")}},
		map[string]string{"a": "r[4]", "b": "r[4]"}, "a -", "b -", "c -")
	f("any is logs too", []*config.Route{low, {Name: "any", Signals: []string{"any"}, Default: true, Outputs: outputs("b")}},
		map[string]string{"a": "low[0 1]", "b": "any[2 3 4]"}, "a -", "b -")
}

func TestOutputsOfOnePluginWithTheSameAliasShareARoute(t *testing.T) {
	b := newBench(t)
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "base", 0, 5); err != nil {
			return err
		}
		return plugin.ErrStop
	})
	b.cfg.Inputs[0].Routes = []*config.Route{{Name: "low", Signals: logs, Condition: below(2), Outputs: outputs("a")}}
	var got tagged
	b.output(got.send, "alias", "a")
	b.cfg.Outputs = append(b.cfg.Outputs, b.cfg.Outputs[0])
	b.run()
	if got.String() != "low[0 1 0 1]" {
		t.Errorf("the two outputs got %q, want everything twice", &got)
	}
}

func TestFiltersSeeTheCopiesOfARouteOnTheirOwn(t *testing.T) {
	b := newBench(t)
	seen := map[string]int{}
	b.filter(func(b *event.Batch) error {
		seen[b.Tag] += len(b.Events)
		if b.Tag == "low" {
			b.Events = b.Events[:0] // Fluent Bit would lose all other copies too.
		}
		for i := range b.Events {
			b.Events[i].SetFields(nil)
			b.Events[i].Append(b.String("n"), b.Int(int64(100+i)))
		}
		return nil
	}, "match", "*")
	got := routed(t, b, []*config.Route{
		{Name: "low", Signals: logs, Condition: below(2), Outputs: outputs("a")},
		{Name: "few", Signals: logs, Condition: from(3), Outputs: outputs("b")},
		{Name: "all", Signals: logs, Outputs: outputs("c")},
	}, "a -", "b -", "c -")
	if got["a"] != "" || got["b"] != "few[100 101]" || got["c"] != "base[100 101 102 103 104]" {
		t.Errorf("got %v", got)
	}
	if seen["low"] != 2 || seen["few"] != 2 || seen["base"] != 5 {
		t.Errorf("the filter saw %v", seen)
	}
}

// The acknowledgement waits for the slowest of all copies.
func TestAckWaitsForAllRoutes(t *testing.T) {
	b := newBench(t)
	var acked atomic.Pointer[atomic.Bool]
	release := make(chan struct{})
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		a, err := emit(ctx, out, "base", 0, 5)
		if err != nil {
			return err
		}
		acked.Store(a)
		time.Sleep(100 * time.Millisecond)
		if a.Load() {
			t.Error("acknowledged before all copies were delivered")
		}
		close(release)
		return plugin.ErrStop
	})
	b.cfg.Inputs[0].Routes = []*config.Route{
		{Name: "low", Signals: logs, Condition: below(2), Outputs: outputs("a")},
		{Name: "rest", Signals: logs, Default: true, Outputs: outputs("b")},
	}
	b.output(new(collector).send, "alias", "a")
	b.output(func(context.Context, *event.Chunk) error { <-release; return nil }, "alias", "b")
	b.run()
	if !acked.Load().Load() {
		t.Error("never acknowledged")
	}
}

func TestStoredChunksOfARouteComeBackToItsOutputs(t *testing.T) {
	dir := t.TempDir()
	f := func(run func(context.Context, plugin.Emitter) error, send func(*tagged) func(context.Context, *event.Chunk) error) map[string]*tagged {
		b := newBench(t)
		b.cfg.Service.Storage.Path = dir
		b.cfg.Service.Grace = 300 * time.Millisecond
		b.input(false, run, "storage.type", "filesystem")
		b.cfg.Inputs[0].Routes = []*config.Route{
			{Name: "low", Signals: logs, Condition: below(2), Outputs: outputs("a")},
			{Name: "rest", Signals: logs, Default: true, Outputs: outputs("b")},
		}
		got := map[string]*tagged{}
		for _, alias := range []string{"a", "b", "m"} {
			got[alias] = &tagged{}
			b.output(send(got[alias]), "alias", alias, "match", "*")
		}
		b.run()
		return got
	}
	f(func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "base", 0, 5); err != nil {
			return err
		}
		return plugin.ErrStop
	}, func(*tagged) func(context.Context, *event.Chunk) error {
		return func(ctx context.Context, _ *event.Chunk) error { <-ctx.Done(); return ctx.Err() }
	})
	got := f(func(context.Context, plugin.Emitter) error {
		time.Sleep(100 * time.Millisecond)
		return plugin.ErrStop
	}, func(o *tagged) func(context.Context, *event.Chunk) error { return o.send })
	if a, b, m := got["a"].String(), got["b"].String(), got["m"].String(); a != "low[0 1]" || b != "rest[2 3 4]" || m != "" {
		t.Errorf("after the restart a got %q, b %q, m %q", a, b, m)
	}
	if left := chunkFiles(t, dir); len(left) > 0 {
		t.Errorf("still stored: %v", left)
	}
}

func TestRoutedRecordsAreCounted(t *testing.T) {
	b := newBench(t)
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "base", 0, 5); err != nil {
			return err
		}
		return plugin.ErrStop
	}, "alias", "src")
	b.cfg.Inputs[0].Routes = []*config.Route{
		{Name: "low", Signals: logs, Condition: below(2), Outputs: outputs("a")},
		{Name: "top", Signals: logs, Condition: from(4), Outputs: outputs("b")},
	}
	b.output(new(collector).send, "alias", "a")
	b.output(func(context.Context, *event.Chunk) error { return plugin.Permanent(io.ErrClosedPipe) }, "alias", "b")
	e := b.engine()
	if _, err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range e.Metrics() {
		if strings.HasPrefix(m.Name, "fluentbit_routing_logs_") && strings.HasSuffix(m.Name, "records_total") {
			got[strings.TrimPrefix(m.Name, "fluentbit_routing_logs_")+" "+m.Labels[0].Value+" "+m.Labels[1].Value] = m.Value
		}
	}
	if want := map[string]float64{"records_total src a": 2, "drop_records_total src b": 1, "drop_records_total src unmatched": 2}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRoutesThatAreHardlyMeantAreWarnedAbout(t *testing.T) {
	f := func(want string, outputs int, routes ...*config.Route) {
		t.Helper()
		b := newBench(t)
		b.input(false, idle)
		b.cfg.Inputs[0].Routes = routes
		for _, alias := range []string{"a", "b"}[:outputs] {
			b.output(new(collector).send, "alias", alias)
		}
		_, ps := engine.New(b.cfg, plugin.NewRegistry(b.defs...), engine.Options{Handler: logging.NewHandler(io.Discard, slog.LevelError)})
		if ps.HasErrors() {
			t.Fatal(ps.Err())
		}
		for _, p := range ps {
			if strings.Contains(p.Message, want) {
				return
			}
		}
		t.Errorf("no warning %q in %v", want, ps)
	}
	low := &config.Route{Name: "low", Signals: logs, Condition: below(2), Outputs: outputs("a")}
	f(`"x" that does not exist`, 2, &config.Route{Name: "r", Signals: logs, Condition: below(2), Outputs: outputs("x")})
	f(`on the route "low" already`, 2, low, &config.Route{Name: "r", Signals: logs, Condition: below(3), Outputs: outputs("a")})
	f(`its fallback "b"`, 2, &config.Route{Name: "r", Signals: logs, Condition: below(2), Outputs: []config.RouteOutput{{Name: "x", Fallback: "b"}}})
	f(`needs a condition`, 2, low, &config.Route{Name: "r", Signals: logs, PerRecord: true, Outputs: outputs("b")})
	f(`have no effect with a single output`, 1, low)
}

func TestLatenciesAndWaitsAreObserved(t *testing.T) {
	b := newBench(t)
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "t", 0, 5); err != nil {
			return err
		}
		return plugin.ErrStop
	}, "alias", "src")
	failed := false
	b.output(func(context.Context, *event.Chunk) error {
		if !failed {
			failed = true
			return io.ErrClosedPipe
		}
		return nil
	}, "alias", "dst", "match", "*")
	e := b.engine()
	if _, err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, m := range e.Metrics() {
		if m.Buckets != nil {
			key := strings.TrimPrefix(m.Name, "fluentbit_output_")
			for _, l := range m.Labels {
				key += " " + l.Name + "=" + l.Value
			}
			counts[key] = m.Buckets.Count()
		}
	}
	if want := map[string]uint64{"latency_seconds input=src output=dst": 1, "backpressure_wait_seconds output=dst": 1}; fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", counts, want)
	}
}
