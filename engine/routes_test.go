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

	"github.com/kagarilog/kagari/buffer"
	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// arrivals is what outputs a, b and c got: "output tag n".
type arrivals struct {
	mu  sync.Mutex
	all []string
}

func (a *arrivals) output(b *bench, alias string, kv ...string) {
	b.output(func(_ context.Context, c *event.Chunk) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if c.Signal == event.Metrics {
			a.all = append(a.all, alias+" "+c.Tag+" metrics")
			return nil
		}
		for cur := c.Cursor(); cur.Next(); {
			v, _ := cur.Record.Get("n")
			n, _ := v.Int()
			a.all = append(a.all, fmt.Sprintf("%s %s %d", alias, c.Tag, n))
		}
		return nil
	}, append([]string{"alias", alias}, kv...)...)
}

// sorted returns what arrived in order of outputs, tags and numbers.
func (a *arrivals) sorted() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.all)
	return strings.Join(a.all, ", ")
}

// to makes a route for logs.
func to(name string, c *config.Condition, rest bool, outputs ...string) *config.Route {
	r := &config.Route{Name: name, Signals: []string{"logs"}, Condition: c, Default: rest}
	for _, o := range outputs {
		r.Outputs = append(r.Outputs, config.RouteOutput{Name: o})
	}
	return r
}

func where(op, text string, number float64) *config.Condition {
	return &config.Condition{Op: "and", Rules: []config.Rule{{Field: "$n", Op: op, Text: text, Number: number, Context: "body"}}}
}

// The results are those of Fluent Bit 5.1.1, except that it needs a match of an
// output where all routes are without conditions.
func TestRoutes(t *testing.T) {
	f := func(want string, routes ...*config.Route) {
		t.Helper()
		b := newBench(t)
		var got arrivals
		var acked *atomic.Bool
		b.input(false, func(ctx context.Context, out plugin.Emitter) (err error) {
			if acked, err = emit(ctx, out, "in", 0, 4); err != nil {
				return err
			}
			return plugin.ErrStop
		})
		b.cfg.Inputs[0].Routes = routes
		b.filter(func(b *event.Batch) error {
			for i := range b.Events {
				b.Events[i].Append(b.String("n"), b.Int(100))
			}
			return nil
		}, "match", "hundred")
		got.output(b, "a")
		got.output(b, "b")
		got.output(b, "c", "match", "*")
		b.run()
		if s := got.sorted(); s != want {
			t.Errorf("arrived: %s; want %s", s, want)
		}
		if !acked.Load() {
			t.Error("the events are not acknowledged")
		}
	}
	low := where("lt", "", 2)
	f("c in 0, c in 1, c in 2, c in 3")
	f("a low 0, a low 1", to("low", low, false, "a"))
	f("a low 0, a low 1, b rest 2, b rest 3", to("low", low, false, "a"), to("rest", nil, true, "b"))
	f("a low 0, a low 1, b rest 2, b rest 3", to("rest", nil, true, "b"), to("low", low, false, "a"))
	f("a low 0, a low 1, b rest 3", to("low", low, false, "a"), to("rest", where("eq", "3", 0), true, "b"))
	f("a in 0, a in 1, a in 2, a in 3, b in 0, b in 1, b in 2, b in 3", to("all", nil, false, "a", "b"))
	f("a in 0, a in 1, a in 2, a in 3, b low 0, b low 1", to("all", nil, false, "a"), to("low", low, false, "b"))
	f("c low 0, c low 1", to("low", low, false, "c"))
	// An event may be on several routes, an output only on the first that names it.
	f("a low 0, a low 1, b one 1", to("low", low, false, "a"), to("one", where("eq", "1", 0), false, "a", "b"))
	f("", to("none", where("eq", "x", 0), false, "a"))
	// Without an output that exists there is no route.
	f("c in 0, c in 1, c in 2, c in 3", to("low", low, false, "nowhere"))
	// The name of a route is the tag for filters too.
	f("a hundred 100, a hundred 100, b in 0, b in 1, b in 2, b in 3", to("hundred", low, false, "a"), to("all", nil, false, "b"))
	fallback := to("low", low, false, "nowhere")
	fallback.Outputs[0].Fallback = "b"
	f("b low 0, b low 1", fallback)
	each := to("each", nil, false, "a")
	each.PerRecord = true // Without a condition it means nothing; in Fluent Bit such a route gets no records.
	f("a in 0, a in 1, a in 2, a in 3, b rest 0, b rest 1, b rest 2, b rest 3", each, to("rest", nil, true, "b"))
}

