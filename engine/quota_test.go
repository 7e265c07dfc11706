package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/option"
	"github.com/kagarilog/kagari/plugin"
)

// numbered emits batches of 10 kB, each with one record {"n": i}, until there is
// an error.
func numbered(n int, emitted *atomic.Int64) func(context.Context, plugin.Emitter) error {
	return func(ctx context.Context, out plugin.Emitter) error {
		for i := range n {
			b := event.NewBatch("t")
			e := b.Add(int64(i) * 1e9)
			e.Append(b.String("n"), b.Int(int64(i)))
			e.Append(b.String("text"), b.String(strings.Repeat("x", 10_000)))
			if err := out.Emit(ctx, b); err != nil {
				return err
			}
			emitted.Add(1)
		}
		<-ctx.Done()
		return nil
	}
}

// attended runs the engine and calls look meanwhile.
func attended(t *testing.T, e *engine.Engine, look func()) (sum engine.Summary) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		if sum, err = e.Run(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	look()
	e.Stop(0)
	<-done
	return sum
}

// stored is the sum of the sizes of the chunk files.
func stored(t *testing.T, dir string) (n int64) {
	t.Helper()
	for _, f := range chunkFiles(t, dir) {
		if st, err := os.Stat(f); err == nil {
			n += st.Size()
		}
	}
	return n
}

const quarter = 256_000 // the quota of these tests, in bytes

// away is the send of an output that cannot be reached until it is told to be.
func away(back *atomic.Bool, c *collector) func(context.Context, *event.Chunk) error {
	return func(ctx context.Context, ch *event.Chunk) error {
		if !back.Load() {
			return errors.New("away")
		}
		return c.send(ctx, ch)
	}
}

func TestFullQuotaBlocksTheInput(t *testing.T) {
	f := func(name string, push bool) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				dir := t.TempDir()
				b.cfg.Service.Storage.Path = dir
				var emitted atomic.Int64
				var back atomic.Bool
				var got, other collector
				b.input(push, numbered(100, &emitted), "storage.type", "filesystem")
				b.output(away(&back, &got), "match", "*", "retry_limit", "no_limits", "storage.total_limit_size", "256000")
				b.output(other.send, "match", "*")
				e := b.engine()
				sum := attended(t, e, func() {
					time.Sleep(time.Minute)
					if n := emitted.Load(); n < 20 || n > 30 {
						t.Errorf("%d batches of 10 kB were taken, want as many as fit into %d bytes", n, quarter)
					}
					if n := stored(t, dir); n > quarter+20_000 {
						t.Errorf("%d bytes are on disk", n)
					}
					if n := len(other.numbers()); n != int(emitted.Load()) {
						t.Errorf("the other output got %d of %d records", n, emitted.Load())
					}
					if p := metricOf(e, "fluentbit_output_chunk_available_capacity_percent", "out1.0"); p != 0 {
						t.Errorf("%v%% are said to be available", p)
					}
					if p := metricOf(e, "fluentbit_input_ingestion_paused", ""); p != 1 {
						t.Error("the input is not said to be paused")
					}
					back.Store(true)
					time.Sleep(time.Minute)
				})
				if !slices.Equal(sorted(got.numbers()), upTo(100)) || len(other.numbers()) != 100 || sum.Dropped != 0 {
					t.Errorf("%d and %d records arrived, %+v", len(got.numbers()), len(other.numbers()), sum)
				}
				if p := metricOf(e, "fluentbit_output_chunk_available_capacity_percent", "out1.0"); p != 100 {
					t.Errorf("in the end %v%% are said to be available", p)
				}
			})
		})
	}
	f("file", false)
	f("socket", true)
}

func sorted(ns []int) []int { slices.Sort(ns); return ns }

// The end of the process must not wait for room.
func TestFullQuotaDoesNotHoldUpTheEnd(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	b.cfg.Service.Storage.Path, b.cfg.Service.Grace = dir, 300*time.Millisecond
	var emitted atomic.Int64
	b.input(false, numbered(100, &emitted), "storage.type", "filesystem")
	b.output(away(new(atomic.Bool), nil), "match", "*", "retry_limit", "no_limits", "storage.total_limit_size", "256000")
	begin := time.Now()
	sum := attended(t, b.engine(), func() { waitUntil(t, func() bool { return emitted.Load() >= 20 }) })
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if sum.OnDisk != int(emitted.Load()) || sum.Lost != 0 || sum.Dropped != 0 {
		t.Errorf("%+v after %d records", sum, emitted.Load())
	}
}

func waitUntil(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}

