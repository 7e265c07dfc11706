package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/kagarilog/kagari/config"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is an input, filter and output whose behaviour a test gives.
type script struct {
	run    func(ctx context.Context, out plugin.Emitter) error
	filter func(b *event.Batch) error
	send   func(ctx context.Context, c *event.Chunk) error
	start  func() error
}

func (s *script) Fields() []option.Field                          { return nil }
func (s *script) Run(ctx context.Context, o plugin.Emitter) error { return s.run(ctx, o) }
func (s *script) Filter(_ context.Context, b *event.Batch) error  { return s.filter(b) }
func (s *script) Send(ctx context.Context, c *event.Chunk) error  { return s.send(ctx, c) }

func (s *script) Start(context.Context) error {
	if s.start == nil {
		return nil
	}
	return s.start()
}

type inputConfig struct{ *script }

func (c inputConfig) New(*plugin.Env) (plugin.Input, error) { return c.script, nil }

type filterConfig struct{ *script }

func (c filterConfig) New(*plugin.Env) (plugin.Filter, error) { return c.script, nil }

type outputConfig struct{ *script }

func (c outputConfig) New(*plugin.Env) (plugin.Output, error) { return c.script, nil }

// bench builds engines around scripted plugins.
type bench struct {
	t    testing.TB
	cfg  *config.Config
	defs []*plugin.Def
}

func newBench(t testing.TB) *bench {
	cfg, _ := config.NewEmpty(config.LoadOptions{})
	cfg.Service.Flush = 10 * time.Millisecond
	cfg.Service.Grace = 2 * time.Second
	cfg.Service.SchedulerBase = 5 * time.Millisecond
	cfg.Service.SchedulerCap = 20 * time.Millisecond
	return &bench{t: t, cfg: cfg}
}

func properties(kv []string) []option.Property {
	var ps []option.Property
	for i := 0; i < len(kv); i += 2 {
		ps = append(ps, option.Prop(kv[i], kv[i+1]))
	}
	return ps
}

func (b *bench) input(push bool, run func(context.Context, plugin.Emitter) error, kv ...string) {
	name := fmt.Sprintf("in%d", len(b.defs))
	b.defs = append(b.defs, &plugin.Def{Kind: plugin.KindInput, Name: name, Push: push, Config: func() plugin.Config { return inputConfig{&script{run: run}} }})
	b.cfg.Inputs = append(b.cfg.Inputs, &config.Instance{Kind: plugin.KindInput, Name: name, Props: properties(kv)})
}

func (b *bench) filter(f func(*event.Batch) error, kv ...string) {
	name := fmt.Sprintf("filter%d", len(b.defs))
	b.defs = append(b.defs, &plugin.Def{Kind: plugin.KindFilter, Name: name, Config: func() plugin.Config { return filterConfig{&script{filter: f}} }})
	b.cfg.Filters = append(b.cfg.Filters, &config.Instance{Kind: plugin.KindFilter, Name: name, Props: properties(kv)})
}

func (b *bench) output(send func(context.Context, *event.Chunk) error, kv ...string) {
	name := fmt.Sprintf("out%d", len(b.defs))
	b.defs = append(b.defs, &plugin.Def{Kind: plugin.KindOutput, Name: name, Config: func() plugin.Config { return outputConfig{&script{send: send}} }})
	b.cfg.Outputs = append(b.cfg.Outputs, &config.Instance{Kind: plugin.KindOutput, Name: name, Props: properties(kv)})
}

func (b *bench) engine() *engine.Engine {
	b.t.Helper()
	e, ps := engine.New(b.cfg, plugin.NewRegistry(b.defs...), engine.Options{Handler: logging.NewHandler(io.Discard, slog.LevelError)})
	if ps.HasErrors() {
		b.t.Fatal(ps.Err())
	}
	return e
}

