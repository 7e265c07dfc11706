package lua

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) {
	plugintest.Definition(t, Def(), "call", "f", "code", "function f() end")
}

// script makes a function of a body that goes on to return the record.
func script(body string) string { return "function f(tag, ts, r)\n" + body + "\nreturn 2, ts, r end" }

// through passes one record through a script and returns what comes out,
// separated by blanks.
func through(t *testing.T, code, record string, options ...string) string {
	t.Helper()
	return strings.Join(plugintest.Filter(t, Def(), []string{record},
		append([]string{"call", "f", "code", code}, options...)...), " ")
}

// What is expected here was seen in Fluent Bit 5.1.1, but for the order of keys,
// which is random there.
func TestRecords(t *testing.T) {
	f := func(body, record, want string, options ...string) {
		t.Helper()
		if got := through(t, script(body), record, options...); got != want {
			t.Errorf("%q makes %s of %s, expected %s", body, got, record, want)
		}
	}
	const record = `{"a":1,"s":"x","m":{"k":"v","n":{"d":2}},"l":[1,{"e":"f"}],"t":true}`
	f(``, record, record)
	f(`r.new = r.a + 1`, record, record[:len(record)-1]+`,"new":2}`)
	f(`r.s = nil`, `{"a":1,"s":"x","t":2}`, `{"a":1,"t":2}`)
	f(`r.s = nil r.s = 3`, `{"a":1,"s":"x","t":2}`, `{"a":1,"s":3,"t":2}`)
	f(`r.m.k = r.m.k .. "!" r.m.n.d = nil r.l[2].e = 5 r.l[3] = "new"`, record,
		`{"a":1,"s":"x","m":{"k":"v!","n":{}},"l":[1,{"e":5},"new"],"t":true}`)
	f(`r = {}`, record, `{}`)
	f(`r = {z=1, y={2, 3}, x={}, w={{}}, v={k=1}}`, record, `{"z":1,"y":[2,3],"x":{},"w":[{}],"v":{"k":1}}`)
	f(`r.b = false r.f = 2.5 r.g = 1e300 r.h = -0.0`, `{}`, `{"b":false,"f":2.5,"g":1e+300,"h":0}`)
	f(`r.same = r r.same = nil`, `{"a":1}`, `{"a":1}`)

	// Numbers.
	f(``, `{"f":4.0,"h":2.5,"n":{"f":1.0},"l":[3.0]}`, `{"f":4,"h":2.5,"n":{"f":1},"l":[3]}`)
	f(`r.x = r.big`, `{"big":9007199254740993,"u":18446744073709551615}`,
		`{"big":9007199254740993,"u":18446744073709551615,"x":9007199254740992}`)
	f(`for k, v in pairs(r) do r[k] = v end`, `{"big":9007199254740993}`, `{"big":9007199254740993}`)

	// Nulls.
	const nulls = `{"n":null,"m":{"n":null,"k":1},"l":[1,null],"one":[null],"two":[null,1,null],"three":[1,null,3]}`
	f(``, nulls, `{"m":{"k":1},"l":[1],"one":[],"two":[],"three":[1,null,3]}`)
	f(``, nulls, nulls, "enable_flb_null", "on")
	f(`r.isnil = r.n == nil`, `{"n":null}`, `{"isnil":true}`)
	f(`r.isnull = r.n == flb_null and type(flb_null) == "userdata" r.new = flb_null`, `{"n":null}`, `{"n":null,"isnull":true,"new":null}`, "enable_flb_null", "on")
	f(`for k, v in pairs(r) do r.seen = k end`, `{"n":null}`, `{"n":null,"seen":"n"}`, "enable_flb_null", "on")
	f(`flb_null = "none"`, `{"n":null}`, `{"n":"none"}`)

	// Arrays and maps.
	f(`r.e = r.l r.l = {}`, `{"l":[]}`, `{"l":{},"e":[]}`)
	f(`r.l[1] = nil`, `{"l":[1]}`, `{"l":[]}`)
	f(`r.l = {} r.m = {}`, `{"l":[]}`, `{"l":[],"m":{}}`, "type_array_key", "l")
	f(``, `{"m":{"a":1}}`, `{"m":[]}`, "type_array_key", "m")
	f(`r.t = {nil, 2} r.u = {[3] = 1} r.v = {a = 1, [1] = 2} r.w = {[1.5] = 1} r.x = {[0] = 1} r.y = {[2.5] = 1}`, `{}`,
		`{"t":[null,2],"u":[null,null,1],"v":[2],"w":[null],"x":{"0":1},"y":{"2.5":1}}`)
	f(`r.t = setmetatable({1, 2}, {type = 2}) r.u = setmetatable({a = 1}, {type = 1}) r.v = setmetatable({1}, {type = "1"})`, `{}`,
		`{"t":{"1":1,"2":2},"u":[],"v":[1]}`)

	// The options for types.
	f(`r.c = 10 / 4 r.m.b = 2.5 r.d = 2.5`, `{"a":5.5,"b":7.5,"s":"9","m":{}}`, `{"a":5,"b":7.5,"s":"9","m":{"b":2.5},"c":2,"d":2.5}`, "type_int_key", "a  c")
	f(`r.m.x = 2.5`, `{"m":{"y":1.5}}`, `{"m":{"y":1,"x":2}}`, "type_int_key", "x y")
	f(``, `{"ab":1.5,"abc":1.5,"abcd":1.5}`, `{"ab":1,"abc":1,"abcd":1.5}`, "type_int_key", "abc")

	// Keys that come twice.
	f(``, `{"a":1,"b":2,"a":3}`, `{"b":2,"a":3}`)
	f(`r.a = r.a + 1`, `{"a":1,"b":2,"a":3}`, `{"b":2,"a":4}`)
	f(``, `{"m":{"a":1,"b":2,"a":3}}`, `{"m":{"b":2,"a":3}}`)
	f(`for k, v in pairs(r) do r[k] = v end`, `{"a":1,"b":2,"a":3}`, `{"b":2,"a":3}`)

	// What msgpack does not know is left out.
	f(`r.f = print r.c = coroutine.create(print) r.l = {1, print}`, `{"a":1}`, `{"a":1,"l":[1,null]}`)
}

