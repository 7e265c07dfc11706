package expect

import (
	"strings"
	"testing"

	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "key_exists", "a") }

func TestRules(t *testing.T) {
	const record = `{"a":"x","n":null,"m":{"k":"v"},"l":[1],"i":5}`
	f := func(want bool, keysAndValues ...string) {
		t.Helper()
		props := append([]string{"action", "result_key"}, keysAndValues...)
		result := `{"matched":false,`
		if want {
			result = `{"matched":true,`
		}
		if got := plugintest.Filter(t, Def(), []string{record}, props...)[0]; got != result+record[1:] {
			t.Errorf("with %q the record is %s, expected %s at the start", keysAndValues, got, result)
		}
	}
	f(true)
	f(true, "key_exists", "a")
	f(true, "key_exists", "$m['k']")
	f(true, "key_exists", "n")
	f(true, "key_exists", "m")
	f(false, "key_exists", "l")
	f(true, "key_exists", "$l[0]")
	f(false, "key_exists", "x")
	f(false, "key_exists", "$TAG")
	f(true, "key_not_exists", "x")
	f(true, "key_not_exists", "l")
	f(false, "key_not_exists", "a")
	f(true, "key_val_is_null", "n")
	f(false, "key_val_is_null", "a")
	f(false, "key_val_is_null", "x")
	f(true, "key_val_is_not_null", "a")
	f(false, "key_val_is_not_null", "n")
	f(false, "key_val_is_not_null", "x")
	f(true, "key_val_eq", "$a x")
	f(true, "key_val_eq", " $m['k']   v")
	f(false, "key_val_eq", "a y")
	f(false, "key_val_eq", "a x y")
	f(false, "key_val_eq", "a")
	f(true, "key_val_eq", "i 6")
	f(false, "key_val_eq", "x 6")
	f(false, "key_exists", "a", "key_exists", "x")
}

func TestOtherActionsLeaveRecordsAlone(t *testing.T) {
	f := func(action string, codes ...int) {
		t.Helper()
		env, log := plugintest.LoggedEnv(t)
		var got []int
		env.Stop = func(code int) { got = append(got, code) }
		filter := plugintest.NewFilter(t, Def(), env, "action", action, "key_exists", "b")
		events := plugintest.Filtered(t, filter, "t", plugintest.Event{Record: `{"b":1}`}, plugintest.Event{Record: `{"a":1}`}, plugintest.Event{Record: `{"c":1}`})
		if len(events) != 3 || events[1].Record != `{"a":1}` {
			t.Errorf("with action %s events %q are left", action, events)
		}
		if len(got) != len(codes) || len(got) > 0 && got[0] != codes[0] {
			t.Errorf("with action %s the process was stopped with %v, expected %v", action, got, codes)
		}
		if !strings.Contains(log.String(), "rule #0 'key_exists', key 'b' not found") {
			t.Errorf("the log does not name the rule: %s", log)
		}
	}
	f("warn")
	f("EXIT", 255)
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, props := range [][]string{{"action", "cry"}, {"key_exists", "$a['b"}, {"key_exists", ""}, {"key_val_eq", ""}} {
		if _, err := plugintest.TryFilter(Def(), plugintest.Env(t), props...); err == nil {
			t.Errorf("options %q are taken", props)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "key_exists", "a", "key_val_eq", "b x", "action", "result_key")
	if n := plugintest.AllocsPerEvent(t, f, `{"a":1,"b":"x"}`); n > 0.02 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

func FuzzRule(f *testing.F) {
	f.Add("$a['b'] x")
	f.Add("  ")
	f.Fuzz(func(t *testing.T, line string) {
		for _, kind := range []string{keyExists, valEquals} {
			if r, err := parseRule(kind, line); err == nil && r.kind != kind {
				t.Errorf("%q has kind %q", line, r.kind)
			}
		}
	})
}
