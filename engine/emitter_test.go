package engine_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// mover is a filter that moves every event to the tag "moved", unless it sees
// that it did so already.
type mover struct {
	name       string
	filesystem bool

	env *plugin.Env
	out plugin.Emitter

	mu    sync.Mutex
	again int
}

type movedKey struct{}

func (m *mover) Fields() []option.Field { return nil }

func (m *mover) New(env *plugin.Env) (plugin.Filter, error) {
	m.env, m.out = env, env.Emitter(m.name)
	return m, m.out.(plugin.Buffered).Buffer(1<<20, m.filesystem)
}

func (m *mover) Filter(ctx context.Context, b *event.Batch) error {
	if ctx.Value(movedKey{}) == m {
		m.mu.Lock()
		m.again += len(b.Events)
		m.mu.Unlock()
		return nil
	}
	nb := event.NewBatch("moved")
	for i := range b.Events {
		nb.AddCopy(&b.Events[i])
	}
	b.Events = b.Events[:0]
	nb.Ack = b.Ack
	nb.Ack.Hold()
	return m.out.Emit(context.WithValue(ctx, movedKey{}, m), nb)
}

func (b *bench) mover(m *mover, kv ...string) {
	name := fmt.Sprintf("filter%d", len(b.defs))
	b.defs = append(b.defs, &plugin.Def{Kind: plugin.KindFilter, Name: name, Config: func() plugin.Config { return m }})
	b.cfg.Filters = append(b.cfg.Filters, &config.Instance{Kind: plugin.KindFilter, Name: name, Props: properties(kv)})
}

func TestWhatAFilterEmitsComesByWithTheContextItWasEmittedWith(t *testing.T) {
	b := newBench(t)
	var acked func() bool
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		a, err := emit(ctx, out, "t", 0, 5)
		acked = a.Load
		if err != nil {
			return err
		}
		return plugin.ErrStop
	})
	m := &mover{}
	b.mover(m, "match", "*", "alias", "m")
	var seen int
	var sources []string
	b.filter(func(batch *event.Batch) error {
		seen += len(batch.Events)
		sources = append(sources, batch.Source)
		return nil
	}, "match", "moved")
	var got []string
	b.output(func(_ context.Context, c *event.Chunk) error {
		got = append(got, fmt.Sprint(c.Tag, numbers(c)))
		return nil
	}, "match", "*")
	e := b.engine()
	if !m.env.Match("anything") {
		t.Error("Env.Match of a filter with Match * refuses a tag")
	}
	if _, err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"moved[0 1 2 3 4]"}; !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q", got, want)
	}
	if m.again != 5 || seen != 5 {
		t.Errorf("the filter recognised %d of its own events and the next one saw %d, want 5 and 5", m.again, seen)
	}
	if want := []string{"emitter_for_m"}; !slices.Equal(sources, want) {
		t.Errorf("the batches have the sources %q, want %q", sources, want)
	}
	if !acked() {
		t.Error("the source was not told that its events were delivered")
	}
	var listed bool
	for _, metric := range e.Metrics() {
		if metric.Name == "fluentbit_input_records_total" && metric.Labels[0].Value == "emitter_for_m" {
			listed = metric.Value == 5
		}
	}
	if !listed {
		t.Error("the metrics do not list the emitter as the input emitter_for_m with 5 records")
	}
}

func TestWhatAnEmitterIsRefused(t *testing.T) {
	f := func(want string, movers ...*mover) {
		t.Helper()
		b := newBench(t)
		b.input(false, func(context.Context, plugin.Emitter) error { return plugin.ErrStop }, "alias", "source")
		for _, m := range movers {
			b.mover(m, "match", "*")
		}
		b.output(func(context.Context, *event.Chunk) error { return nil }, "match", "*")
		_, ps := engine.New(b.cfg, plugin.NewRegistry(b.defs...), engine.Options{Handler: logging.NewHandler(io.Discard, slog.LevelError)})
		if err := ps.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
	f(`the emitter cannot be named "source", which is an input`, &mover{name: "source"})
	f(`the emitter cannot be named "twice", which is the emitter of another filter`, &mover{name: "twice"}, &mover{name: "twice"})
	f("storage.type filesystem needs storage.path in the service section", &mover{filesystem: true})
}

// What a processor of an output emits must not wait for memory that only the
// worker running the processor can free.
func TestAnOutputsProcessorEmitsWhileMemoryIsUsedUp(t *testing.T) {
	b := newBench(t)
	const events, size = 60, 1 << 20
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		text := event.AppendString(nil, strings.Repeat("x", size))
		for i := range events {
			batch := event.NewBatch(fmt.Sprintf("t%d", i%4))
			batch.Add(int64(i)).SetRecord(append(event.AppendString(event.AppendMapHeader(nil, 1), "text"), text...))
			if err := out.Emit(ctx, batch); err != nil {
				return err
			}
		}
		return plugin.ErrStop
	}, "mem_buf_limit", "2M")
	m := &mover{}
	b.defs = append(b.defs, &plugin.Def{Kind: plugin.KindFilter, Name: "moves", Config: func() plugin.Config { return m }})
	moved := 0
	b.output(func(_ context.Context, c *event.Chunk) error {
		if c.Tag == "moved" {
			moved += c.Count
		}
		return nil
	}, "match", "*")
	out := b.cfg.Outputs[0]
	out.Processors = append(out.Processors, &config.Processor{Signal: "logs", Name: "moves"})
	if _, err := b.engine().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if moved != events {
		t.Errorf("%d events came to the output again with their new tag, want %d", moved, events)
	}
}