func TestRoutesOfMetrics(t *testing.T) {
	f := func(want string, warned bool, routes ...*config.Route) {
		t.Helper()
		b := newBench(t)
		var got arrivals
		b.input(false, func(ctx context.Context, out plugin.Emitter) error {
			batch := event.NewBatch("in")
			batch.Signal, batch.Payload = event.Metrics, []byte{1}
			if err := out.Emit(ctx, batch); err != nil {
				return err
			}
			return plugin.ErrStop
		})
		b.cfg.Inputs[0].Routes = routes
		got.output(b, "a")
		got.output(b, "c", "match", "*")
		for _, d := range b.defs {
			d.Metrics = true
		}
		e, ps := engine.New(b.cfg, plugin.NewRegistry(b.defs...), engine.Options{Handler: logging.NewHandler(io.Discard, slog.LevelError)})
		if ps.HasErrors() || len(ps) > 0 != warned {
			t.Fatalf("problems %v, want warnings: %v", ps, warned)
		}
		if _, err := e.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := got.sorted(); s != want {
			t.Errorf("arrived: %s; want %s", s, want)
		}
	}
	all := to("all", nil, false, "a")
	f("c in metrics", false, all) // a route of logs only
	all.Signals = []string{"any"}
	f("a in metrics", false, all)
	some := to("some", where("eq", "x", 0), false, "a")
	some.Signals = []string{"metrics"}
	f("", true, some)
}

func TestRouteConditionsSeeWhatOpenTelemetryKnows(t *testing.T) {
	f := func(want, context_, field, text string) {
		t.Helper()
		b := newBench(t)
		var got arrivals
		b.input(false, func(ctx context.Context, out plugin.Emitter) error {
			batch := event.NewBatch("in")
			for n, meta := range []string{`{}`, `{"otlp":{"resource":{"attributes":{"a":"x"}},"scope":{"name":"s","attributes":{"b":"y"}}}}`, `{"otlp":5}`} {
				e := batch.Add(0)
				e.Append(batch.String("n"), batch.Int(int64(n)))
				e.Meta = plugintest.Value(t, meta)
			}
			if err := out.Emit(ctx, batch); err != nil {
				return err
			}
			return plugin.ErrStop
		})
		b.cfg.Inputs[0].Routes = []*config.Route{to("r", &config.Condition{Op: "and",
			Rules: []config.Rule{{Field: field, Op: "eq", Text: text, Context: context_}}}, false, "a")}
		got.output(b, "a")
		got.output(b, "b")
		b.run()
		if s := got.sorted(); s != want {
			t.Errorf("%s %s: arrived %q; want %q", context_, field, s, want)
		}
	}
	f("a r 1", "otel_resource_attributes", "$a", "x")
	f("", "otel_resource_attributes", "$b", "x")
	f("a r 1", "otel_scope_attributes", "$b", "y")
	f("a r 1", "otel_scope_metadata", "$name", "s")
	f("a r 1", "group_attributes", "$scope['name']", "s")
	f("a r 1", "metadata", "$otlp['scope']['name']", "s")
	f("", "group_metadata", "$schema", "otlp")
}

func TestStoredChunksFindTheirRouteAgain(t *testing.T) {
	dir := t.TempDir()
	d := buffer.New(dir, false)
	if err := d.Open(); err != nil {
		t.Fatal(err)
	}
	for i, tag := range []string{"low", "in", "other"} {
		b := event.NewBatch(tag)
		b.Add(1).Append(b.String("n"), b.Int(int64(i)))
		bu := event.NewBuilder(tag, event.Logs, time.Now())
		bu.Seal(b, 0, 1<<30)
		b.Free()
		if err := d.Write("mine", bu.Chunk()); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	b.cfg.Service.Storage.Path = dir
	var got arrivals
	b.input(false, func(ctx context.Context, _ plugin.Emitter) error {
		for got.sorted() != "a low 0, b in 1, b other 2" && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return plugin.ErrStop
	}, "alias", "mine")
	b.cfg.Inputs[0].Routes = []*config.Route{to("low", where("lt", "", 2), false, "a"), to("all", nil, false, "b")}
	got.output(b, "a")
	got.output(b, "b")
	got.output(b, "c", "match", "*")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := b.engine().Run(ctx); err != nil {
		t.Fatal(err)
	}
	if s := got.sorted(); s != "a low 0, b in 1, b other 2" {
		t.Errorf("arrived: %s", s)
	}
}