// run runs the engine until it stops by itself.
func (b *bench) run() engine.Summary {
	b.t.Helper()
	sum, err := b.engine().Run(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return sum
}

// emit sends records {"n": from…to-1} in one batch and returns its ack.
func emit(ctx context.Context, out plugin.Emitter, tag string, from, to int) (acked *atomic.Bool, err error) {
	b := event.NewBatch(tag)
	for n := from; n < to; n++ {
		b.Add(int64(n)*1e9).Append(b.String("n"), b.Int(int64(n)))
	}
	acked = new(atomic.Bool)
	b.Ack = event.NewAck(func() { acked.Store(true) })
	return acked, out.Emit(ctx, b)
}

// numbers are the n of a chunk's records.
func numbers(c *event.Chunk) (ns []int) {
	for cur := c.Cursor(); cur.Next(); {
		v, _ := cur.Record.Get("n")
		n, _ := v.Int()
		ns = append(ns, int(n))
	}
	return ns
}

// collector is an output that remembers.
type collector struct {
	mu   sync.Mutex
	tags []string
	ns   []int
}

func (c *collector) send(_ context.Context, ch *event.Chunk) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tags = append(c.tags, ch.Tag)
	c.ns = append(c.ns, numbers(ch)...)
	return nil
}

// numbers are the n of all records so far.
func (c *collector) numbers() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ns)
}

func upTo(n int) (ns []int) {
	for i := range n {
		ns = append(ns, i)
	}
	return ns
}

func TestRecordsAreRoutedByTagAndAcknowledged(t *testing.T) {
	b := newBench(t)
	var app, all collector
	var acked, unrouted *atomic.Bool
	b.input(false, func(ctx context.Context, out plugin.Emitter) (err error) {
		if acked, err = emit(ctx, out, "app.web", 0, 5); err != nil {
			return err
		}
		if unrouted, err = emit(ctx, out, "other", 5, 6); err != nil {
			return err
		}
		return plugin.ErrStop
	})
	b.output(app.send, "match", "app.*")
	b.output(all.send, "match", "*")
	sum := b.run()
	if !slices.Equal(app.ns, upTo(5)) || !slices.Equal(all.ns, upTo(6)) {
		t.Errorf("app.* got %v, * got %v", app.ns, all.ns)
	}
	if !acked.Load() || !unrouted.Load() {
		t.Error("delivered records are not acknowledged")
	}
	if sum.Delivered != 11 || sum.Lost != 0 {
		t.Errorf("summary is %+v, want 11 delivered, none lost", sum)
	}
}

func TestFiltersRunInOrderOnTheirTags(t *testing.T) {
	b := newBench(t)
	var got collector
	var order []string
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "a", 0, 4); err != nil {
			return err
		}
		return plugin.ErrStop
	})
	note := func(name string) func(*event.Batch) error {
		return func(*event.Batch) error { order = append(order, name); return nil }
	}
	b.filter(note("first"), "match", "a")
	b.filter(note("elsewhere"), "match", "b")
	b.filter(func(b *event.Batch) error {
		order = append(order, "drop")
		b.Events = b.Events[2:]
		return nil
	}, "match_regex", "^a")
	b.filter(func(*event.Batch) error { panic("a bug in a filter") }, "match", "*")
	b.output(got.send, "match", "*")
	b.run()
	if !slices.Equal(order, []string{"first", "drop"}) {
		t.Errorf("filters ran in the order %v", order)
	}
	if !slices.Equal(got.ns, []int{2, 3}) {
		t.Errorf("got %v, want the records that the second filter left", got.ns)
	}
}