func TestCodes(t *testing.T) {
	f := func(returns string, want ...string) {
		t.Helper()
		if got := through(t, "function f(tag, ts, r) r.b = 2\nreturn "+returns+" end", `{"a":1}`); got != strings.Join(want, " ") {
			t.Errorf("%s makes %s, expected %s", returns, got, want)
		}
	}
	f("-1, ts, r")
	f("0, ts, r", `{"a":1}`)
	f("1, ts, r", `{"a":1,"b":2}`)
	f("2, ts, r", `{"a":1,"b":2}`)
	f("'2', ts, r", `{"a":1,"b":2}`)
	f("2.9, ts, r", `{"a":1,"b":2}`)
	f("3, ts, r", `{"a":1}`)
	f("nil", `{"a":1}`)
	f("true, ts, r", `{"a":1}`)
	f("2, nil, r", `{"a":1,"b":2}`)
	f("2, ts, {r, {c = 3}}", `{"a":1,"b":2}`, `{"c":3}`)
	f("2, ts, setmetatable({}, {type = 1})")
	f("2, ts, {}", `{}`)
	// No records: everything stays.
	f("2, ts, 'text'", `{"a":1}`)
	f("2, ts", `{"a":1}`)
	f("2, ts, {{}, 1}", `{"a":1}`)
	f("error('no')", `{"a":1}`)
}

func TestTimes(t *testing.T) {
	const at = 1700000000_250000000
	f := func(returns string, want int64, options ...string) {
		t.Helper()
		filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), append([]string{"call", "f",
			"code", "function f(tag, ts, r) return " + returns + " end"}, options...)...)
		got := plugintest.Filtered(t, filter, "test", plugintest.Event{Time: at, Record: `{}`})
		if len(got) != 1 || got[0].Time != want {
			t.Errorf("%s makes %+v, expected the time %d", returns, got, want)
		}
	}
	f("1, ts + 1, r", at+1e9)
	f("1, 1600000000.5, r", 1600000000_500000000)
	f("1, '1600000000', r", 1600000000_000000000)
	f("1, nil, r", 0)
	f("2, 5, r", at)
	f("0, 5, r", at)
	f("1, -1, r", at)
	f("1, 0/0, r", at)
	f("1, 1/0, r", at)
	f("1, {sec = ts.sec + 1, nsec = ts.nsec + 7}, r", at+1e9+7, "time_as_table", "on")
	f("2, {sec = 1, nsec = 7}, r", at, "time_as_table", "on")
	f("1, {sec = 1, nsec = 1e10}, r", at, "time_as_table", "on")
	f("1, 5, r", at, "time_as_table", "on")
}

