package parser_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/filter/parser"
	"github.com/kagarilog/kagari/option"
	parsers "github.com/kagarilog/kagari/parser"
	"github.com/kagarilog/kagari/plugin"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

// configured are the parsers of the tests.
func configured(name string) (plugin.Parser, error) {
	props := map[string][]option.Property{
		"kv":   {option.Prop("format", "regex"), option.Prop("regex", `^(?<k>\w+)=(?<v>\w*)$`)},
		"num":  {option.Prop("format", "regex"), option.Prop("regex", `^(?<n>\d+)$`), option.Prop("types", "n:integer")},
		"js":   {option.Prop("format", "json"), option.Prop("time_format", "%s")},
		"many": {option.Prop("format", "ltsv")},
	}[name]
	if props == nil {
		return nil, fmt.Errorf("there is no parser %q", name)
	}
	p, ps := parsers.New(name, props, option.Pos{})
	return p, ps.Err()
}

func newFilter(t testing.TB, kv ...string) (plugin.Filter, *plugin.Env) {
	t.Helper()
	env := plugintest.Env(t)
	env.Parser = configured
	cfg, problems := plugintest.Decode(parser.Def(), kv...)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	f, err := cfg.(plugin.FilterConfig).New(env)
	if err != nil {
		t.Fatal(err)
	}
	return f, env
}