func TestRetries(t *testing.T) {
	f := func(limit string, failures, wantAttempts int, wantDelivered bool) {
		t.Helper()
		b := newBench(t)
		var acked *atomic.Bool
		attempts := 0
		b.input(false, func(ctx context.Context, out plugin.Emitter) (err error) {
			acked, err = emit(ctx, out, "t", 0, 3)
			if err != nil {
				return err
			}
			time.Sleep(200 * time.Millisecond)
			return plugin.ErrStop
		})
		b.output(func(context.Context, *event.Chunk) error {
			if attempts++; attempts <= failures {
				return errors.New("the server is tired")
			}
			return nil
		}, "match", "*", "retry_limit", limit)
		sum := b.run()
		if attempts != wantAttempts {
			t.Errorf("retry_limit %s, %d failures: %d attempts, want %d", limit, failures, attempts, wantAttempts)
		}
		if delivered := sum.Delivered == 3; delivered != wantDelivered || sum.Dropped == 3 == wantDelivered {
			t.Errorf("retry_limit %s, %d failures: summary %+v", limit, failures, sum)
		}
		if !acked.Load() {
			t.Errorf("retry_limit %s, %d failures: never acknowledged", limit, failures)
		}
	}
	f("1", 1, 2, true)
	f("1", 9, 2, false)
	f("2", 9, 3, false)
	f("no_retries", 9, 1, false)
	f("no_limits", 4, 5, true)
}

func TestPermanentErrorIsNotRetried(t *testing.T) {
	b := newBench(t)
	attempts := 0
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "t", 0, 3); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
		return plugin.ErrStop
	})
	b.output(func(context.Context, *event.Chunk) error {
		attempts++
		return plugin.Permanent(errors.New("no"))
	}, "match", "*", "retry_limit", "no_limits")
	if sum := b.run(); attempts != 1 || sum.Dropped != 3 {
		t.Errorf("%d attempts, %+v; want 1 attempt and 3 dropped", attempts, sum)
	}
}

func TestPartialSuccessSendsOnlyTheRest(t *testing.T) {
	b := newBench(t)
	var sent [][]int
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "t", 0, 5); err != nil {
			return err
		}
		return plugin.ErrStop
	})
	b.output(func(_ context.Context, c *event.Chunk) error {
		sent = append(sent, numbers(c))
		switch len(sent) {
		case 1:
			return &plugin.PartialError{Err: errors.New("throttled"), Retry: []int{1, 3, 4}, Rejected: []int{2}}
		case 2:
			return plugin.Partial(errors.New("throttled"), []int{2})
		}
		return nil
	}, "match", "*", "retry_limit", "5")
	sum := b.run()
	if got, want := fmt.Sprint(sent), "[[0 1 2 3 4] [1 3 4] [4]]"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	if sum.Delivered != 4 || sum.Dropped != 1 {
		t.Errorf("summary %+v, want 4 delivered and 1 dropped", sum)
	}
}

func TestBudgetBlocksTheInput(t *testing.T) {
	b := newBench(t)
	release := make(chan struct{})
	var emitted atomic.Int64
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		for range 400 {
			batch := event.NewBatch("t")
			batch.Add(1).Append(batch.String("text"), batch.String(strings.Repeat("x", 10_000)))
			if err := out.Emit(ctx, batch); err != nil {
				return err
			}
			emitted.Add(1)
		}
		return plugin.ErrStop
	}, "mem_buf_limit", "1M")
	b.output(func(context.Context, *event.Chunk) error { <-release; return nil }, "match", "*")
	e := b.engine()
	done := make(chan engine.Summary)
	go func() {
		sum, err := e.Run(t.Context())
		if err != nil {
			t.Error(err)
		}
		done <- sum
	}()
	time.Sleep(300 * time.Millisecond)
	if n := emitted.Load(); n < 90 || n > 110 {
		t.Errorf("with a blocked output %d batches of 10 kB were taken, want about 100 for a limit of 1M", n)
	}
	close(release)
	if sum := <-done; sum.Delivered != 400 {
		t.Errorf("summary %+v, want all 400 delivered after the output is free", sum)
	}
}