func TestTheScriptSeesTagAndTime(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "call", "f", "code", script(`r.tag = tag r.ts = ts`))
	for _, tag := range []string{"one", "two", "two"} {
		got := plugintest.Filtered(t, f, tag, plugintest.Event{Time: 1500000000, Record: `{}`})
		if want := `{"tag":"` + tag + `","ts":1.5}`; got[0].Record != want {
			t.Errorf("the script made %s, expected %s", got[0].Record, want)
		}
	}
}

func TestMetadata(t *testing.T) {
	f := func(body, meta string, want ...plugintest.Event) {
		t.Helper()
		filter := plugintest.NewFilter(t, Def(), plugintest.Env(t), "call", "f",
			"code", "function f(tag, ts, group, meta, r) "+body+" end")
		got := plugintest.Filtered(t, filter, "test", plugintest.Event{Time: 1, Record: `{"a":1}`, Meta: meta})
		for i := range got {
			got[i].Tag, got[i].Time = "", 0
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q with the metadata %s makes %+v, expected %+v", body, meta, got, want)
		}
	}
	type e = plugintest.Event
	f(`meta.n = next(group) == nil return 2, ts, meta, r`, `{"m":1}`, e{Meta: `{"m":1,"n":true}`, Record: `{"a":1}`})
	f(`meta.n = 2 return 2, ts, meta, r`, ``, e{Meta: `{"n":2}`, Record: `{"a":1}`})
	f(`r.m = meta.m return 2, ts, nil, r`, `{"m":1}`, e{Meta: `{"m":1}`, Record: `{"a":1,"m":1}`})
	f(`return 2, ts, {}, r`, `{"m":1}`, e{Meta: `{}`, Record: `{"a":1}`})
	f(`return 2, ts, meta, {r, r}`, `{"m":1}`, e{Meta: `{"m":1}`, Record: `{"a":1}`}, e{Meta: `{"m":1}`, Record: `{"a":1}`})
	f(`return 2, ts, {{x=1}, {x=2}}, {r, r}`, `{"m":1}`, e{Meta: `{"x":1}`, Record: `{"a":1}`}, e{Meta: `{"x":2}`, Record: `{"a":1}`})
	f(`return 0, ts, {}, {}`, `{"m":1}`, e{Meta: `{"m":1}`, Record: `{"a":1}`})
}

func TestMetadataStaysWithThreeArguments(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "call", "f", "code", script(``))
	got := plugintest.Filtered(t, f, "test", plugintest.Event{Time: 1, Record: `{}`, Meta: `{"m":1}`})
	if got[0].Meta != `{"m":1}` {
		t.Errorf("the metadata is %s", got[0].Meta)
	}
}

// A failure in one record leaves its whole batch alone, as in Fluent Bit.
func TestFailureKeepsTheBatch(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	f := plugintest.NewFilter(t, Def(), env, "call", "f", "code", script(`if r.i == 2 then error("boom") end r.ok = true`))
	var in []plugintest.Event
	for _, r := range []string{`{"i":1}`, `{"i":2}`, `{"i":3}`} {
		in = append(in, plugintest.Event{Time: 1, Record: r})
	}
	got := plugintest.Filtered(t, f, "test", in...)
	for i := range in {
		if len(got) != len(in) || got[i].Record != in[i].Record {
			t.Fatalf("%+v came out, expected what went in", got)
		}
	}
	if !strings.Contains(log.String(), `fluentbit.lua\"]:2: boom`) {
		t.Error("the log does not tell what failed")
	}
	if failed := counted(env, failedMetric); failed != 1 {
		t.Errorf("%d failed batches were counted, expected 1", failed)
	}
	if got := plugintest.Filtered(t, f, "test", in[0])[0].Record; got != `{"i":1,"ok":true}` {
		t.Errorf("after a failure the script made %s", got)
	}
}