// run returns the record and the time after the filter; the event has time 42.
func run(t testing.TB, f plugin.Filter, record string) (string, int64) {
	t.Helper()
	b := event.NewBatch("t")
	defer b.Free()
	b.Add(42).SetRecord(plugintest.Value(t, record))
	if err := f.Filter(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	return string(event.AppendText(nil, b.Events[0].Record())), b.Events[0].Time
}

func TestFilter(t *testing.T) {
	f := func(record, want string, kv ...string) {
		t.Helper()
		filter, _ := newFilter(t, append([]string{"key_name", "log"}, kv...)...)
		got, ns := run(t, filter, record)
		if got != want || ns != 42 {
			t.Errorf("%q on %s:\ngot  %s at %d\nwant %s at 42", kv, record, got, ns, want)
		}
	}
	const in = `{"pre":1,"log":"a=b","post":2}`
	f(in, `{"k"=>"a", "v"=>"b"}`, "parser", "kv")
	f(in, `{"k"=>"a", "v"=>"b", "log"=>"a=b"}`, "parser", "kv", "preserve_key", "on")
	f(in, `{"k"=>"a", "v"=>"b", "pre"=>1, "post"=>2}`, "parser", "kv", "reserve_data", "on")
	f(in, `{"k"=>"a", "v"=>"b", "pre"=>1, "log"=>"a=b", "post"=>2}`, "parser", "kv", "reserve_data", "on", "preserve_key", "on")
	// A kept field of the same name comes last.
	f(`{"k":1,"log":"a=b"}`, `{"k"=>"a", "v"=>"b", "k"=>1}`, "parser", "kv", "reserve_data", "on")
	// The first parser that fits counts.
	f(`{"log":"12"}`, `{"n"=>12}`, "parser", "kv", "parser", "num")
	f(`{"log":"a=b"}`, `{"k"=>"a", "v"=>"b"}`, "parser", "kv", "parser", "num")
	// What is no text, does not fit or is not there changes nothing.
	f(`{"log":5,"x":1}`, `{"log"=>5, "x"=>1}`, "parser", "kv")
	f(`{"log":"??","x":1}`, `{"log"=>"??", "x"=>1}`, "parser", "kv", "reserve_data", "on")
	f(`{"x":1}`, `{"x"=>1}`, "parser", "kv", "reserve_data", "on")
	f(`{}`, `{}`, "parser", "kv")
	// Of several fields of the name the last decides.
	f(`{"log":"a=b","x":1,"log":"c=d"}`, `{"k"=>"c", "v"=>"d", "x"=>1}`, "parser", "kv", "reserve_data", "on")
	f(`{"log":"a=b","x":1,"log":"c=d"}`, `{"k"=>"c", "v"=>"d", "log"=>"c=d"}`, "parser", "kv", "preserve_key", "on")
	f(`{"log":"a=b","x":1,"log":"?"}`, `{"log"=>"a=b", "x"=>1, "log"=>"?"}`, "parser", "kv", "reserve_data", "on")
}

func TestFilterByAccessor(t *testing.T) {
	f := func(record, want string, kv ...string) {
		t.Helper()
		filter, _ := newFilter(t, append([]string{"key_name", "$a['b']", "parser", "kv"}, kv...)...)
		if got, _ := run(t, filter, record); got != want {
			t.Errorf("%q on %s:\ngot  %s\nwant %s", kv, record, got, want)
		}
	}
	const in = `{"a":{"b":"x=y","c":1},"d":2}`
	f(in, `{"k"=>"x", "v"=>"y"}`)
	f(in, `{"k"=>"x", "v"=>"y"}`, "preserve_key", "on")
	f(in, `{"k"=>"x", "v"=>"y", "a"=>{"b"=>"x=y", "c"=>1}, "d"=>2}`, "reserve_data", "on")
	f(`{"a":{"b":1}}`, `{"a"=>{"b"=>1}}`)
	f(`{"a":{}}`, `{"a"=>{}}`, "reserve_data", "on")
}

func TestFilterTakesTheTime(t *testing.T) {
	filter, _ := newFilter(t, "key_name", "log", "parser", "js")
	if got, ns := run(t, filter, `{"log":"{\"time\":\"1700000000\",\"a\":1}"}`); got != `{"a"=>1}` || ns != 1700000000e9 {
		t.Errorf("got %s at %d", got, ns)
	}
	if got, ns := run(t, filter, `{"log":"{\"time\":\"1700000000\",\"a\":1}","log":"?"}`); !strings.Contains(got, "?") || ns != 42 {
		t.Errorf("a record that stays has another time: %s at %d", got, ns)
	}
}

// The header of a map is longer from 16 entries on.
func TestFilterJoinsLargeRecords(t *testing.T) {
	filter, _ := newFilter(t, "key_name", "log", "parser", "many", "reserve_data", "on")
	for _, parsed := range []int{1, 7, 15, 16} {
		for _, kept := range []int{0, 1, 8, 15, 16, 70000} {
			var line []string
			for i := range parsed {
				line = append(line, fmt.Sprintf("p%d:x", i))
			}
			record := []string{fmt.Sprintf(`"log":%q`, strings.Join(line, "\t"))}
			for i := range kept {
				record = append(record, fmt.Sprintf(`"k%d":1`, i))
			}
			got, _ := run(t, filter, "{"+strings.Join(record, ",")+"}")
			if n := strings.Count(got, "=>"); n != parsed+kept || strings.Contains(got, "log") {
				t.Errorf("%d parsed and %d kept fields gave %d: %.100s", parsed, kept, n, got)
			}
		}
	}
}

func TestUnmatchedIsCountedAndLogged(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	env.Parser = configured
	cfg, _ := plugintest.Decode(parser.Def(), "key_name", "log", "parser", "kv", "parser", "num")
	f, err := cfg.(plugin.FilterConfig).New(env)
	if err != nil {
		t.Fatal(err)
	}
	run(t, f, `{"log":"`+strings.Repeat("?", 1000)+`"}`)
	run(t, f, `{"log":"a=b"}`)
	run(t, f, `{"x":"a=b"}`)
	if n := plugintest.Counters(env)["kagari_filter_parser_unmatched_total"]; n != 1 {
		t.Errorf("%d unmatched, want 1; counters %v", n, plugintest.Counters(env))
	}
	if s := log.String(); strings.Count(s, "no parser fits") != 1 || len(s) > 500 {
		t.Errorf("log: %s", s)
	}
}

func TestMissingParsers(t *testing.T) {
	env, log := plugintest.LoggedEnv(t)
	env.Parser = configured
	try := func(kv ...string) error {
		cfg, problems := plugintest.Decode(parser.Def(), kv...)
		if err := problems.Err(); err != nil {
			return err
		}
		_, err := cfg.(plugin.FilterConfig).New(env)
		return err
	}
	for want, kv := range map[string][]string{
		`there is no parser "none"`:       {"key_name", "log", "parser", "none"},
		`option "parser" is missing`:      {"key_name", "log"},
		`option "key_name" is missing`:    {"parser", "kv"},
		`option "key_name": parse record`: {"key_name", "$", "parser", "kv"},
	} {
		if err := try(kv...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", kv, err, want)
		}
	}
	if err := try("key_name", "log", "parser", "none", "parser", "kv"); err != nil {
		t.Errorf("with one of two parsers: %v", err)
	}
	if !strings.Contains(log.String(), `there is no parser`) {
		t.Errorf("log: %s", log.String())
	}
}

func TestDefinition(t *testing.T) {
	plugintest.DefinitionIn(t, parser.Def(), func(env *plugin.Env) { env.Parser = configured }, "key_name", "log", "parser", "kv")
}

func TestFilterAllocatesNothing(t *testing.T) {
	filter, _ := newFilter(t, "key_name", "log", "parser", "num", "parser", "kv", "reserve_data", "on")
	b := event.NewBatch("t")
	b.Grow(1 << 20)
	record := plugintest.Value(t, `{"pre":1,"log":"12","post":2}`)
	e := b.Add(42)
	if n := testing.AllocsPerRun(100, func() {
		e.SetRecord(record)
		_ = filter.Filter(context.Background(), b)
	}); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
}

func BenchmarkFilter(b *testing.B) {
	filter, _ := newFilter(b, "key_name", "log", "parser", "kv", "reserve_data", "on")
	record := plugintest.Value(b, `{"pre":1,"log":"abcdefgh=ijklmnop","post":2,"more":"some text of usual length"}`)
	b.ReportAllocs()
	for b.Loop() {
		batch := event.NewBatch("t")
		for range 900 {
			batch.Add(42).SetRecord(record)
		}
		_ = filter.Filter(context.Background(), batch)
		batch.Free()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/900, "ns/record")
}
