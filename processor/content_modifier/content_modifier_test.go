package content_modifier

import (
	"strings"
	"testing"

	"github.com/kagarilog/kagari/event"
	"github.com/kagarilog/kagari/plugin/plugintest"
)

func TestDefinition(t *testing.T) {
	plugintest.Definition(t, Def(), "action", "insert", "key", "k", "value", "v")
}

// one passes a record through a processor; the options are written as
// "action=insert key=k value=v".
func one(t *testing.T, record, options string) string {
	t.Helper()
	var kv []string
	for _, o := range strings.Fields(options) {
		k, v, _ := strings.Cut(o, "=")
		kv = append(kv, k, v)
	}
	return strings.Join(plugintest.Filter(t, Def(), []string{record}, kv...), "\n")
}

// The results here and below are those of Fluent Bit 5.1.1.
func TestActions(t *testing.T) {
	f := func(record, options, want string) {
		t.Helper()
		if got := one(t, record, options); got != want {
			t.Errorf("%s of %s makes %s, want %s", options, record, got, want)
		}
	}
	const r = `{"s":"error","n":5,"m":{"x":"y"},"l":[1],"e":""}`
	f(r, "action=insert key=k value=12", `{"s":"error","n":5,"m":{"x":"y"},"l":[1],"e":"","k":"12"}`)
	f(r, "action=insert key=n value=12", r)
	f(r, "action=insert key=S value=v", `{"s":"error","n":5,"m":{"x":"y"},"l":[1],"e":"","S":"v"}`)
	f(`{}`, "action=insert key=k value=", `{"k":""}`)
	f(`{}`, "action=INSERT context=BODY key=k value=$TAG", `{"k":"$TAG"}`)
	f(r, "action=upsert key=s value=x", `{"n":5,"m":{"x":"y"},"l":[1],"e":"","s":"x"}`)
	f(r, "action=upsert key=z value=x context=message", `{"s":"error","n":5,"m":{"x":"y"},"l":[1],"e":"","z":"x"}`)
	f(r, "action=delete key=m context=record", `{"s":"error","n":5,"l":[1],"e":""}`)
	f(r, "action=delete key=$m['x']", r)
	f(`{"a":1}`, "action=delete key=a", `{}`)
	f(r, "action=rename key=s value=level", `{"level":"error","n":5,"m":{"x":"y"},"l":[1],"e":""}`)
	f(r, "action=rename key=S value=level", r)
	// Of several fields with the key the first is meant; JSON shows only the last.
	f(`{"a":1,"b":2}`, "action=rename key=a value=b", `{"b":2}`)
	f(`{"a":1,"b":2,"a":3}`, "action=delete key=a", `{"b":2,"a":3}`)
	f(`{"a":1,"b":2,"a":3}`, "action=upsert key=a value=x", `{"b":2,"a":"x"}`)
	f(`{"a":1,"b":2,"a":3}`, "action=rename key=a value=x", `{"x":1,"b":2,"a":3}`)
	f(`{"a":1,"b":2,"a":3}`, "action=convert key=a converted_type=string", `{"b":2,"a":"1"}`)
}

func TestHash(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		want = `{"k":` + want + `,"z":1}`
		if got := one(t, `{"k":`+value+`,"z":1}`, "action=hash key=k"); got != want {
			t.Errorf("the hash of %s is %s, want %s", value, got, want)
		}
	}
	f(`"error"`, `"ca00fccfb408989eddc401062c4d1219a6aceb6b9b55412357f1790862e8f178"`)
	f(`5`, `"ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d"`)
	f(`-7`, `"a770d3270c9dcdedf12ed9fd70444f7c8a95c26cae3cae9bd867499090a2f14b"`)
	f(`5.5`, `"4819f5315cb49422b0b21be64e48bb69c9c157cf41c6631994f931ab9fba86bd"`)
	f(`18446744073709551615`, `"2cdb26265b4dc65e3b44d694f121fd6de99b9e4b8ae7f08d84bfa9537635ae43"`)
	f(`true`, `"b5bea41b6c623f7c09f1bf24dcae58ebab3c0cdd90ad966bc43a45b44867e12b"`)
	f(`null`, `"74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"`)
	f(`""`, `""`)
	f(`{"a":1}`, `{"a":1}`)
	f(`[1]`, `[1]`)
}