func TestUndeliveredRecordsAreNotAcknowledged(t *testing.T) {
	b := newBench(t)
	b.cfg.Service.Grace = 300 * time.Millisecond
	var acked *atomic.Bool
	b.input(false, func(ctx context.Context, out plugin.Emitter) (err error) {
		if acked, err = emit(ctx, out, "t", 0, 7); err != nil {
			return err
		}
		return plugin.ErrStop
	})
	b.output(func(ctx context.Context, _ *event.Chunk) error { <-ctx.Done(); return ctx.Err() }, "match", "*")
	if sum := b.run(); sum.Lost != 7 {
		t.Errorf("summary %+v, want 7 lost", sum)
	}
	if acked.Load() {
		t.Error("records that were never delivered are acknowledged")
	}
}

func TestStoredRecordsSurviveTheProcess(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t)
	b.cfg.Service.Storage.Path = dir
	b.cfg.Service.Grace = 300 * time.Millisecond
	var acked *atomic.Bool
	b.input(false, func(ctx context.Context, out plugin.Emitter) (err error) {
		if acked, err = emit(ctx, out, "t", 0, 7); err != nil {
			return err
		}
		return plugin.ErrStop
	}, "storage.type", "filesystem")
	b.output(func(ctx context.Context, _ *event.Chunk) error { <-ctx.Done(); return ctx.Err() }, "match", "*")
	if sum := b.run(); sum.OnDisk != 7 || sum.Lost != 0 {
		t.Errorf("summary %+v, want 7 on disk", sum)
	}
	if !acked.Load() {
		t.Error("records that are safe on disk are not acknowledged")
	}

	b = newBench(t)
	b.cfg.Service.Storage.Path = dir
	var got collector
	b.input(false, func(ctx context.Context, _ plugin.Emitter) error {
		time.Sleep(100 * time.Millisecond)
		return plugin.ErrStop
	})
	b.output(got.send, "match", "*")
	b.run()
	if !slices.Equal(got.ns, upTo(7)) {
		t.Errorf("the next run delivered %v, want all 7", got.ns)
	}
}

func TestSocketsAreReadUntilTheyAreQuiet(t *testing.T) {
	b := newBench(t)
	var got collector
	ctx, cancel := context.WithCancel(t.Context())
	b.input(true, func(ctx context.Context, out plugin.Emitter) error {
		cancel() // The process is told to stop while data still arrives.
		for n := range 10 {
			if _, err := emit(ctx, out, "t", n, n+1); err != nil {
				return err
			}
			time.Sleep(30 * time.Millisecond)
		}
		<-ctx.Done()
		return nil
	})
	b.output(got.send, "match", "*")
	if _, err := b.engine().Run(ctx); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.ns, upTo(10)) {
		t.Errorf("got %v, want all that was sent before the socket fell quiet", got.ns)
	}
}

func TestChunksOfOneTagArriveInOrder(t *testing.T) {
	b := newBench(t)
	var got collector
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		for n := range 200 {
			if _, err := emit(ctx, out, "t", n, n+1); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
		return plugin.ErrStop
	})
	b.output(got.send, "match", "*")
	b.run()
	if !slices.Equal(got.ns, upTo(200)) {
		t.Errorf("records arrived out of order: %v", got.ns)
	}
}

// Many tags share the budget in chunks that are not full. Waiting for the next
// flush would leave the outputs with nothing to do.
func TestOpenChunksDoNotBlockTheInputUntilTheFlush(t *testing.T) {
	b := newBench(t)
	b.cfg.Service.Flush = time.Hour
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		for i := range 1000 {
			batch := event.NewBatch(fmt.Sprint("tag", i%100))
			batch.Add(1).Append(batch.String("text"), batch.String(strings.Repeat("x", 10_000)))
			if err := out.Emit(ctx, batch); err != nil {
				return err
			}
		}
		return plugin.ErrStop
	}, "mem_buf_limit", "1M")
	b.output(new(collector).send, "match", "*")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	sum, err := b.engine().Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Delivered != 1000 {
		t.Errorf("%d of 1000 records were delivered; the input waits for the flush", sum.Delivered)
	}
}

func TestEndlessGraceEndsWithABusySocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Service.Grace = -1
		n := 0
		b.input(true, func(ctx context.Context, out plugin.Emitter) error {
			for ctx.Err() == nil {
				if _, err := emit(ctx, out, "t", n, n+1); err != nil {
					return err
				}
				n++
				time.Sleep(10 * time.Millisecond)
			}
			return nil
		})
		var got collector
		b.output(got.send, "match", "*")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := b.engine().Run(ctx); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 5*time.Minute {
			t.Errorf("ending took %v with a socket that is never quiet", d)
		}
		if len(got.ns) != n {
			t.Errorf("%d of %d records were delivered", len(got.ns), n)
		}
	})
}

func TestPanicsOfPluginsAreErrorsOfTheCall(t *testing.T) {
	b := newBench(t)
	var got collector
	runs := 0
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if runs++; runs == 1 {
			panic("a bug in an input")
		}
		if _, err := emit(ctx, out, "t", 0, 3); err != nil {
			return err
		}
		return fmt.Errorf("wrapped: %w", plugin.ErrStop)
	})
	sends := 0
	b.output(func(ctx context.Context, c *event.Chunk) error {
		if sends++; sends == 1 {
			panic("a bug in an output")
		}
		return got.send(ctx, c)
	}, "match", "*")
	b.run()
	if !slices.Equal(got.ns, upTo(3)) {
		t.Errorf("got %v, want all records after the panics", got.ns)
	}
}

func TestStopBeforeRunEndsAtOnce(t *testing.T) {
	b := newBench(t)
	var got collector
	b.input(false, func(ctx context.Context, _ plugin.Emitter) error { <-ctx.Done(); return nil })
	b.output(got.send, "match", "*")
	e := b.engine()
	e.Stop(3)
	e.Stop(4)
	if sum, err := e.Run(t.Context()); err != nil || sum.ExitCode != 3 {
		t.Errorf("%+v, %v; want the first exit code", sum, err)
	}
}

func TestBatchWithoutEventsIsAcknowledged(t *testing.T) {
	b := newBench(t)
	var acked *atomic.Bool
	b.input(false, func(ctx context.Context, out plugin.Emitter) (err error) {
		acked, err = emit(ctx, out, "t", 0, 0)
		return errors.Join(err, plugin.ErrStop)
	})
	b.output(new(collector).send, "match", "*")
	b.run()
	if !acked.Load() {
		t.Error("an empty batch is never acknowledged")
	}
}

// One batch may fill many chunks, all of which hold its ack.
func TestHugeBatchIsSplitAndAcknowledgedOnce(t *testing.T) {
	b := newBench(t)
	var acked atomic.Int32
	var chunks, records int
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		batch := event.NewBatch("t")
		text := event.Value(event.AppendString(nil, strings.Repeat("x", 1000)))
		for range 30_000 {
			batch.Add(-5).Append(batch.String("text"), text)
		}
		batch.Ack = event.NewAck(func() { acked.Add(1) })
		return errors.Join(out.Emit(ctx, batch), plugin.ErrStop)
	}, "mem_buf_limit", "1M")
	b.output(func(_ context.Context, c *event.Chunk) error {
		if acked.Load() != 0 {
			t.Error("the batch is acknowledged before all of it is delivered")
		}
		chunks++
		records += c.Count
		return nil
	}, "match", "*")
	e := b.engine()
	if _, err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if acked.Load() != 1 || records != 30_000 || chunks < 10 {
		t.Errorf("acknowledged %d times, %d records in %d chunks", acked.Load(), records, chunks)
	}
	for _, m := range e.Metrics() {
		if (m.Name == "kagari_memory_bytes" || m.Name == "fluentbit_input_storage_memory_bytes") && m.Value != 0 {
			t.Errorf("%s is %v after everything is delivered", m.Name, m.Value)
		}
	}
}
