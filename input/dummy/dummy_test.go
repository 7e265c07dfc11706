package dummy

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestContract(t *testing.T) {
	plugintest.Input(t, plugintest.InputSuite{
		Def: Def(),
		Open: func(*testing.T) plugintest.Source {
			return plugintest.Source{Props: []string{"rate", "100"}}
		},
	})
}

// events returns what is emitted within so much time.
func events(t *testing.T, d time.Duration, keysAndValues ...string) (all []plugintest.Event) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var em plugintest.Emitter
		r := plugintest.Run(t, plugintest.NewInput(t, Def(), plugintest.Env(t), keysAndValues...), &em)
		time.Sleep(d)
		synctest.Wait()
		if err := r.Stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		all = em.Events()
	})
	return all
}

func TestHowOften(t *testing.T) {
	f := func(want int, d time.Duration, keysAndValues ...string) {
		t.Helper()
		if got := len(events(t, d, keysAndValues...)); got != want {
			t.Errorf("with %q %d records were made in %v, expected %d", keysAndValues, got, d, want)
		}
	}
	const s = time.Second
	f(0, s/2)
	f(3, 3*s+s/2)
	f(35, 3*s+s/2, "rate", "10")
	f(3, 3*s+s/2, "rate", "0")
	f(3, 3*s+s/2, "rate", "-5")
	f(1, 3*s+s/2, "interval_sec", "2", "rate", "10")
	f(4, 2*s+s/4, "interval_nsec", "500000000")
	// An interval that makes no sense leaves the rate.
	f(35, 3*s+s/2, "interval_sec", "-1", "interval_nsec", "5", "rate", "10")
	f(2, 5*s+s/2, "samples", "2")
	f(6, 5*s+s/2, "samples", "2", "copies", "3")
	f(0, 5*s+s/2, "copies", "0")
	f(1, s/2, "flush_on_startup", "on")
	f(2, 5*s+s/2, "flush_on_startup", "on", "samples", "2")
	f(200000, 2*s+shortest/2, "rate", "100000")
}

func TestItEndsAfterTheLastSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := plugintest.NewInput(t, Def(), plugintest.Env(t), "samples", "2")
		if err := plugintest.Run(t, in, &plugintest.Emitter{}).Wait(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestRecords(t *testing.T) {
	f := func(dummy string, want ...string) {
		t.Helper()
		var got []string
		for _, e := range events(t, 1500*time.Millisecond, "dummy", dummy) {
			got = append(got, e.Record)
		}
		if !slices.Equal(got, want) {
			t.Errorf("dummy %q makes %q, expected %q", dummy, got, want)
		}
	}
	f(`{"a":1,"a":[null,"é"]}`, `{"a":[null,"é"]}`)
	f(`{"a":1}{"b":2}`, `{"a":1}`, `{"b":2}`)
	f(`{"a":1} x`, `{"a":1}`)
	f(`not json`, `{"message":"dummy"}`)
	f(``, `{"message":"dummy"}`)
	f(`{"a":1,}`, `{"message":"dummy"}`)
	f(`{"a":`, `{"message":"dummy"}`)
	f(`[{"a":1}]`)
	f(`5`)
}

func TestMetadata(t *testing.T) {
	f := func(metadata, want string) {
		t.Helper()
		all := events(t, 1500*time.Millisecond, "metadata", metadata)
		if len(all) != 1 || all[0].Meta != want {
			t.Errorf("metadata %q makes %q, expected metadata %s", metadata, all, want)
		}
	}
	f(`{"m":{"k":"v"},"n":2}`, `{"m":{"k":"v"},"n":2}`)
	f(`{}`, `{}`)
	f(`nonsense`, `{}`)
}

func TestTimes(t *testing.T) {
	f := func(wants []int64, keysAndValues ...string) {
		t.Helper()
		var got []int64
		for _, e := range events(t, 2500*time.Millisecond, keysAndValues...) {
			got = append(got, e.Time)
		}
		if !slices.Equal(got, wants) {
			t.Errorf("with %q the times are %d, expected %d", keysAndValues, got, wants)
		}
	}
	// The clock of synctest.
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	f([]int64{start + 1e9, start + 2e9})
	f([]int64{start, start}, "fixed_timestamp", "on")
	f([]int64{1700000000e9, 1700000000e9}, "fixed_timestamp", "on", "start_time_sec", "1700000000")
	f([]int64{1700000000e9 + 5, 1700000000e9 + 5}, "fixed_timestamp", "on", "start_time_sec", "1700000000", "start_time_nsec", "5")
	f([]int64{7, 7}, "fixed_timestamp", "on", "start_time_nsec", "7")
	f([]int64{1700000001e9, 1700000002e9}, "start_time_sec", "1700000000", "start_time_nsec", "zero")
}

func TestNoAllocationForEachRecord(t *testing.T) {
	in := plugintest.NewInput(t, Def(), plugintest.Env(t), "copies", "1000").(*Input)
	allocs := testing.AllocsPerRun(50, func() {
		if err := in.emit(t.Context(), discard{}, 1); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 20 {
		t.Errorf("a thousand records cost %.0f allocations", allocs)
	}
}

type discard struct{ plugin.Emitter }

func (discard) Emit(_ context.Context, b *event.Batch) error { b.Free(); return nil }
