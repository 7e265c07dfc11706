package sampling

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "rate", "10") }

// passed returns the numbers n of the records that pass f.
func passed(t *testing.T, f plugin.Filter, records ...string) string {
	t.Helper()
	var events []plugintest.Event
	for _, r := range records {
		events = append(events, plugintest.Event{Record: r})
	}
	var got []string
	for _, e := range plugintest.Filtered(t, f, "t", events...) {
		got = append(got, fmt.Sprint(slices.Index(records, e.Record)))
	}
	return strings.Join(got, " ")
}

// numbered makes records {"id": from} to {"id": to-1}.
func numbered(from, to int) (records []string) {
	for i := from; i < to; i++ {
		records = append(records, fmt.Sprintf(`{"id":%d}`, i))
	}
	return records
}

func TestTheShare(t *testing.T) {
	const n = 20000
	records := numbered(0, n)
	f := func(want, tolerance float64, kv ...string) {
		t.Helper()
		p := plugintest.NewFilter(t, Def(), plugintest.Env(t), kv...)
		got := float64(len(strings.Fields(passed(t, p, records[:2000]...))))
		for i := 2000; i < n; i += 2000 {
			got += float64(len(strings.Fields(passed(t, p, records[i:i+2000]...))))
		}
		if got /= n; got < want-tolerance || got > want+tolerance {
			t.Errorf("with %q the share is %v, want %v", kv, got, want)
		}
	}
	f(1, 0, "rate", "1")
	f(1, 0, "percent", "100")
	f(0, 0, "percent", "0")
	// Ten times the standard deviation.
	f(0.1, 0.022, "rate", "10")
	f(0.025, 0.012, "percent", "2.5")
	f(0.1, 0.022, "rate", "10", "key", "id")
	f(0.5, 0.036, "percent", "50", "key", "$id")
	f(1, 0, "rate", "1", "key", "id")
	f(0.1, 0.022, "rate", "10", "key", "nothing")
}

func TestEventsOfOneKeyStayTogether(t *testing.T) {
	f := func(kv ...string) string {
		return passed(t, plugintest.NewFilter(t, Def(), plugintest.Env(t), kv...), numbered(0, 100)...)
	}
	ten := f("rate", "10", "key", "id")
	// The numbers must be these on every machine and in every version.
	if want := "6 7 29 36 49 63 64 69 80 83 91"; ten != want {
		t.Errorf("one in ten keeps %s, want %s", ten, want)
	}
	if again := f("percent", "10", "key", "$id"); again != ten {
		t.Errorf("another filter with that share keeps %s, want %s", again, ten)
	}
	half := strings.Fields(f("percent", "50", "key", "id"))
	for _, id := range strings.Fields(ten) {
		if !slices.Contains(half, id) {
			t.Errorf("half of the events lack %s, which a tenth of them has", id)
		}
	}
	p := plugintest.NewFilter(t, Def(), plugintest.Env(t), "rate", "10", "key", "id")
	for _, id := range []string{`6`, `"6"`} {
		if passed(t, p, `{"id":`+id+`}`, `{"x":1,"id":`+id+`}`) != "0 1" {
			t.Errorf("not all events with id %s are kept", id)
		}
	}
	if passed(t, p, `{"id":5}`, `{"id":"5"}`, `{"x":1,"id":5}`) != "" {
		t.Error("some events with id 5 are kept")
	}
}

func TestWhatMattersIsKept(t *testing.T) {
	f := func(want string, records []string, kv ...string) {
		t.Helper()
		p := plugintest.NewFilter(t, Def(), plugintest.Env(t), append([]string{"percent", "0"}, kv...)...)
		if got := passed(t, p, records...); got != want {
			t.Errorf("with %q the records %q are kept, want %q", kv, got, want)
		}
	}
	levels := []string{`{"l":"info"}`, `{"l":"ERROR"}`, `{"l":"warn"}`, `{"l":"Fatal"}`, `{"l":"E"}`, `{"l":50}`, `{"l":40}`, `{"l":60}`, `{"l":3}`,
		`{"l":"unknown"}`, `{"l":["error"]}`, `{"l":null}`, `{}`, `{"l":"errorerrorerror"}`, `{"l":""}`, `{"l":"emerg"}`}
	f("", levels)
	f("1 3 4 5 7 15", levels, "level_key", "$l")
	f("1 2 3 4 5 6 7 15", levels, "level_key", "l", "keep_level", "Warn")
	f("15", levels, "level_key", "l", "keep_level", "emergency")
	f("0 1", []string{`{"k":{"l":"err"}}`, `{"k":"err"}`, `{"l":"err"}`}, "level_key", "$k['l']")
	statuses := []string{`{"s":200}`, `{"s":500}`, `{"s":"503 x"}`, `{"s":"404"}`, `{"s":499.9}`, `{"s":599.5}`, `{"s":"x"}`, `{"s":true}`, `{}`, `{"s":-5}`}
	f("1 2 5", statuses, "status_key", "s")
	f("1 2 3 4 5", statuses, "status_key", "$s", "keep_status", "400")
	f("0 1 2 3 4 5 9", statuses, "status_key", "$s", "keep_status", "-5")
	f("0 1", []string{`{"s":500}`, `{"l":"error"}`, `{"s":200,"l":"info"}`}, "status_key", "s", "level_key", "l")
	f("1", []string{`{"id":1}`, `{}`}, "key", "id", "without_key", "keep")
}

