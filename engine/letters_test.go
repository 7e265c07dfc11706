package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kagarilog/kagari/deadletter"
	"github.com/kagarilog/kagari/engine"
	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/internal/logging"
	"github.com/kagarilog/kagari/plugin"
)

// keeping is a bench that keeps dead letters.
func keeping(t *testing.T) (b *bench, dir string) {
	b = newBench(t)
	st := &b.cfg.Service.Storage
	st.Path, st.KeepRejected = t.TempDir(), true
	return b, filepath.Join(st.Path, "rejected")
}

// lettersIn reads all letters as "n output reason attempts error".
func lettersIn(t *testing.T, dir string) (all []string) {
	t.Helper()
	files, err := deadletter.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for r := deadletter.NewReader(f); r.Next(); {
			l, err := r.Letter()
			if err != nil {
				t.Fatal(err)
			}
			c := event.NewChunk(event.ChunkID{}, l.Tag, l.Signal, 1, l.Entry)
			all = append(all, fmt.Sprint(numbers(c), l.Tag, " ", l.Input, " ", l.Output, " ", l.Reason, " ", l.Attempts, " ", l.FirstError, "/", l.Error))
		}
	}
	return all
}

func metricOf(e *engine.Engine, name, label string) float64 {
	for _, m := range e.Metrics() {
		if m.Name == name && (label == "" || slices.ContainsFunc(m.Labels, func(l plugin.Label) bool { return l.Value == label })) {
			return m.Value
		}
	}
	return -1
}

func TestDeadLetters(t *testing.T) {
	f := func(name string, send func(attempt int) error, want ...string) {
		t.Run(name, func(t *testing.T) {
			b, dir := keeping(t)
			var acked atomic.Pointer[atomic.Bool]
			b.input(false, once(3, &acked, func() {}))
			attempt := 0
			b.output(func(context.Context, *event.Chunk) error {
				attempt++
				return send(attempt)
			}, "match", "*", "retry_limit", "1")
			e := b.engine()
			sum, err := e.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := lettersIn(t, dir); !slices.Equal(got, want) {
				t.Errorf("letters:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if sum.Letters != uint64(len(want)) || sum.Dropped != 0 || sum.Delivered != uint64(3-len(want)) {
				t.Errorf("summary %+v", sum)
			}
			if !acked.Load().Load() {
				t.Error("the records are safe, but their source does not know it")
			}
			if n := metricOf(e, "fluentbit_output_dropped_records_total", ""); n != float64(len(want)) {
				t.Errorf("fluentbit_output_dropped_records_total is %v; Fluent Bit counts what it keeps, too", n)
			}
			if n := metricOf(e, plugin.DropMetric, "out1.0"); n > 0 {
				t.Errorf("%v events are counted as lost", n)
			}
		})
	}
	f("refused", func(int) error { return plugin.Permanent(errors.New("400")) },
		"[0]t in0.0 out1.0 refused 1 400/400", "[1]t in0.0 out1.0 refused 1 400/400", "[2]t in0.0 out1.0 refused 1 400/400")
	f("exhausted", func(n int) error {
		if n == 1 {
			return errors.New("503")
		}
		return errors.New("504")
	}, "[0]t in0.0 out1.0 retries_exhausted 2 503/504", "[1]t in0.0 out1.0 retries_exhausted 2 503/504", "[2]t in0.0 out1.0 retries_exhausted 2 503/504")
	// The poisoned event does not stall the others.
	f("one of them", func(n int) error {
		if n == 1 {
			return &plugin.PartialError{Err: errors.New("bad field"), Rejected: []int{1}, Retry: []int{2}}
		}
		return nil
	}, "[1]t in0.0 out1.0 rejected 1 bad field/bad field")
}

// A record that the destination refuses, or on which an output fails, does not
// cost the others of its chunk, wherever it stands.
func TestPoisonedRecords(t *testing.T) {
	const n = 200
	f := func(name string, most int, poison ...int) {
		t.Run(name, func(t *testing.T) {
			b, dir := keeping(t)
			var acked atomic.Pointer[atomic.Bool]
			b.input(false, once(n, &acked, func() {}))
			var got collector
			sends, away := 0, false
			b.output(func(ctx context.Context, c *event.Chunk) error {
				sends++
				for _, i := range numbers(c) {
					if slices.Contains(poison, i) {
						if i%2 == 0 {
							panic("poisoned")
						}
						return plugin.Permanent(fmt.Errorf("bad record %d", i))
					}
				}
				if sends == 4 && !away {
					away = true // It fails in the middle of the search.
					return errors.New("away for a moment")
				}
				return got.send(ctx, c)
			}, "match", "*", "retry_limit", "5")
			sum := b.run()
			var letters []int
			for _, l := range lettersIn(t, dir) {
				var i int
				if _, err := fmt.Sscanf(l, "[%d]", &i); err != nil {
					t.Fatal(err)
				}
				letters = append(letters, i)
			}
			slices.Sort(letters)
			if !slices.Equal(letters, poison) {
				t.Errorf("letters %v, want %v", letters, poison)
			}
			all := append(got.numbers(), letters...)
			slices.Sort(all)
			if !slices.Equal(all, upTo(n)) {
				t.Errorf("%d records came or were kept, want each of %d once", len(all), n)
			}
			if sends > most || sum.Letters != uint64(len(poison)) || sum.Delivered != uint64(n-len(poison)) || sum.Dropped != 0 {
				t.Errorf("%d attempts, %+v", sends, sum)
			}
		})
	}
	f("the first", 20, 0)
	f("the last", 20, n-1)
	f("a panic", 20, 100)
	f("several", 80, 3, 77, 78, 151)
	f("one in twenty", 130, 3, 23, 43, 63, 83, 103, 123, 143, 163, 183)
}

// A destination that refuses everything is not asked again and again.
func TestRefusalOfAll(t *testing.T) {
	b, dir := keeping(t)
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		for _, tag := range []string{"a", "b", "c", "d", "e"} {
			if _, err := emit(ctx, out, tag, 0, 100); err != nil {
				return err
			}
		}
		return plugin.ErrStop
	})
	sends := 0
	b.output(func(context.Context, *event.Chunk) error { sends++; return plugin.Permanent(errors.New("403")) }, "match", "*")
	if sum := b.run(); sum.Letters != 500 || len(lettersIn(t, dir)) != 500 || sends > 5+6 {
		t.Errorf("%d attempts with 5 chunks, %+v", sends, sum)
	}
}