// counted returns what a counter of the filter says.
func counted(env *plugin.Env, metric string) (count uint64) {
	env.Stats.Each(func(name, _, _, _ string, n uint64) {
		if name == metric {
			count = n
		}
	})
	return count
}

func TestValuesThatAreLeftOutAreCounted(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	f := plugintest.NewFilter(t, Def(), env, "call", "f", "code", script(`r.print, r.ok = print, true`))
	if got := plugintest.Filtered(t, f, "test", plugintest.Event{Time: 1, Record: `{}`})[0].Record; got != `{"ok":true}` {
		t.Errorf("the record is %s", got)
	}
	if n := counted(env, leftOutMetric); n != 1 || !strings.Contains(log.String(), "left out") {
		t.Errorf("%d values were counted, expected 1; the log: %s", n, log)
	}
}

func TestGlobalsLastOverBatchesAndGoroutines(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "call", "f", "code",
		"total = 0\n"+script(`total = total + 1 r.total = total`))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				b := event.NewBatch("t")
				for range 10 {
					b.Add(1)
				}
				if err := f.Filter(t.Context(), b); err != nil {
					t.Error(err)
				}
				b.Free()
			}
		})
	}
	wg.Wait()
	if got := plugintest.Filtered(t, f, "t", plugintest.Event{Time: 1, Record: `{}`})[0].Record; got != `{"total":1001}` {
		t.Errorf("the script counted %s, expected 1001", got)
	}
}

func TestRecordsAreKeptAfterTheirBatch(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "call", "f", "code",
		`function f(tag, ts, r) local was = last last = r return 2, ts, {was = was} end`)
	feed := func(record string) string {
		return plugintest.Filtered(t, f, "t", plugintest.Event{Time: 1, Record: record})[0].Record
	}
	const first = `{"s":"some text","m":{"k":[1,{"x":"y"}]}}`
	feed(first)
	if got := feed(`{"other":"record"}`); got != `{"was":`+first+`}` {
		t.Errorf("the script remembered %s, expected %s", got, first)
	}
}

func TestScriptFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f.lua")
	if err := os.WriteFile(file, []byte("\xef\xbb\xbf#!/usr/bin/lua\n"+script(`r.ok = true`)), 0o600); err != nil {
		t.Fatal(err)
	}
	env := plugintest.Env(t)
	env.Dir = dir
	for _, name := range []string{file, "f.lua"} {
		f := plugintest.NewFilter(t, Def(), env, "call", "f", "script", name)
		if got := plugintest.Filtered(t, f, "t", plugintest.Event{Time: 1, Record: `{}`})[0].Record; got != `{"ok":true}` {
			t.Errorf("the script %s made %s", name, got)
		}
	}
	if _, err := plugintest.TryFilter(Def(), env, "call", "f", "script", "other.lua"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing script gives %v", err)
	}
}

func TestBadScripts(t *testing.T) {
	f := func(want string, keysAndValues ...string) {
		t.Helper()
		_, err := plugintest.TryFilter(Def(), plugintest.Env(t), keysAndValues...)
		if err == nil || err.Error() != want {
			t.Errorf("%q gives\n%v, expected\n%s", keysAndValues, err, want)
		}
	}
	f(`there is no call; it names the function of the script to call`, "code", script(""))
	f(`there is no script; give its path in script, or the script itself in code`, "call", "f")
	f(`the script in code has no global function "g", which call names`, "call", "g", "code", script(""))
	f(`the script in code has no global function "f", which call names`, "call", "f", "code", "local "+script(""))
	f(`the script in code does not compile: line 2, column 15: syntax error near "x", in "return 2, tss x"`, "call", "f", "code", "function f()\nreturn 2, tss x\nend")
	f(`the script in code does not compile: syntax error at its end; an end, a bracket or a quote may be missing`, "call", "f", "code", "function f()\nreturn 2")
	f(`run the script in code: [string "fluentbit.lua"]:2: no`, "call", "f", "code", "\nerror('no')")
}

