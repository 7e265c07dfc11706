package record_modifier

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "record", "a b") }

func TestRecords(t *testing.T) {
	records := []string{`{"a":1,"B":2,"http_x":3,"HTTP_y":4}`, `{"b":5}`, `{"c":6}`}
	f := func(want []string, keysAndValues ...string) {
		t.Helper()
		if got := plugintest.Filter(t, Def(), records, keysAndValues...); !slices.Equal(got, want) {
			t.Errorf("%q makes\n%q, expected\n%q", keysAndValues, got, want)
		}
	}
	f(records)
	f([]string{`{"a":1,"B":2,"http_x":3,"HTTP_y":4,"k":"v w","l":"1"}`, `{"b":5,"k":"v w","l":"1"}`, `{"c":6,"k":"v w","l":"1"}`},
		"Record", `k "v w"`, "Record", "l 1")
	f(records, "Record", "k v w")
	f([]string{`{"B":2,"http_x":3,"HTTP_y":4,"a":"z"}`, `{"b":5,"a":"z"}`, `{"c":6,"a":"z"}`}, "Record", "a z")
	f([]string{`{"B":2,"http_x":3,"HTTP_y":4}`, `{"b":5}`, `{"c":6}`}, "Remove_key", "a")
	f([]string{`{"a":1,"http_x":3,"HTTP_y":4}`, `{"c":6}`}, "Remove_key", "b")
	f([]string{`{"a":1,"B":2}`, `{"b":5}`, `{"c":6}`}, "Remove_key", "Http_*")
	f([]string{`{"a":1,"http_x":3,"HTTP_y":4,"k":"v"}`, `{"k":"v"}`, `{"c":6,"k":"v"}`}, "Remove_key", "b", "Record", "k v")
	f([]string{`{"a":1,"B":2}`, `{"b":5}`}, "Allowlist_key", "a", "Whitelist_key", "b")
	f([]string{`{"http_x":3,"HTTP_y":4}`}, "Allowlist_key", "http*")
	f(records, "Allowlist_key", "*")
	f(records, "Remove_key", "$b")
}

func TestBatchesThatWouldBeEmptyStay(t *testing.T) {
	f := func(want []string, records []string, keysAndValues ...string) {
		t.Helper()
		if got := plugintest.Filter(t, Def(), records, keysAndValues...); !slices.Equal(got, want) {
			t.Errorf("%q makes %q of %q, expected %q", keysAndValues, got, records, want)
		}
	}
	f([]string{`{"a":1}`, `{}`}, []string{`{"a":1}`, `{}`}, "Remove_key", "*")
	f([]string{`{"a":1}`, `{}`}, []string{`{"a":1}`, `{}`}, "Remove_key", "b")
	f([]string{`{"a":1}`}, []string{`{"a":1}`, `{}`, `{"b":2}`}, "Remove_key", "b")
	f([]string{`{"k":"v"}`, `{"k":"v"}`}, []string{`{"a":1}`, `{}`}, "Remove_key", "*", "Record", "k v")

	env, log := plugintest.LoggedEnv(t)
	plugintest.Filtered(t, plugintest.NewFilter(t, Def(), env, "Remove_key", "*"), "t", plugintest.Event{Record: `{"a":1}`})
	if !strings.Contains(log.String(), "stay as they are") {
		t.Errorf("the log has no warning: %s", log)
	}
}

func TestUUIDs(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "Uuid_key", "id", "Remove_key", "*")
	re := regexp.MustCompile(`^\{"id":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"\}$`)
	seen := map[string]bool{}
	for _, e := range plugintest.Filtered(t, f, "t", slices.Repeat([]plugintest.Event{{Record: `{"a":1}`}}, 600)...) {
		if !re.MatchString(e.Record) || seen[e.Record] {
			t.Fatalf("%s is no new UUID", e.Record)
		}
		seen[e.Record] = true
	}
	if len(seen) != 600 {
		t.Errorf("%d records are left of 600", len(seen))
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
	f("at least 2", "Record", "a")
	f("together", "Remove_key", "a", "Whitelist_key", "b")
	f("empty", "Remove_key", "")
}

const sample = `{"time":"2026-11-20T10:38:00.123Z","level":"info","message":"request handled by worker","http_status":200,"trace":"x","k":{"app":"web"}}`

func TestNothingIsAllocated(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "Record", "region eu", "Remove_key", "trace", "Uuid_key", "id")
	if n := plugintest.AllocsPerEvent(t, f, sample); n > 0.02 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

func BenchmarkRecordModifier(b *testing.B) {
	f := plugintest.NewFilter(b, Def(), plugintest.Env(b), "Record", "region eu-west-1", "Remove_key", "trace")
	plugintest.BenchmarkFilter(b, f, sample)
}