// Only what waits for the output that is over its quota is given up, oldest
// first, and it is counted.
func TestFullQuotaGivesUpTheOldest(t *testing.T) {
	f := func(policy string, letters bool) {
		t.Run(policy, func(t *testing.T) {
			b, dir := keeping(t)
			b.cfg.Service.Storage.KeepRejected = letters
			b.cfg.Service.SchedulerBase, b.cfg.Service.SchedulerCap = time.Minute, time.Hour
			b.cfg.Service.Flush = time.Millisecond
			var emitted atomic.Int64
			var got, other collector
			b.input(false, func(ctx context.Context, out plugin.Emitter) error {
				return numbered(100, &emitted)(ctx, slowly{out, &other, &emitted})
			}, "storage.type", "filesystem")
			b.output(away(new(atomic.Bool), &got), "match", "*", "retry_limit", "no_limits",
				"storage.total_limit_size", "256000", "storage.total_limit_policy", policy)
			b.output(other.send, "match", "*")
			b.cfg.Service.Grace = 200 * time.Millisecond
			e := b.engine()
			sum := attended(t, e, func() {
				waitUntil(t, func() bool { return len(other.numbers()) == 100 })
				if n := stored(t, filepath.Dir(dir)); n > quarter+20_000 {
					t.Errorf("%d bytes are on disk", n)
				}
			})
			if !slices.Equal(sorted(other.numbers()), upTo(100)) {
				t.Errorf("the other output got %v", other.numbers())
			}
			gone := 100 - sum.OnDisk
			if gone < 70 || gone > 80 {
				t.Errorf("%d records are gone, want as many as do not fit into %d bytes", gone, quarter)
			}
			lost := metricOf(e, plugin.DropMetric, "out1.0")
			if letters {
				if n := len(lettersIn(t, dir)); n != gone || sum.Letters != uint64(gone) || sum.Dropped != 0 || lost > 0 {
					t.Errorf("%d letters for %d records, %+v, %v are counted as lost", n, gone, sum, lost)
				}
				if l := lettersIn(t, dir)[0]; !strings.HasPrefix(l, "[0]t in0.0 out1.0 storage_limit") {
					t.Errorf("the first letter is %q", l)
				}
			} else if sum.Dropped != uint64(gone) || lost != float64(gone) {
				t.Errorf("%d records are gone, %+v, %v are counted", gone, sum, lost)
			}
			// The newest are still there.
			b.cfg.Service.Grace = 2 * time.Second
			b.defs, b.cfg.Inputs, b.cfg.Outputs = nil, nil, nil
			b.input(false, idle, "storage.type", "filesystem")
			b.output(got.send, "match", "*")
			attended(t, b.engine(), func() { waitUntil(t, func() bool { return len(got.numbers()) == sum.OnDisk }) })
			if want := upTo(100)[gone:]; !slices.Equal(sorted(got.numbers()), want) {
				t.Errorf("after a new start %v arrive, want %v", got.numbers(), want)
			}
		})
	}
	f("drop_oldest", false)
	f("dead_letter", true)
}

// slowly waits after each batch until an output has it, so that each is a chunk.
type slowly struct {
	plugin.Emitter
	c       *collector
	emitted *atomic.Int64
}

func (s slowly) Emit(ctx context.Context, b *event.Batch) error {
	err := s.Emitter.Emit(ctx, b)
	for err == nil && ctx.Err() == nil && len(s.c.numbers()) <= int(s.emitted.Load()) {
		time.Sleep(time.Millisecond)
	}
	return err
}

func TestDeadLetterPolicyNeedsDeadLetters(t *testing.T) {
	b := newBench(t)
	b.cfg.Service.Storage.Path = t.TempDir()
	b.input(false, idle)
	b.output(new(collector).send, "match", "*", "storage.total_limit_size", "1M", "storage.total_limit_policy", "dead_letter")
	if _, ps := newEngine(b); len(ps) != 1 || ps[0].Severity != option.Error || ps[0].Key != "storage.total_limit_policy" {
		t.Errorf("problems: %v", ps)
	}
}