func TestAllocations(t *testing.T) {
	f := plugintest.NewFilter(t, Def(), plugintest.Env(t), "call", "f", "code", script(``))
	if n := plugintest.AllocsPerEvent(t, f, benchRecord); n > 5 {
		t.Errorf("a script that does nothing costs %v allocations for a record, expected at most 5", n)
	}
}

// Whatever a script does, it fails alone.
func TestHarshScripts(t *testing.T) {
	for name, code := range map[string]string{
		"recursion":            script(`local function g(n) return 1 + g(n + 1) end g(1)`),
		"recursion of methods": script(`local t = {} setmetatable(t, {__index = function(t, k) return t[k + 1] end}) local x = t[1]`),
		"recursion of gsub":    script(`local function g() return (string.gsub("a", "a", g)) end g()`),
		"globals that fail":    `setmetatable(_G, {__index = function() error("no") end}) ` + script(`f = nil r.a = undefined`),
		"function is gone":     script(`f = nil r.a = nil + 1`),
		"table in itself":      script(`r.me = {r} r.me[1] = r.me`),
		"deep table":           script(`local t = r for i = 1, 1000 do t.t = {} t = t.t end`),
		"wide array":           script(`r.a = {[2^20] = 1}`),
		"long string":          script(`r.a = string.rep("x", 2^40)`),
		"sparse keys":          script(`for i = 1, 1000 do local t = {} t[i * 50000000] = 1 end error("no")`),
		"time with metatable":  "function f(tag, ts, r) return 1, setmetatable({}, {__index = function() error('no') end}), r end",
		"broken library":       `string = nil table = nil ` + script(`r.a = nil .. "x"`),
	} {
		options := []string{}
		if strings.HasPrefix(name, "time") {
			options = append(options, "time_as_table", "on")
		}
		const record = `{"a":1}`
		got := through(t, code, record, options...)
		if got != record {
			t.Errorf("%s makes %.200s, expected that the record stays", name, got)
		}
	}
}

func TestOSExitAsksTheProcessToEnd(t *testing.T) {
	env := plugintest.Env(t)
	code := -1
	env.Stop = func(n int) { code = n }
	f := plugintest.NewFilter(t, Def(), env, "call", "f", "code", script(`os.exit(3)`))
	if got := plugintest.Filtered(t, f, "t", plugintest.Event{Time: 1, Record: `{}`}); len(got) != 1 || code != 3 {
		t.Errorf("os.exit(3) ended with %d and %d records, expected 3 and 1", code, len(got))
	}
	if _, err := plugintest.TryFilter(Def(), env, "call", "f", "code", `os.exit(4)`); err == nil || code != 3 {
		t.Errorf("os.exit while the script is loaded gives %v", err)
	}
}

func TestMetricsPassBy(t *testing.T) {
	f, err := plugintest.TryFilter(Def(), plugintest.Env(t), "call", "f", "code", script(`error("called")`))
	if err != nil {
		t.Fatal(err)
	}
	b := event.NewBatch("t")
	defer b.Free()
	b.Signal, b.Payload = event.Metrics, []byte("x")
	if err := f.Filter(t.Context(), b); err != nil {
		t.Error(err)
	}
}

func BenchmarkShape(b *testing.B) {
	f := plugintest.NewFilter(b, Def(), plugintest.Env(b), "call", "shape", "code",
		`function shape(tag, ts, r) r["severity"] = string.upper(r["level"]) r["level"] = nil r["slow"] = r["http_ms"] > 100 return 2, ts, r end`)
	plugintest.BenchmarkFilter(b, f, benchRecord)
}

func BenchmarkPairs(b *testing.B) {
	f := plugintest.NewFilter(b, Def(), plugintest.Env(b), "call", "f", "code",
		script(`local n = 0 for k, v in pairs(r) do n = n + 1 end r.n = n`))
	plugintest.BenchmarkFilter(b, f, benchRecord)
}

const benchRecord = `{"level":"info","seq":123456,"msg":"GET /api/v1/orders took a while, and more was said about it","http_ms":123.5,"http_path":"/api/v1/orders","http_method":"GET","http_status":200,"pid":4242,"trace":"0af7651916cd43dd8448eb211c80319c","user":{"id":42,"name":"eve"},"tags":["a","b","c"]}`
