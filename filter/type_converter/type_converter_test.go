package type_converter

import (
	"math"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) { plugintest.Definition(t, Def(), "str_key", "a b int") }

// A conversion that works stands beside those that are tested, since batches in
// which none does stay as they are.
func TestConversions(t *testing.T) {
	f := func(option, to, value, want string) {
		t.Helper()
		got := plugintest.Filter(t, Def(), []string{`{"v":` + value + `,"ok":"1"}`}, option, "v n "+to, "str_key", "ok k float")[0]
		got = strings.TrimSuffix(strings.Replace(got, `,"k":1.0`, "", 1), "}")
		got = strings.TrimPrefix(got, `{"v":`+value+`,"ok":"1"`)
		if want != "" {
			want = `,"n":` + want
		}
		if got != want {
			t.Errorf("%s v n %s adds %s for %s, expected %s", option, to, got, value, want)
		}
	}
	f("str_key", "int", `"12 items"`, `12`)
	f("str_key", "int", `" -7"`, `-7`)
	f("str_key", "int", `"0"`, `"0"`)
	f("str_key", "int", `"x"`, `"x"`)
	f("str_key", "int", `5`, `5`)
	f("str_key", "int", `"99999999999999999999"`, `9223372036854775807`)
	f("str_key", "int", `"-99999999999999999999"`, `-9223372036854775808`)
	f("str_key", "uint", `"18446744073709551615"`, `18446744073709551615`)
	f("str_key", "UINT", `"-1"`, `18446744073709551615`)
	f("str_key", "hex", `"0xfF"`, `255`)
	f("str_key", "hex", `"1g"`, `1`)
	f("str_key", "h", `"0xg"`, `"0xg"`)
	f("str_key", "float", `"1.5e3x"`, `1500.0`)
	f("str_key", "float", `"1e"`, `1.0`)
	f("str_key", "float", `".5"`, `0.5`)
	f("str_key", "float", `"0x1.8p1"`, `3.0`)
	f("str_key", "float", `"0x10"`, `16.0`)
	f("str_key", "float", `"none"`, `0.0`)
	f("str_key", "bool", `"TRUEish"`, `true`)
	f("str_key", "bool", `"false"`, `false`)
	f("str_key", "bool", `"yes"`, `"yes"`)
	f("str_key", "string", `"a"`, `"a"`)
	f("int_key", "string", `-5`, `"-5"`)
	f("int_key", "str", `18446744073709551615`, `"-1"`)
	f("int_key", "float", `5`, `5.0`)
	f("int_key", "uint", `-1`, `18446744073709551615`)
	f("int_key", "int", `5`, `5`)
	f("int_key", "string", `"5"`, `"5"`)
	f("uint_key", "string", `18446744073709551615`, `"18446744073709551615"`)
	f("uint_key", "int", `18446744073709551615`, `-1`)
	f("uint_key", "float", `3`, `3.0`)
	f("float_key", "string", `2.0`, `"2.0"`)
	f("float_key", "string", `0.1`, `"0.1"`)
	f("float_key", "string", `1e+20`, `"1e+20"`)
	f("float_key", "string", `1.25e-07`, `"1.25e-07"`)
	f("float_key", "int", `-2.9`, `-2`)
	f("float_key", "uint", `2.9`, `2`)
	f("float_key", "string", `3`, `3`)
	f("str_key", "int", `null`, `null`)
}

func TestFloatsOutOfRange(t *testing.T) {
	f := func(v float64, to kind, want event.Value) {
		t.Helper()
		got, ok := kindFloat.appendAs(nil, event.AppendFloat(nil, v), to)
		if !ok || string(got) != string(want) {
			t.Errorf("%v becomes %s (%v), expected %s", v, event.AppendText(nil, got), ok, event.AppendText(nil, want))
		}
	}
	f(1e19, kindUint, event.AppendUint(nil, 1e19))
	f(1e22, kindUint, event.AppendUint(nil, 0))
	f(1e30, kindInt, event.AppendInt(nil, math.MinInt64))
	f(-1, kindUint, event.AppendUint(nil, math.MaxUint64))
	f(math.NaN(), kindString, event.AppendString(nil, "nan"))
	f(math.Inf(-1), kindString, event.AppendString(nil, "-inf"))
}

func TestRules(t *testing.T) {
	f := func(record, want string, keysAndValues ...string) {
		t.Helper()
		if got := plugintest.Filter(t, Def(), []string{record}, keysAndValues...)[0]; got != want {
			t.Errorf("%q makes %s of %s, expected %s", keysAndValues, got, record, want)
		}
	}
	f(`{"a":{"b":"5"}}`, `{"a":{"b":"5"},"n":5}`, "str_key", "$a['b'] n int")
	f(`{"a":["5"]}`, `{"a":["5"]}`, "str_key", "$a[0] n int")
	f(`{"a":"x"}`, `{"a":"x"}`, "str_key", "a n int")
	// Rules for text come first, and none sees what another made.
	f(`{"i":1,"s":"2"}`, `{"s":2,"i":"1"}`, "int_key", "i i string", "str_key", "s s int")
	f(`{"a":"1"}`, `{"a":"1","b":1}`, "str_key", "a b int", "str_key", "b c int", "int_key", "b c string")
	f(`{"a":"1"}`, `{"a":"1","b":1}`, "str_key", "a b int", "str_key", "a c int more", "str_key", "a d nothing")
}

func TestWithoutARuleItIsRefused(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("options %q: error %v, expected %q in it", keysAndValues, err, want)
		}
	}
	f("no rule")
	f("no rule", "str_key", "a b c d")
	f("at least 3", "str_key", "a b")
}

func TestNothingIsAllocated(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "str_key", "a b float", "int_key", "i s string", "str_key", "t t2 bool")
	if n := plugintest.AllocsPerEvent(t, f, `{"a":"1.5","i":7,"t":"true"}`); n > 0.02 {
		t.Errorf("%v allocations per event, expected none", n)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"12", " -0x1.8p-3z", "infinity", "1e", "9999999999999999999999", ".", "0x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		for to := range kind(len(kindNames)) {
			out, ok := kindString.appendAs(nil, event.AppendString(nil, s), to)
			if !ok {
				continue
			}
			if _, rest, err := event.Next(out); err != nil || len(rest) > 0 {
				t.Errorf("%q as %s is no value: %x", s, to, out)
			}
		}
	})
}
