package plugintest

import (
	"slices"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
)

// TryFilter makes a filter from alternating keys and values; the error is that
// of the options or of New.
func TryFilter(d *plugin.Def, env *plugin.Env, keysAndValues ...string) (plugin.Filter, error) {
	cfg, problems := Decode(d, keysAndValues...)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return cfg.(plugin.FilterConfig).New(env)
}

// NewFilter makes and starts a filter from alternating keys and values and
// closes it when the test ends.
func NewFilter(t testing.TB, d *plugin.Def, env *plugin.Env, keysAndValues ...string) plugin.Filter {
	t.Helper()
	f, err := TryFilter(d, env, keysAndValues...)
	if err != nil {
		t.Fatalf("make filter %s with %q: %v", d.Name, keysAndValues, err)
	}
	start(t, f)
	return f
}

// Filtered passes events of the tag through f as one batch and returns what is
// left of them.
func Filtered(t testing.TB, f plugin.Filter, tag string, events ...Event) []Event {
	t.Helper()
	return filtered(t, f, tag, false, events)
}

// Filter passes records given as JSON through a filter made from alternating
// keys and values, as one batch with the tag "test", and returns what is left.
// It does so twice, with records that are packed and with records that another
// filter has opened, and fails the test if that makes a difference.
func Filter(t testing.TB, d *plugin.Def, records []string, keysAndValues ...string) []string {
	t.Helper()
	events := make([]Event, len(records))
	for i, r := range records {
		events[i] = Event{Time: At + int64(i)*1e9, Record: r}
	}
	var results [2][]string
	for i, open := range [...]bool{false, true} {
		results[i] = []string{}
		for _, e := range filtered(t, NewFilter(t, d, Env(t), keysAndValues...), "test", open, events) {
			results[i] = append(results[i], e.Record)
		}
	}
	if !slices.Equal(results[0], results[1]) {
		t.Errorf("%s with %q makes %q of packed records %q, but %q of opened ones",
			d.Name, keysAndValues, results[0], records, results[1])
	}
	return results[0]
}

func filtered(t testing.TB, f plugin.Filter, tag string, open bool, events []Event) (left []Event) {
	t.Helper()
	b := event.NewBatch(tag)
	defer b.Free()
	for _, e := range events {
		ev := b.Add(e.Time)
		ev.SetRecord(b.Bytes(Value(t, e.Record)))
		if e.Meta != "" {
			ev.Meta = Value(t, e.Meta)
		}
		if open {
			ev.Fields()
		}
	}
	if err := f.Filter(t.Context(), b); err != nil {
		t.Errorf("Filter: %v", err)
	}
	for i := range b.Events {
		e := &b.Events[i]
		meta := "{}"
		if len(e.Meta) > 0 {
			meta = JSON(e.Meta)
		}
		left = append(left, Event{Tag: b.Tag, Time: e.Time, Meta: meta, Record: JSON(e.Record())})
	}
	return left
}

// AllocsPerEvent returns how many times f allocates memory for an event with
// the record, in batches of 1000, where the batches' own memory is counted too.
// With the race detector, which makes pools lose what they hold, it is 0.
func AllocsPerEvent(t testing.TB, f plugin.Filter, record string) float64 {
	t.Helper()
	const n = 1000
	packed := Value(t, record)
	run := func() {
		b := event.NewBatch("test")
		for i := range n {
			b.Add(int64(i)).SetRecord(packed)
		}
		if err := f.Filter(t.Context(), b); err != nil {
			t.Errorf("Filter: %v", err)
		}
		b.Free()
	}
	for range 5 {
		run() // Fill the pools.
	}
	if RaceDetector {
		return 0
	}
	return testing.AllocsPerRun(20, run) / n
}

// BenchmarkFilter measures f with batches of 100 packed records; divide by 100.
func BenchmarkFilter(b *testing.B, f plugin.Filter, record string) {
	packed := Value(b, record)
	b.ReportAllocs()
	for b.Loop() {
		batch := event.NewBatch("test")
		for i := range 100 {
			batch.Add(int64(i)).SetRecord(packed)
		}
		if err := f.Filter(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		batch.Free()
	}
}