// What is on disk from before counts, is sent first and oldest first, and is
// held in memory only as far as storage.backlog.mem_limit allows.
func TestBacklogCountsAndComesFirst(t *testing.T) {
	dir := t.TempDir()
	storeSome(t, dir, 20, 1000)
	size := stored(t, dir)
	b := newBench(t)
	b.cfg.Service.Storage.Path, b.cfg.Service.Storage.BacklogMemLimit = dir, size/4
	var emitted atomic.Int64
	var back atomic.Bool
	var got collector
	var e *engine.Engine
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		defer emitted.Add(1)
		_, err := emit(ctx, out, "t", 20_000, 20_001)
		return errors.Join(err, idle(ctx, out))
	}, "alias", "in", "storage.type", "filesystem")
	tried := make(chan struct{}, 1000)
	b.output(func(ctx context.Context, c *event.Chunk) error {
		select {
		case tried <- struct{}{}:
		default:
		}
		return away(&back, &got)(ctx, c)
	}, "match", "*", "retry_limit", "no_limits", "storage.total_limit_size", "100000")
	e = b.engine()
	attended(t, e, func() {
		for range 50 { // every chunk was tried and waits for its next attempt
			<-tried
		}
		if up := metricOf(e, "fluentbit_storage_fs_chunks_up", ""); up < 1 || up > 7 {
			t.Errorf("%v of 20 chunks are in memory, want a quarter and what is being sent", up)
		}
		if p := metricOf(e, "fluentbit_output_chunk_available_capacity_percent", ""); p != 0 || size < 100_000 {
			t.Errorf("%v%% are said to be available with %d bytes on disk", p, size)
		}
		if n := metricOf(e, "fluentbit_input_records_total", ""); n != 0 {
			t.Errorf("%v new records were taken", n)
		}
		back.Store(true)
		waitUntil(t, func() bool { return len(got.numbers()) == 20_001 })
	})
}

func TestBacklogIsSentInOrder(t *testing.T) {
	dir := t.TempDir()
	storeSome(t, dir, 20, 10)
	b := newBench(t)
	b.cfg.Service.Storage.Path = dir
	var got collector
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		if _, err := emit(ctx, out, "t", 200, 210); err != nil {
			return err
		}
		return plugin.ErrStop
	}, "storage.type", "filesystem")
	b.output(got.send, "match", "*")
	b.run()
	if !slices.Equal(got.numbers(), upTo(210)) {
		t.Errorf("got %v", got.numbers())
	}
}

// With the option an input waits rather than fill the disk, and others go on.
func TestInputPausesOnTooManyChunks(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	b.cfg.Service.Storage.Path, b.cfg.Service.Storage.MaxChunksUp = dir, 3
	b.cfg.Service.Flush = time.Millisecond
	b.cfg.Service.Grace = 5 * time.Second
	var frugal, other atomic.Int64
	var back atomic.Bool
	var got collector
	spread := func(emitted *atomic.Int64) func(context.Context, plugin.Emitter) error {
		return func(ctx context.Context, out plugin.Emitter) error {
			for i := range 20 {
				if _, err := emit(ctx, out, "t", i, i+1); err != nil {
					return err
				}
				emitted.Add(1)
				time.Sleep(20 * time.Millisecond) // A chunk each, or nearly so.
			}
			return idle(ctx, out)
		}
	}
	b.input(false, spread(&frugal), "storage.type", "filesystem", "storage.pause_on_chunks_overlimit", "on")
	b.input(false, spread(&other), "storage.type", "filesystem")
	b.output(away(&back, &got), "match", "*", "retry_limit", "no_limits")
	attended(t, b.engine(), func() {
		waitUntil(t, func() bool { return other.Load() == 20 })
		if n := frugal.Load(); n < 1 || n > 10 {
			t.Errorf("%d batches were taken of the input that pauses at 3 chunks", n)
		}
		back.Store(true)
		waitUntil(t, func() bool { return len(got.numbers()) == 40 })
	})
}

func TestIrrecoverableChunksAreDeletedIfAsked(t *testing.T) {
	f := func(name string, deleted bool, want int) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			storeSome(t, dir, 2, 3)
			files := chunkFiles(t, dir)
			if err := os.Truncate(files[0], 40); err != nil { // in the header
				t.Fatal(err)
			}
			if st, err := os.Stat(files[1]); err != nil || os.Truncate(files[1], st.Size()-8) != nil { // in the last record
				t.Fatal(err)
			}
			b := newBench(t)
			b.cfg.Service.Storage.Path, b.cfg.Service.Storage.DeleteBadChunks = dir, deleted
			var got collector
			b.input(false, idle)
			b.output(got.send, "match", "*")
			attended(t, b.engine(), func() { waitUntil(t, func() bool { return len(got.numbers()) == 2 }) })
			if !slices.Equal(got.numbers(), []int{3, 4}) {
				t.Errorf("got %v, want what is whole", got.numbers())
			}
			aside, err := filepath.Glob(filepath.Join(dir, "corrupt", "*"))
			if err != nil || len(aside) != want {
				t.Errorf("set aside: %v, %v; want %d files", aside, err, want)
			}
		})
	}
	f("kept", false, 2)
	f("deleted", true, 0)
}
