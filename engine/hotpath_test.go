package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// perBatch is the number of records in the batches of these measurements.
const perBatch = 1000

// fill makes a batch of packed records of 300 bytes.
func fill(record event.Value) *event.Batch {
	b := event.NewBatch("app.web")
	for i := range perBatch {
		b.Add(int64(i)).SetRecord(record)
	}
	return b
}

func sampleRecord(t testing.TB) event.Value {
	t.Helper()
	v, _, err := event.AppendJSON(nil, []byte(`{"time":"2026-11-20T10:38:00.123Z","level":"info","message":"request handled by worker","user":{"id":42,"name":"alice"},"path":"/api/v1/items/7","status":200,"latency_ms":1.5,"host":"web-1.example.com","trace":"0123456789abcdef0123456789abcdef","text":"some more text to make it as long as usual"}`))
	if err != nil {
		t.Fatal(err)
	}
	return event.Value(v)
}

// running starts an engine with a null output and returns its emitter.
func running(t testing.TB, routes ...*config.Route) plugin.Emitter {
	t.Helper()
	emitter := make(chan plugin.Emitter, 1)
	b := newBench(t)
	b.cfg.Service.Flush = 100 * time.Millisecond
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		emitter <- out
		<-ctx.Done()
		return nil
	})
	b.cfg.Inputs[0].Routes = routes
	for _, alias := range []string{"a", "b"} {
		b.output(func(context.Context, *event.Chunk) error { return nil }, "alias", alias, "match", "*")
	}
	e := b.engine()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return <-emitter
}

func TestNoAllocationPerRecord(t *testing.T) {
	f := func(routes ...*config.Route) {
		t.Helper()
		record := sampleRecord(t)
		out := running(t, routes...)
		emit := func() {
			if err := out.Emit(t.Context(), fill(record)); err != nil {
				t.Error(err)
			}
		}
		for range 50 {
			emit() // Fill the pools.
		}
		// What there is belongs to chunks, batches and the flush ticker.
		if n := testing.AllocsPerRun(200, emit); n > perBatch/50 {
			t.Errorf("%v allocations for a batch of %d records, want next to none", n, perBatch)
		}
	}
	f()
	if !plugintest.RaceDetector {
		f(splitRoutes()...)
	}
}

// splitRoutes looks at every record and takes it once.
func splitRoutes() []*config.Route {
	return []*config.Route{
		to("errors", &config.Condition{Op: "and", Rules: []config.Rule{{Field: "$level", Op: "eq", Text: "error"}}}, false, "a"),
		to("rest", nil, true, "b"),
	}
}

// BenchmarkEmit is the way of a record from the input's batch through routing
// and the chunk to the output; divide by 1000.
func BenchmarkEmit(b *testing.B) {
	record := sampleRecord(b)
	out := running(b)
	b.SetBytes(perBatch * int64(len(record)))
	b.ReportAllocs()
	for b.Loop() {
		if err := out.Emit(b.Context(), fill(record)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEmitSplit is BenchmarkEmit through routes with a condition.
func BenchmarkEmitSplit(b *testing.B) {
	record := sampleRecord(b)
	out := running(b, splitRoutes()...)
	b.SetBytes(perBatch * int64(len(record)))
	b.ReportAllocs()
	for b.Loop() {
		if err := out.Emit(b.Context(), fill(record)); err != nil {
			b.Fatal(err)
		}
	}
}
