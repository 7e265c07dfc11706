package nest

import (
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def()) }

func TestRecords(t *testing.T) {
	f := func(record, want string, keysAndValues ...string) {
		t.Helper()
		if got := plugintest.Filter(t, Def(), []string{record}, keysAndValues...)[0]; got != want {
			t.Errorf("%q makes %s of %s, expected %s", keysAndValues, got, record, want)
		}
	}
	const record = `{"k.a":1,"x":2,"k.b":{"y":3},"k":4}`
	f(record, `{"x":2,"k":4,"n":{"k.a":1,"k.b":{"y":3}}}`, "Operation", "nest", "Wildcard", "k.*", "Nest_under", "n")
	f(record, `{"x":2,"k":4,"n":{"k.a":1,"k.b":{"y":3}}}`, "Wildcard", "k.*", "Nest_under", "n")
	f(record, `{"x":2,"k":4,"n":{"a":1,"b":{"y":3}}}`, "Wildcard", "k.*", "Nest_under", "n", "Remove_prefix", "k.")
	f(record, `{"k.a":1,"k.b":{"y":3},"n":{"p_x":2,"p_k":4}}`, "Wildcard", "x", "Wildcard", "k", "Nest_under", "n", "Add_prefix", "p_")
	f(record, `{"x":{"k.a":1,"x":2,"k.b":{"y":3},"k":4}}`, "Wildcard", "*", "Nest_under", "x")
	f(record, record, "Wildcard", "nope", "Nest_under", "n")
	f(record, record, "Nest_under", "n")
	f(record, record, "Wildcard", "*")
	f(`{}`, `{}`, "Wildcard", "*", "Nest_under", "n")
	f(`{"a":1,"n":2}`, `{"n":{"a":1}}`, "Wildcard", "a", "Nest_under", "n")

	const nested = `{"m":{"a":1,"pb":{"c":2}},"x":3}`
	f(nested, `{"x":3,"a":1,"pb":{"c":2}}`, "Operation", "lift", "Nested_under", "m")
	f(nested, `{"x":3,"p_a":1,"p_pb":{"c":2}}`, "Operation", "lift", "Nested_under", "m", "Add_prefix", "p_")
	f(nested, `{"x":3,"a":1,"b":{"c":2}}`, "Operation", "lift", "Nested_under", "m", "Remove_prefix", "p")
	f(nested, nested, "Operation", "lift", "Nested_under", "x")
	f(nested, nested, "Operation", "lift", "Nested_under", "y")
	f(nested, nested, "Operation", "lift")
	f(`{"m":{},"x":3}`, `{"x":3}`, "Operation", "lift", "Nested_under", "m")
	f(`{"":{"a":1}}`, `{"a":1}`, "Operation", "lift")
	f(`{"m":{"a":1},"m":5,"m":{"b":2}}`, `{"m":5,"a":1,"b":2}`, "Operation", "lift", "Nested_under", "m")
	// The key given last counts, whichever option it is of.
	f(nested, `{"x":3,"a":1,"pb":{"c":2}}`, "Operation", "lift", "Nested_under", "x", "Nest_under", "m")
	f(`{"a":1}`, `{"n":{"a":1}}`, "Operation", "nesting", "Wildcard", "a", "Nested_under", "n")
}

func TestKeysThatAreNoTextKeepTheirForm(t *testing.T) {
	b := event.NewBatch("t")
	defer b.Free()
	rec := event.AppendString(event.AppendMapHeader(nil, 1), "m")
	rec = event.AppendMapHeader(rec, 2)
	rec = event.AppendNil(event.AppendInt(rec, 7))
	rec = event.AppendNil(event.AppendBinary(rec, []byte("b")))
	b.Add(1).SetRecord(rec)
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "operation", "lift", "nested_under", "m", "add_prefix", "p")
	if err := f.Filter(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := string(event.AppendText(nil, b.Events[0].Record())); got != `{7=>nil, "pb"=>nil}` {
		t.Errorf("the record is %s", got)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("options %q: error %v, expected %q in it", keysAndValues, err, want)
		}
	}
	f("neither nest nor lift", "operation", "Nest")
	f("together", "add_prefix", "a", "remove_prefix", "b")
	f("empty", "wildcard", "")
}

const sample = `{"time":"2026-11-20T10:38:00.123Z","message":"request handled by worker","http_status":200,"http_path":"/a/b","k":{"app":"web","x":1}}`

func TestNothingIsAllocated(t *testing.T) {
	f := func(keysAndValues ...string) {
		t.Helper()
		filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), keysAndValues...)
		if n := plugintest.AllocsPerEvent(t, filter, sample); n > 0.02 {
			t.Errorf("%v allocations per event with %q, expected none", n, keysAndValues)
		}
	}
	f("wildcard", "http_*", "nest_under", "http", "remove_prefix", "http_")
	f("operation", "lift", "nested_under", "k", "add_prefix", "k_")
}

func BenchmarkNest(b *testing.B) {
	f := plugintest.NewFilter(b, Def(), plugintest.Env(b), "wildcard", "http_*", "nest_under", "http")
	plugintest.BenchmarkFilter(b, f, sample)
}

func BenchmarkLift(b *testing.B) {
	f := plugintest.NewFilter(b, Def(), plugintest.Env(b), "operation", "lift", "nested_under", "k")
	plugintest.BenchmarkFilter(b, f, sample)
}