func TestExtract(t *testing.T) {
	f := func(record, pattern, want string) {
		t.Helper()
		got := plugintest.Filter(t, Def(), []string{record}, "action", "extract", "key", "k", "pattern", pattern)
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s of %s makes %s, want %s", pattern, record, got, want)
		}
	}
	const r = `{"k":"10.0.0.1 GET /x","GET":1,"verb":2,"VERB":3}`
	f(r, `^(?<ip>[^ ]*) (?<verb>\w+) (?<opt>q)?`, `{"k":"10.0.0.1 GET /x","GET":1,"ip":"10.0.0.1","verb":"GET","opt":""}`)
	f(r, `^(?<ip>x*)(?<verb>y*)`, `{"k":"10.0.0.1 GET /x","GET":1,"ip":"","verb":""}`)
	f(r, `^(?<k>[^ ]*)`, `{"GET":1,"verb":2,"VERB":3,"k":"10.0.0.1"}`)
	f(r, `^([^ ]*)`, r)
	f(r, `^(?<ip>[^ ]*)X`, r)
	f(`{"k":5}`, `(?<a>.)`, `{"k":5}`)
	f(`{"a":1}`, `(?<a>.)`, `{"a":1}`)
	// Two groups of one name: the last that the expression has counts.
	f(`{"k":"a1"}`, `(?<x>[a-z])(?<x>\d)`, `{"k":"a1","x":"1"}`)
	many := "^" + strings.Repeat("(?<g>.)", 40)
	f(`{"k":"`+strings.Repeat("a", 39)+`z"}`, many, `{"k":"`+strings.Repeat("a", 39)+`z","g":"z"}`)
}

func TestConvert(t *testing.T) {
	inputs := []string{`"true"`, `"TRUE"`, `"abc"`, `"12"`, `"12x"`, `"-12"`, `"1.5"`, `"3000000000"`, `""`, `" 7"`, `"+7"`, `"1e400"`, `"1.5x"`,
		`5`, `-5`, `0`, `18446744073709551615`, `2.5`, `-2.5`, `3.0`, `0.1`, `null`, `true`, `false`, `{"a":1}`, `[1]`}
	const same = "="
	f := func(typ string, want ...string) {
		t.Helper()
		if len(want) != len(inputs) {
			t.Fatalf("%d results of %s for %d inputs", len(want), typ, len(inputs))
		}
		for i, in := range inputs {
			expected := `{"z":1,"k":` + want[i] + `}`
			if want[i] == same {
				expected = `{"k":` + in + `,"z":1}`
			}
			if got := one(t, `{"k":`+in+`,"z":1}`, "action=convert key=k converted_type="+typ); got != expected {
				t.Errorf("%s as %s makes %s, want %s", in, typ, got, expected)
			}
		}
	}
	f("string", `"true"`, `"TRUE"`, `"abc"`, `"12"`, `"12x"`, `"-12"`, `"1.5"`, `"3000000000"`, `""`, `" 7"`, `"+7"`, `"1e400"`, `"1.5x"`,
		`"5"`, `"-5"`, `"0"`, `"18446744073709551615"`, `"2.5"`, `"-2.5"`, `"3"`, `"0.10000000000000001"`, `"null"`, `"true"`, `"false"`, same, same)
	f("int", same, same, same, `12`, same, `-12`, same, `3000000000`, `0`, `7`, `7`, same, same,
		`5`, `-5`, `0`, `18446744073709551615`, `3`, `-3`, `3`, `0`, `0`, `1`, `0`, same, same)
	f("double", `0.0`, `0.0`, `0.0`, `12.0`, `12.0`, `-12.0`, `1.5`, `3000000000.0`, `0.0`, `7.0`, `7.0`, same, `1.5`,
		`5.0`, `-5.0`, `0.0`, `1.844674407370955e+19`, `2.5`, `-2.5`, `3.0`, `0.1`, `0.0`, `1.0`, `0.0`, same, same)
	f("boolean", `true`, `true`, `false`, `false`, `false`, `false`, `false`, `false`, `false`, `false`, `false`, `false`, `false`,
		`true`, `true`, `false`, `true`, `true`, `true`, `true`, `true`, `false`, `true`, `false`, same, same)
	for in, want := range map[string]string{`"5000000000"`: "5000000000", `"-9223372036854775808"`: "-9223372036854775808"} {
		if got := one(t, `{"k":`+in+`}`, "action=convert key=k converted_type=int"); got != `{"k":`+want+`}` {
			t.Errorf("%s as int makes %s", in, got)
		}
	}
	for _, in := range []string{`"9223372036854775808"`, `1e300`} {
		if got := one(t, `{"k":`+in+`}`, "action=convert key=k converted_type=int"); strings.HasPrefix(got, `{"k":9`) {
			t.Errorf("%s as int makes %s", in, got)
		}
	}
}