func TestWithoutTheKey(t *testing.T) {
	for without, want := range map[string]string{"keep": "0 1 2", "drop": "2", "sample": "0 1 2"} {
		p := plugintest.NewFilter(t, Def(), plugintest.Env(t), "rate", "1", "key", "id", "without_key", without)
		if got := passed(t, p, `{}`, `{"id":null}`, `{"id":""}`); got != want {
			t.Errorf("without_key %s keeps %q, want %q", without, got, want)
		}
	}
}

func TestRateField(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		p := plugintest.NewFilter(t, Def(), plugintest.Env(t), append([]string{"rate_key", "r", "key", "id", "level_key", "l", "without_key", "keep"}, kv...)...)
		var got []string
		for _, e := range plugintest.Filtered(t, p, "t", plugintest.Event{Record: `{"id":6}`}, plugintest.Event{Record: `{"r":7,"id":6,"r":8}`},
			plugintest.Event{Record: `{"l":"error"}`}, plugintest.Event{Record: `{}`}) {
			got = append(got, e.Record)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("with %q: %s, want %s", kv, s, want)
		}
	}
	f(`{"id":6,"r":10} {"id":6,"r":10} {"l":"error","r":1} {"r":1}`, "rate", "10")
	f(`{"id":6,"r":8} {"id":6,"r":8} {"l":"error","r":1} {"r":1}`, "percent", "12.5")
	f(`{"id":6,"r":1.25} {"id":6,"r":1.25} {"l":"error","r":1} {"r":1}`, "percent", "80")
	f(`{"l":"error","r":1} {"r":1}`, "percent", "0")
}

func TestDecisionsAreCounted(t *testing.T) {
	env := plugintest.Env(t)
	p := plugintest.NewFilter(t, Def(), env, "rate", "10", "key", "id", "level_key", "l", "status_key", "s", "without_key", "drop")
	passed(t, p, `{"id":6}`, `{"id":5}`, `{"id":5,"l":"error"}`, `{"id":5,"s":500}`, `{}`, `{}`)
	got := plugintest.Counters(env)
	for decision, want := range map[string]uint64{"kept_chosen": 1, "dropped_not_chosen": 1, "kept_level": 1, "kept_status": 1, "dropped_without_key": 2} {
		if n := got["kagari_sampling_events_total{decision="+decision+"}"]; n != want {
			t.Errorf("%s is counted %d times, want %d; all are %v", decision, n, want, got)
		}
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		_, err := plugintest.TryFilter(Def(), plugintest.Env(t), kv...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, want one with %q", kv, err, want)
		}
	}
	f("needs a rate or a percent")
	f("not both", "rate", "2", "percent", "50")
	f("needs a rate or a percent", "rate", "0")
	f("1 or more", "rate", "-1")
	f("0 to 100", "percent", "101")
	f("0 to 100", "percent", "-1")
	f("key", "rate", "2", "key", "$")
	f("level_key", "rate", "2", "level_key", "$a[")
	f("keep_level", "rate", "2", "keep_level", "bad")
	env, log := plugintest.LoggedEnv(t)
	plugintest.NewFilter(t, Def(), env, "rate", "2", "key", "a.b $c.d")
	plugintest.NewFilter(t, Def(), env, "rate", "2", "key", "$c.d")
	if !strings.Contains(log.String(), "ignored") {
		t.Errorf("a part of a key that is ignored is not warned about: %s", log)
	}
}

const sample = `{"time":"2026-11-20T10:38:00.123Z","level":"info","message":"request handled by worker","http_status":200,"trace":"4bf92f3577b34da6a3ce929d0e0e4736"}`

var common = []string{"percent", "50", "key", "$trace", "level_key", "$level", "status_key", "$http_status", "rate_key", "sample_rate"}

func TestNothingIsAllocated(t *testing.T) {
	for _, kv := range [][]string{common, {"rate", "2"}, {"rate", "2", "key", "http_status"}} {
		p := plugintest.NewFilter(t, Def(), plugintest.Env(t), kv...)
		if n := plugintest.AllocsPerEvent(t, p, sample); n > 0.01 {
			t.Errorf("%q: %v allocations per event, expected none", kv, n)
		}
	}
}

func BenchmarkSampling(b *testing.B) {
	plugintest.BenchmarkFilter(b, plugintest.NewFilter(b, Def(), plugintest.Env(b), common...), sample)
}