func TestDeadLettersAreOffByDefault(t *testing.T) {
	b, dir := keeping(t)
	b.cfg.Service.Storage.KeepRejected = false
	var acked atomic.Pointer[atomic.Bool]
	b.input(false, once(3, &acked, func() {}))
	b.output(func(context.Context, *event.Chunk) error { return plugin.Permanent(errors.New("400")) }, "match", "*")
	if sum := b.run(); sum.Dropped != 3 || sum.Letters != 0 {
		t.Errorf("summary %+v", sum)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("there is a directory of dead letters")
	}
}

func TestLettersThatCannotBeWrittenAreCountedAsDropped(t *testing.T) {
	b, dir := keeping(t)
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // in the place of the directory
		t.Fatal(err)
	}
	var acked atomic.Pointer[atomic.Bool]
	b.input(false, once(3, &acked, func() {}))
	b.output(func(context.Context, *event.Chunk) error { return plugin.Permanent(errors.New("400")) }, "match", "*")
	e := b.engine()
	sum, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if sum.Dropped != 3 || sum.Letters != 0 || metricOf(e, plugin.DropMetric, "out1.0") != 3 {
		t.Errorf("summary %+v, %v counted", sum, metricOf(e, plugin.DropMetric, "out1.0"))
	}
}

func TestUndeliveredAtTheEnd(t *testing.T) {
	f := func(name string, asked bool, store string) {
		t.Run(name, func(t *testing.T) {
			b, dir := keeping(t)
			b.cfg.Service.Storage.KeepUndelivered = asked
			b.cfg.Service.Grace = 0
			var acked atomic.Pointer[atomic.Bool]
			failed := make(chan struct{}, 100)
			b.input(false, once(2, &acked, func() { <-failed }), "storage.type", store)
			b.output(func(context.Context, *event.Chunk) error {
				failed <- struct{}{}
				return errors.New("away")
			}, "match", "*", "retry_limit", "no_limits")
			sum := b.run()
			letters := 0
			if asked && store == "memory" {
				letters = 2
			}
			if got := len(lettersIn(t, dir)); got != letters || sum.Letters != uint64(letters) {
				t.Errorf("%d letters, %+v", got, sum)
			}
			if letters > 0 && (sum.Lost != 0 || !acked.Load().Load()) {
				t.Errorf("%+v; acknowledged: %v", sum, acked.Load().Load())
			}
			if !asked && sum.Lost != 2 {
				t.Errorf("%+v", sum)
			}
		})
	}
	f("asked for", true, "memory")
	f("not asked for", false, "memory")
	f("on disk anyway", true, "filesystem")
}