func TestMetadata(t *testing.T) {
	f := func(meta, options, want string) {
		t.Helper()
		var kv []string
		for _, o := range strings.Fields(options) {
			k, v, _ := strings.Cut(o, "=")
			kv = append(kv, k, v)
		}
		p := plugintest.NewFilter(t, Def(), plugintest.Env(t), kv...)
		got := plugintest.Filtered(t, p, "t", plugintest.Event{Record: `{"K":1}`, Meta: meta})[0]
		if got.Meta != want || got.Record != `{"K":1}` {
			t.Errorf("%s of metadata %s makes %s and %s, want %s", options, meta, got.Meta, got.Record, want)
		}
	}
	f("", "context=metadata action=insert key=K value=v", `{"K":"v"}`)
	f(`{"a":1}`, "context=attributes action=upsert key=a value=v", `{"a":"v"}`)
	f(`{"a":1,"b":2}`, "context=Metadata action=delete key=a", `{"b":2}`)
	f(`{"a":"x"}`, "context=metadata action=convert key=a converted_type=int", `{"a":"x"}`)

	f("", "context=otel_log_attributes action=upsert key=K value=v", `{"otlp":{"attributes":{"K":"v"}}}`)
	f("", "context=otel_log_attributes action=delete key=K", `{"otlp":{"attributes":{}}}`)
	f(`{"otlp":{"severity_number":9,"attributes":{"a":1}},"x":1}`, "context=otel_log_attributes action=insert key=b value=2",
		`{"otlp":{"severity_number":9,"attributes":{"a":1,"b":"2"}},"x":1}`)
	for _, odd := range []string{`{"otlp":5}`, `{"otlp":{"attributes":[1]}}`} {
		f(odd, "context=otel_log_attributes action=insert key=b value=2", odd)
	}

	const envelope = `{"otlp":{"resource":{},"scope":{}}}`
	f("", "context=otel_resource_attributes action=insert key=service.name value=shop", `{}`)
	f(`{"otlp":{"attributes":{}}}`, "context=otel_scope_name action=insert value=n", `{"otlp":{"attributes":{}}}`)
	f(envelope, "context=otel_resource_attributes action=insert key=service.name value=shop",
		`{"otlp":{"resource":{"attributes":{"service.name":"shop"}},"scope":{}}}`)
	f(envelope, "context=otel_scope_attributes action=upsert key=a value=b", `{"otlp":{"resource":{},"scope":{"attributes":{"a":"b"}}}}`)
	f(envelope, "context=otel_scope_name action=upsert value=n", `{"otlp":{"resource":{},"scope":{"name":"n"}}}`)
	f(envelope, "context=otel_scope_version action=insert key=Version value=1", `{"otlp":{"resource":{},"scope":{"Version":"1"}}}`)
	f(`{"otlp":{"scope":{"name":"n","x":1}}}`, "context=otel_scope_name action=delete", `{"otlp":{"scope":{"x":1}}}`)
	f(`{"otlp":{"resource":{"attributes":{"a":5},"dropped_attributes_count":1}}}`, "context=otel_resource_attributes action=convert key=a converted_type=string",
		`{"otlp":{"resource":{"attributes":{"a":"5"},"dropped_attributes_count":1}}}`)
}

func TestBadOptionsAreRefused(t *testing.T) {
	f := func(want string, kv ...string) {
		t.Helper()
		_, err := plugintest.TryFilter(Def(), plugintest.Env(t), kv...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %q the error is %v, want one with %q", kv, err, want)
		}
	}
	f("action", "key", "k")
	f("did you mean", "action", "inser", "key", "k")
	f("needs a key", "action", "delete")
	f("needs a value", "action", "insert", "key", "k")
	f("needs a value", "action", "rename", "key", "k")
	f("needs a pattern", "action", "extract", "key", "k")
	f("pattern", "action", "delete", "key", "k", "pattern", "(")
	f("needs a converted_type", "action", "convert", "key", "k")
	f("none of string", "action", "convert", "key", "k", "converted_type", "integer")
	f("none of those of logs", "action", "delete", "key", "k", "context", "labels")
	f("must be name", "action", "delete", "key", "k", "context", "otel_scope_name")
	f("not possible", "action", "rename", "value", "k", "context", "otel_scope_name")
}

func TestWhatCannotBeChangedIsCounted(t *testing.T) {
	env := plugintest.Env(t)
	p := plugintest.NewFilter(t, Def(), env, "action", "extract", "key", "k", "pattern", "(?<a>x)")
	var events []plugintest.Event
	for _, r := range []string{`{}`, `{"k":1}`, `{"k":"y"}`, `{"k":"x"}`, `{"k":"z"}`} {
		events = append(events, plugintest.Event{Record: r})
	}
	plugintest.Filtered(t, p, "t", events...)
	got := plugintest.Counters(env)
	for reason, want := range map[string]uint64{"key_missing": 1, "not_text": 1, "no_match": 2} {
		if n := got["kagari_filter_unchanged_records_total{reason="+reason+"}"]; n != want {
			t.Errorf("%s is counted %d times, want %d; all are %v", reason, n, want, got)
		}
	}
}

const sample = `{"time":"2026-11-20T10:38:00.123Z","level":"info","message":"request handled by worker","http_status":"200","k":{"app":"web"}}`

var common = [][]string{
	{"action", "insert", "key", "env", "value", "prod"},
	{"action", "upsert", "key", "level", "value", "prod"},
	{"action", "delete", "key", "level"},
	{"action", "delete", "key", "nothing"},
	{"action", "rename", "key", "level", "value", "severity"},
	{"action", "hash", "key", "message"},
	{"action", "extract", "key", "message", "pattern", `^(?<a>\w+) (?<b>\w+) (?<c>\w+) (?<d>\w+)`},
	{"action", "convert", "key", "http_status", "converted_type", "int"},
	{"action", "upsert", "key", "env", "value", "prod", "context", "metadata"},
	{"action", "upsert", "key", "env", "value", "prod", "context", "otel_log_attributes"},
}

func TestNothingIsAllocated(t *testing.T) {
	for _, kv := range common {
		p := plugintest.NewFilter(t, Def(), plugintest.Env(t), kv...)
		if n := plugintest.AllocsPerEvent(t, p, sample); n > 0.02 {
			t.Errorf("%q: %v allocations per event, expected none", kv, n)
		}
	}
}

func BenchmarkContentModifier(b *testing.B) {
	for _, kv := range common {
		b.Run(strings.Join(kv[1:4:4], " ")+" "+kv[len(kv)-1], func(b *testing.B) {
			plugintest.BenchmarkFilter(b, plugintest.NewFilter(b, Def(), plugintest.Env(b), kv...), sample)
		})
	}
}

func FuzzActions(f *testing.F) {
	for i, r := range []string{sample, `{"level":null}`, `{"message":[1,{"a":2}]}`, `{"http_status":"1e5","http_status":1.5}`} {
		f.Add(r, uint(i))
	}
	f.Fuzz(func(t *testing.T, record string, which uint) {
		v, rest, err := event.AppendJSON(nil, []byte(record))
		if err != nil || len(rest) > 0 || event.Value(v).Kind() != event.KindMap {
			return
		}
		p := plugintest.NewFilter(t, Def(), plugintest.Env(t), common[which%uint(len(common))]...)
		if left := plugintest.Filtered(t, p, "t", plugintest.Event{Record: plugintest.JSON(v)}); len(left) != 1 {
			t.Errorf("%d events are left of one", len(left))
		}
	})
}