func TestMetricsBecomeLetters(t *testing.T) {
	b, dir := keeping(t)
	b.input(false, func(ctx context.Context, out plugin.Emitter) error {
		m := event.NewBatch("m")
		m.Signal, m.Payload = event.Metrics, []byte("payload")
		if err := out.Emit(ctx, m); err != nil {
			return err
		}
		return plugin.ErrStop
	})
	b.output(func(context.Context, *event.Chunk) error { return plugin.Permanent(errors.New("no")) }, "match", "*")
	b.defs[len(b.defs)-1].Metrics = true
	if sum := b.run(); sum.Letters != 1 {
		t.Errorf("%+v", sum)
	}
	files, _ := deadletter.Files(dir)
	text, err := os.ReadFile(files[0])
	if err != nil || !strings.Contains(string(text), `"signal":"metrics","payload":"cGF5bG9hZA=="`) {
		t.Errorf("%s, %v", text, err)
	}
}

// replay builds the outputs alone.
func (b *bench) replay() *engine.Replay {
	b.t.Helper()
	r, ps := engine.NewReplay(b.cfg, plugin.NewRegistry(b.defs...), engine.Options{Handler: logging.NewHandler(io.Discard, slog.LevelError)})
	if ps.HasErrors() {
		b.t.Fatal(ps.Err())
	}
	return r
}

func threeEvents() *event.Chunk {
	batch := event.NewBatch("t")
	defer batch.Free()
	for n := range 3 {
		batch.Add(int64(n)).Append(batch.String("n"), batch.Int(int64(n)))
	}
	bu := event.NewBuilder("t", event.Logs, time.Now())
	bu.Seal(batch, 0, 1<<30)
	return bu.Chunk()
}

func TestReplay(t *testing.T) {
	b := newBench(t)
	b.input(false, func(context.Context, plugin.Emitter) error { t.Error("an input runs"); return nil })
	b.cfg.Service.Storage.Path = filepath.Join(t.TempDir(), "untouched")
	var got collector
	attempts := 0
	b.output(func(ctx context.Context, c *event.Chunk) error {
		switch attempts++; attempts {
		case 1:
			return errors.New("busy")
		case 2:
			return &plugin.PartialError{Err: errors.New("bad"), Rejected: []int{1}, Retry: []int{0}}
		}
		return got.send(ctx, c)
	}, "match", "nothing", "alias", "wanted", "retry_limit", "3")
	b.output(func(context.Context, *event.Chunk) error { t.Error("another output gets something"); return nil }, "match", "*")
	r := b.replay()
	if id, processes, ok := r.Output("wanted"); id != "wanted" || processes || !ok {
		t.Error(id, processes, ok)
	}
	var failed []engine.Failure
	settled := 0
	err := r.Run(t.Context(), func(ctx context.Context) error {
		if err := r.Send(ctx, "unknown", nil, false, nil); err == nil {
			t.Error("sending to an output that does not exist")
		}
		return r.Send(ctx, "wanted", threeEvents(), false, func(f []engine.Failure) { settled++; failed = f })
	})
	if err != nil {
		t.Fatal(err)
	}
	if settled != 1 || len(failed) != 1 || failed[0].Reason != "rejected" || failed[0].Err.Error() != "bad" {
		t.Errorf("settled %d times, failed: %+v", settled, failed)
	}
	if !slices.Equal(got.numbers(), []int{0}) {
		t.Errorf("delivered %v, want the one to send again", got.numbers())
	}
	if _, err := os.Stat(b.cfg.Service.Storage.Path); err == nil {
		t.Error("the storage of the configuration is touched")
	}
}

func TestReplayThatIsInterrupted(t *testing.T) {
	b := newBench(t)
	b.cfg.Service.Grace = 0
	tried := make(chan struct{}, 100)
	b.output(func(context.Context, *event.Chunk) error {
		tried <- struct{}{}
		return errors.New("away")
	}, "match", "*", "retry_limit", "no_limits")
	r := b.replay()
	ctx, cancel := context.WithCancel(t.Context())
	err := r.Run(ctx, func(ctx context.Context) error {
		err := r.Send(ctx, "out0.0", threeEvents(), false, func([]engine.Failure) { t.Error("settled") })
		<-tried
		cancel()
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
